#pragma once

#include "http/connection.hpp"
#include "http/server.hpp"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::http {

/// One request and its answer: the bytes behind request and response_writer.
class exchange : public std::enable_shared_from_this<exchange> {
public:
  explicit exchange(connection& c);
  ~exchange();

  enum class head_state { complete, closed, malformed };

  /// Waits for a request and reads its head. After `malformed` an answer has
  /// been sent.
  head_state read_head();

  /// Ends the exchange; true if the connection can take another request.
  bool close();

  std::string_view method() const;
  std::string_view target() const;
  std::string_view field(std::string_view name) const;
  bool has_field(std::string_view name) const;
  bool has_body() const;
  std::optional<std::string_view> read_body();
  bool body_complete() const;
  bool client_gone() const;

  void interrupt();
  void on_client_gone(std::function<void()> f);

  void status(unsigned code) {
    status_ = code;
  }
  void set_header(std::string_view name, std::string_view value);
  bool send(std::string_view body);
  bool write(std::string_view piece);
  bool finish();
  void abort();
  bool started() const {
    return started_;
  }
  const std::string& peer() const {
    return connection_.peer;
  }

private:
  struct parser;

  /// A body that the handler left unread is taken off the connection up to this
  /// size, so that the connection can be kept.
  static constexpr uint64_t drain_limit = 1 << 20;

  std::optional<std::string_view> read_chunk();
  std::string head_text(std::optional<size_t> length);
  bool send_all(iovec* parts, size_t count);

  connection& connection_;
  std::unique_ptr<parser> parser_;
  uint64_t body_left_ = 0;
  bool body_done_ = true;
  bool broken_ = false;
  bool expect_continue_ = false;
  bool body_in_chunks_ = false;
  bool is_head_ = false;
  bool old_client_ = false;

  unsigned status_ = 200;
  std::vector<std::pair<std::string, std::string>> headers_;
  bool started_ = false;
  bool finished_ = false;
  bool chunked_ = false;
  bool keep_alive_ = false;

  mutable std::mutex mutex_;
  bool closed_ = false;
  std::vector<uint64_t> watches_;
};

} // namespace millrace::http
