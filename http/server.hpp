#pragma once

#include "messages/ec.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::http {

class exchange;

/// One request. Lives as long as the handler runs; `read` belongs to the
/// handler's thread.
class request {
public:
  explicit request(exchange& x);

  std::string_view method() const;

  /// The request target as sent: path, `?`, query.
  std::string_view target() const;

  /// Value of a header field; empty when it is absent. `name` in any case.
  std::string_view header(std::string_view name) const;
  bool has_header(std::string_view name) const;

  /// The peer's address, `1.2.3.4:5678`.
  const std::string& peer() const;

  /// Whether the request says that a body follows.
  bool has_body() const;

  /// Next piece of the body, as large as the socket gives (up to 256 KB), valid
  /// until the next call; empty at the end of the body. `nullopt` when the body
  /// will not be complete: the client went away, stalled, sent a broken chunk,
  /// or `interrupt` was called.
  std::optional<std::string_view> read();

  /// Whether `read` has returned the end of the body (or there is none).
  bool body_complete() const;

  /// Whether the client has closed its side. Thread-safe.
  bool client_gone() const;

private:
  exchange& x_;
};

/// The answer to a request. Either `send`, or `write` and then `finish`. All
/// calls return false once the client is gone; later calls do nothing.
class response_writer {
public:
  explicit response_writer(exchange& x);

  /// 200 unless set. Status and headers must be set before the first byte.
  void status(unsigned code);

  /// Sets a header field, replacing an earlier one of that name. Line ends in
  /// the value become blanks.
  void header(std::string_view name, std::string_view value);

  /// Sends a whole answer with its length.
  bool send(std::string_view body);

  /// Sends a piece of an answer of unknown length, without copying it; blocks
  /// until the kernel has taken it. The first call sends status and headers.
  bool write(std::string_view piece);

  /// Ends an answer made with `write`; sends an empty one if there was none.
  bool finish();

  /// Breaks the answer off, so that the client sees that it is not complete.
  void abort();

  /// Whether status and headers have gone out.
  bool started() const;

private:
  exchange& x_;
};

/// Wakes and stops what a request waits for; may outlive the request.
/// Thread-safe.
class interrupter {
public:
  interrupter() = default;
  explicit interrupter(std::weak_ptr<exchange> x);

  /// Ends a running or later `read` with `nullopt`, and a `write` that waits
  /// for a slow client with false (within 200 ms).
  void interrupt() const;

  /// Calls `f` once, in a thread of the server, when the client closes its
  /// side while the handler runs. `f` must not block.
  void on_client_gone(std::function<void()> f) const;

private:
  std::weak_ptr<exchange> x_;
};

/// What a handler gets.
struct call {
  request& in;
  response_writer& out;
  interrupter wake;
};

/// Called in the connection's thread, for several connections at once. An
/// answer that was not begun becomes status 500, also after an exception.
using handler = std::function<void(const call&)>;

struct server_options {
  /// A name or an address; all addresses that the name has are listened on.
  std::string host = "127.0.0.1";

  /// 0 takes a free one.
  uint16_t port = 0;

  /// More get status 503.
  size_t max_connections = 1'000;

  /// Closes a connection without a request for so long.
  std::chrono::milliseconds idle_timeout{300'000};

  /// A client that neither sends nor takes a byte for so long in the middle of
  /// a request or answer counts as gone.
  std::chrono::milliseconds stall_timeout{600'000};
  size_t max_header_bytes = 1 << 20;
};

/// An HTTP/1.1 server with a thread per connection, blocking. Start and stop
/// belong to one thread.
class server {
public:
  server();
  ~server();
  server(const server&) = delete;

  /// Binds and listens; connections wait until `start`. Fails with
  /// local_failure when the address is taken or not ours.
  result<void> bind(const server_options& options);

  /// The port that `bind` took.
  uint16_t port() const;

  /// The addresses that `bind` took, `127.0.0.1:8123`.
  const std::vector<std::string>& addresses() const;

  void start(handler f);

  /// Takes no more connections and requests, waits up to `grace` for running
  /// handlers, then interrupts them and waits up to `grace` again. False if a
  /// handler still runs.
  bool stop(std::chrono::milliseconds grace);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Addresses that `host` stands for, as text.
result<std::vector<std::string>> resolve(const std::string& host);

/// Whether an address (no name) is of the loopback network.
bool is_loopback(std::string_view address);

/// Splits `host:port`, `[v6]:port`, `*:port`.
result<std::pair<std::string, uint16_t>> split_host_port(std::string_view text);

} // namespace millrace::http
