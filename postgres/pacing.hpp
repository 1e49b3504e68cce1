#pragma once

#include <chrono>
#include <cstddef>

namespace millrace::postgres {

/// Bytes that the socket has received and nobody has read.
size_t waiting_bytes(int fd);

/// A reader that takes less than this at a time reads too eagerly: the server
/// then pays a wake-up for each change (measured: half the speed over TCP).
constexpr size_t worth_reading = 8192;

/// Makes the TCP window small when the server is near. The server sends each
/// change by itself, and a segment for each costs it more than decoding does;
/// behind a full window changes gather into large segments (measured: half the
/// walsender's CPU). To be called once the connection stands. Does nothing to
/// other sockets, and to far servers, whose window must hold a round trip.
void narrow_window(int fd);

/// Lets a busy stream gather before it is read. For the thread that polls the
/// socket of a `replication_reader`; not thread safe.
class pacing {
public:
  explicit pacing(int fd);

  /// To be called when the socket has turned readable, before the reader is
  /// told: returns at once when much is waiting or when the stream was idle
  /// until now, else after 0.5 ms, or 4 ms while such waits bring much.
  void settle();

private:
  int fd_;
  bool tcp_;

  /// The last wait brought much.
  bool flows_ = false;
  std::chrono::steady_clock::time_point last_;
};

} // namespace millrace::postgres
