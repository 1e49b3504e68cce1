#pragma once

#include <chrono>
#include <cstddef>

namespace millrace::postgres {

/// Bytes that the socket has received and nobody has read.
size_t waiting_bytes(int fd);

/// A reader that takes less than this at a time reads too eagerly: the server
/// then pays a wake-up for each change (measured: half the speed over TCP).
constexpr size_t worth_reading = 8192;

/// Lets a busy stream gather before it is read. For the thread that polls the
/// socket of a `replication_reader`; not thread safe.
class pacing {
public:
  /// To be called when `fd` has turned readable, before the reader is told:
  /// returns at once when much is waiting or when the stream was idle until
  /// now, else after half a millisecond.
  void settle(int fd);

private:
  std::chrono::steady_clock::time_point last_;
};

} // namespace millrace::postgres
