#pragma once

#include "http/socket.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace millrace::http {

/// Notices that clients close their side while nobody reads from them. One
/// thread for all connections; costs nothing while nothing happens.
class client_watch {
public:
  client_watch();
  ~client_watch();
  client_watch(const client_watch&) = delete;

  /// Calls `f` once in the watching thread when the peer of `fd` has closed.
  uint64_t watch(int fd, std::function<void()> f);

  /// Ends the watch; must come before `fd` is closed. `f` does not run when
  /// this has returned.
  void forget(uint64_t id);

private:
  struct entry {
    int fd = -1;
    std::mutex mutex;
    std::function<void()> f;
  };

  void run();

  unique_fd epoll_;
  unique_fd stop_;
  std::mutex mutex_;
  uint64_t next_id_ = 1;
  std::unordered_map<uint64_t, std::shared_ptr<entry>> entries_;
  std::thread thread_;
};

} // namespace millrace::http
