#pragma once

#include "messages/ec.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace::http {

/// A descriptor that closes itself.
class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) : fd_(fd) {
    // nop
  }
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {
    // nop
  }
  unique_fd& operator=(unique_fd&& other) noexcept;
  ~unique_fd();

  int get() const {
    return fd_;
  }

  int release() {
    auto result = fd_;
    fd_ = -1;
    return result;
  }

private:
  int fd_ = -1;
};

/// A bound, listening, non-blocking TCP socket.
struct listener {
  unique_fd fd;
  std::string address;
  uint16_t port = 0;
};

/// Listens on every address of `host`. A port of 0 is chosen once and used for
/// all of them. Addresses that this machine does not have are left out unless
/// none remains.
result<std::vector<listener>> listen_on(const std::string& host, uint16_t port);

/// `1.2.3.4:5` of the peer of a connected socket.
std::string peer_name(int fd);

/// Waits for `events` (poll's); false on timeout or error. `timeout_ms` < 0
/// waits for ever.
bool wait_for(int fd, short events, int timeout_ms);

} // namespace millrace::http
