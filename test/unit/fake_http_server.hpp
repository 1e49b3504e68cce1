#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <thread>

namespace millrace::test {

/// One accepted connection of the fake server.
class fake_connection {
public:
  explicit fake_connection(int fd) : fd_(fd) {
    // nop
  }

  struct request {
    std::string head;
    std::string body;

    /// Value of a header, lower-case name; empty when missing.
    std::string header(std::string_view name) const;
  };

  /// Reads up to the end of the head. False when the peer has gone.
  bool read_head(request& x);

  /// Reads the body that the head announces: Content-Length or chunked.
  bool read_body(request& x);

  /// Reads at least `n` bytes of whatever comes and drops them.
  void drop(size_t n);

  void send(std::string_view bytes);

  /// Waits until the peer closes.
  void wait_for_close();

  /// Makes the close a reset.
  void reset();

private:
  bool fill();

  int fd_;
  std::string input_;
};

/// `HTTP/1.1 200 OK` with length and body.
std::string
http_answer(int status, std::string_view body, std::string_view headers = "");

/// A server on a free port of this machine that runs `serve` for each
/// connection, one at a time.
class fake_http_server {
public:
  using serve_fun = std::function<void(fake_connection&)>;

  explicit fake_http_server(serve_fun serve);
  ~fake_http_server();
  fake_http_server(const fake_http_server&) = delete;

  std::string url(const std::string& host = "127.0.0.1") const;
  int connections() const;

private:
  void run();

  serve_fun serve_;
  int fd_ = -1;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::thread thread_;
};

} // namespace millrace::test
