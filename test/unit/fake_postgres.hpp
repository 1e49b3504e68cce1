#pragma once

#include "messages/lsn.hpp"
#include "postgres/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::test {

/// `n` bytes in the order of the network.
std::string network(uint64_t x, int n);

/// The server's end of a replication connection, in COPY BOTH mode. The test
/// writes and reads it in its own thread, over a Unix socket: what was sent is
/// there at once.
class fake_postgres {
public:
  fake_postgres();
  ~fake_postgres();
  fake_postgres(const fake_postgres&) = delete;

  /// The client's end, non-blocking; once.
  postgres::conn_ptr take() {
    return std::move(client_);
  }

  void send(std::string_view bytes);

  /// One CopyData message.
  void copy(std::string_view message);

  /// XLogData with one pgoutput message.
  void data(lsn at, std::string_view message);

  void keepalive(lsn end, bool reply);

  /// ErrorResponse.
  void error(std::string_view code, std::string_view text);

  void close();

  /// A standby status update.
  struct status {
    lsn written;
    lsn flushed;
    lsn applied;
    bool reply = false;
  };

  /// The next status that the client has sent; nothing when there is none.
  std::optional<status> told();

private:
  void serve();

  std::string folder_;
  int listener_ = -1;
  int fd_ = -1;
  std::string input_;
  postgres::conn_ptr client_;
};

/// Messages of pgoutput.
std::string begin_message(lsn commit);
std::string commit_message(lsn commit, lsn end);

} // namespace millrace::test
