#include "postgres/pacing.hpp"

#include <thread>

#include <sys/ioctl.h>

namespace millrace::postgres {

namespace {

using namespace std::chrono_literals;

constexpr auto gather = 500us;

// After a pause like this the first change is read at once.
constexpr auto pause = 1ms;

} // namespace

size_t waiting_bytes(int fd) {
  int n = 0;
  return ioctl(fd, FIONREAD, &n) == 0 && n > 0 ? static_cast<size_t>(n) : 0;
}

void pacing::settle(int fd) {
  auto busy = std::chrono::steady_clock::now() - last_ < pause;
  if (busy && waiting_bytes(fd) < worth_reading)
    std::this_thread::sleep_for(gather);
  last_ = std::chrono::steady_clock::now();
}

} // namespace millrace::postgres
