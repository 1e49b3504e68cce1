#include "postgres/pacing.hpp"

#include <thread>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace millrace::postgres {

namespace {

using namespace std::chrono_literals;

// After a pause like this the first change is read at once.
constexpr auto pause = 10ms;

// A wait for a stream that brings little, and one for a stream that fills it.
constexpr auto short_wait = 500us;
constexpr auto long_wait = 4ms;

// A Unix socket counts each message with its overhead against a small limit:
// the sender stands still soon.
constexpr auto local_wait = 200us;

bool is_tcp(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0
         && address.ss_family != AF_UNIX;
}

} // namespace

size_t waiting_bytes(int fd) {
  int n = 0;
  return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? static_cast<size_t>(n) : 0;
}

void narrow_window(int fd) {
  // What a round trip inside one machine or rack takes, in microseconds.
  constexpr uint32_t near = 1000;
  constexpr int window = 32 << 10;
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0
      && info.tcpi_rtt < near)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
}

pacing::pacing(int fd) : fd_(fd), tcp_(is_tcp(fd)) {
  // nop
}

void pacing::settle() {
  auto busy = std::chrono::steady_clock::now() - last_ < pause;
  if (busy && waiting_bytes(fd_) < worth_reading) {
    if (!tcp_)
      std::this_thread::sleep_for(local_wait);
    else
      std::this_thread::sleep_for(flows_ ? long_wait : short_wait);
    flows_ = waiting_bytes(fd_) >= worth_reading;
  }
  last_ = std::chrono::steady_clock::now();
}

} // namespace millrace::postgres
