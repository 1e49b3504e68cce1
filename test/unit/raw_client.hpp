#pragma once

#include <caf/test/dsl.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace millrace::test {

/// A raw connection: what a careless or hostile client may send.
class raw_client {
public:
  explicit raw_client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval timeout{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    CAF_REQUIRE_EQUAL(::connect(fd_, reinterpret_cast<sockaddr*>(&address),
                                sizeof(address)),
                      0);
  }

  ~raw_client() {
    close();
  }

  void close() {
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = -1;
  }

  raw_client& send(std::string_view text) {
    while (!text.empty()) {
      auto n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0)
        break;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return *this;
  }

  /// Reads until `end` has come, or the connection is closed.
  std::string read_until(std::string_view end) {
    while (text_.find(end) == text_.npos) {
      char buffer[1 << 16];
      auto n = ::recv(fd_, buffer, sizeof(buffer), 0);
      if (n <= 0)
        break;
      text_.append(buffer, static_cast<size_t>(n));
    }
    auto n = std::min(text_.find(end), text_.size());
    n = std::min(n + end.size(), text_.size());
    auto result = text_.substr(0, n);
    text_.erase(0, n);
    return result;
  }

  std::string read_all() {
    return read_until(std::string(1, '\0') + "never");
  }

private:
  int fd_;
  std::string text_;
};

} // namespace millrace::test
