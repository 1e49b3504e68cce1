#include "fake_http_server.hpp"

#include <algorithm>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace millrace::test {

std::string fake_connection::request::header(std::string_view name) const {
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  auto at = lower.find("\r\n" + std::string{name} + ": ");
  if (at == std::string::npos)
    return {};
  at += name.size() + 4;
  return head.substr(at, head.find("\r\n", at) - at);
}

bool fake_connection::fill() {
  char buffer[65'536];
  auto n = ::recv(fd_, buffer, sizeof(buffer), 0);
  if (n <= 0)
    return false;
  input_.append(buffer, static_cast<size_t>(n));
  return true;
}

bool fake_connection::read_head(request& x) {
  size_t at;
  while ((at = input_.find("\r\n\r\n")) == std::string::npos)
    if (!fill())
      return false;
  x.head = input_.substr(0, at + 2);
  input_.erase(0, at + 4);
  return true;
}

bool fake_connection::read_body(request& x) {
  x.body.clear();
  if (auto length = x.header("content-length"); !length.empty()) {
    auto n = std::stoull(length);
    while (input_.size() < n)
      if (!fill())
        return false;
    x.body = input_.substr(0, n);
    input_.erase(0, n);
    return true;
  }
  for (;;) {
    size_t at;
    while ((at = input_.find("\r\n")) == std::string::npos)
      if (!fill())
        return false;
    auto n = std::stoull(input_.substr(0, at), nullptr, 16);
    while (input_.size() < at + 2 + n + 2)
      if (!fill())
        return false;
    x.body += input_.substr(at + 2, n);
    input_.erase(0, at + 2 + n + 2);
    if (n == 0)
      return true;
  }
}

void fake_connection::drop(size_t n) {
  while (input_.size() < n && fill())
    ;
  input_.clear();
}

void fake_connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void fake_connection::wait_for_close() {
  while (fill())
    input_.clear();
}

void fake_connection::reset() {
  linger x{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &x, sizeof(x));
}

std::string
http_answer(int status, std::string_view body, std::string_view headers) {
  return "HTTP/1.1 " + std::to_string(status)
         + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"
         + std::string{headers} + "\r\n" + std::string{body};
}

fake_http_server::fake_http_server(serve_fun serve) : serve_(std::move(serve)) {
  fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto raw = reinterpret_cast<sockaddr*>(&address);
  if (fd_ < 0 || ::bind(fd_, raw, size) != 0 || ::listen(fd_, 16) != 0
      || ::getsockname(fd_, raw, &size) != 0)
    throw std::runtime_error("cannot listen");
  port_ = ntohs(address.sin_port);
  thread_ = std::thread{[this] { run(); }};
}

fake_http_server::~fake_http_server() {
  // Ends a blocking accept.
  ::shutdown(fd_, SHUT_RDWR);
  thread_.join();
  ::close(fd_);
}

void fake_http_server::run() {
  for (;;) {
    auto fd = ::accept(fd_, nullptr, nullptr);
    if (fd < 0)
      return;
    ++connections_;
    fake_connection connection{fd};
    serve_(connection);
    ::close(fd);
  }
}

std::string fake_http_server::url(const std::string& host) const {
  return "http://" + host + ':' + std::to_string(port_);
}

int fake_http_server::connections() const {
  return connections_;
}

} // namespace millrace::test
