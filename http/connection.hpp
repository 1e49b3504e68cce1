#pragma once

#include "http/client_watch.hpp"
#include "http/server.hpp"
#include "http/socket.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

struct iovec;

namespace millrace::http {

/// Buffers of a connection in bytes: while heads are read, and for bodies.
constexpr size_t first_buffer = 32 << 10;
constexpr size_t body_buffer = 256 << 10;

/// What lives as long as a connection. Internal to this room.
struct connection {
  connection(unique_fd socket, const server_options& options,
             client_watch& watch);

  /// Makes room behind what is buffered; false when `limit` bytes are buffered.
  bool make_room(size_t limit);

  /// Receives more behind the buffered bytes; false at the end of the stream,
  /// after `timeout_ms` without any, and when it is interrupted.
  bool receive(int timeout_ms);

  /// Sends all parts, whose descriptions it changes; false when the client is
  /// gone, takes nothing for too long, or the request is interrupted.
  bool send_all(iovec* parts, size_t count);

  /// Ends our side and waits a little for the client's: closing with unread
  /// bytes would reset the connection.
  void linger();

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

  /// Ends waits for the client soon; set from any thread.
  std::atomic<bool> interrupted{false};
};

} // namespace millrace::http
