#pragma once

#include "http/client_watch.hpp"
#include "http/server.hpp"
#include "http/socket.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct iovec;

namespace millrace::http {

/// What lives as long as a connection. Internal to this room.
struct connection {
  connection(unique_fd socket, const server_options& options,
             client_watch& watch);

  /// Makes room behind what is buffered; false when `limit` bytes are buffered.
  bool make_room(size_t limit);

  size_t buffered() const {
    return end - begin;
  }

  unique_fd fd;
  std::string peer;
  const server_options& options;
  client_watch& watch;

  /// Bytes received and not consumed: [begin, end) of `buffer`.
  std::unique_ptr<char[]> buffer;
  size_t capacity = 0;
  size_t begin = 0;
  size_t end = 0;
};

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

  /// Receives more behind the buffered bytes; false at the end of the stream.
  bool receive(int timeout_ms);
  std::optional<std::string_view> read_chunk();
  std::string head_text(std::optional<size_t> length);
  bool send_all(iovec* parts, size_t count);
  void linger();

  connection& connection_;
  std::unique_ptr<parser> parser_;
  uint64_t body_left_ = 0;
  bool body_done_ = true;
  bool broken_ = false;
  bool expect_continue_ = false;

  unsigned status_ = 200;
  std::vector<std::pair<std::string, std::string>> headers_;
  bool started_ = false;
  bool finished_ = false;
  bool chunked_ = false;
  bool keep_alive_ = false;

  mutable std::mutex mutex_;
  std::atomic<bool> interrupted_{false};
  bool closed_ = false;
  std::vector<uint64_t> watches_;
};

} // namespace millrace::http
