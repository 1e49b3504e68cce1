#include "http/client_watch.hpp"

#include <cerrno>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>

namespace millrace::http {

client_watch::client_watch()
  : epoll_(epoll_create1(EPOLL_CLOEXEC)),
    stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u64 = 0;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), &e);
  thread_ = std::thread{[this] { run(); }};
}

client_watch::~client_watch() {
  uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof(one)) == sizeof(one))
    thread_.join();
  else
    thread_.detach();
}

uint64_t client_watch::watch(int fd, std::function<void()> f) {
  auto x = std::make_shared<entry>();
  x->fd = fd;
  x->f = std::move(f);
  std::lock_guard guard{mutex_};
  auto id = next_id_++;
  entries_.emplace(id, std::move(x));
  epoll_event e{};
  e.events = EPOLLRDHUP | EPOLLONESHOT;
  e.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e);
  return id;
}

void client_watch::forget(uint64_t id) {
  std::shared_ptr<entry> x;
  {
    std::lock_guard guard{mutex_};
    auto i = entries_.find(id);
    if (i == entries_.end())
      return;
    x = std::move(i->second);
    entries_.erase(i);
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, x->fd, nullptr);
  }
  std::lock_guard guard{x->mutex};
  x->f = nullptr;
}

void client_watch::run() {
  epoll_event events[64];
  for (;;) {
    auto n = epoll_wait(epoll_.get(), events, 64, -1);
    if (n < 0 && errno != EINTR)
      return;
    for (int i = 0; i < n; ++i) {
      // A copy: the struct is packed, and a map's key is taken by reference.
      uint64_t id = events[i].data.u64;
      if (id == 0)
        return;
      std::shared_ptr<entry> x;
      {
        std::lock_guard guard{mutex_};
        auto found = entries_.find(id);
        if (found != entries_.end())
          x = found->second;
      }
      if (!x)
        continue;
      std::lock_guard guard{x->mutex};
      if (x->f)
        x->f();
    }
  }
}

} // namespace millrace::http
