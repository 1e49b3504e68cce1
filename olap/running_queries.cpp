#include "olap/running_queries.hpp"

#include <algorithm>

namespace millrace::olap {

running_queries::running_queries(engine& e)
  : engine_(e), killer_([this] { run(); }) {
  // nop
}

running_queries::~running_queries() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  changed_.notify_all();
  killer_.join();
}

running_queries::entry
running_queries::add(std::string id, std::string user, http::interrupter wake) {
  auto x = std::make_shared<running_query>();
  x->id = std::move(id);
  x->user = std::move(user);
  x->wake = std::move(wake);
  std::lock_guard guard{mutex_};
  return entries_.emplace(x->id, x).second ? x : nullptr;
}

void running_queries::remove(const entry& x) {
  std::lock_guard guard{mutex_};
  entries_.erase(x->id);
  changed_.notify_all();
}

bool running_queries::cancel(const std::string& id) {
  std::lock_guard guard{mutex_};
  auto i = entries_.find(id);
  if (i == entries_.end())
    return false;
  if (!i->second->cancelled.exchange(true))
    i->second->wake.interrupt();
  changed_.notify_all();
  return true;
}

void running_queries::cancel(const entry& x) {
  std::lock_guard guard{mutex_};
  auto i = entries_.find(x->id);
  if (i == entries_.end() || i->second != x)
    return;
  if (!x->cancelled.exchange(true))
    x->wake.interrupt();
  changed_.notify_all();
}

void running_queries::cancel_all() {
  std::lock_guard guard{mutex_};
  for (auto& [id, x] : entries_)
    if (!x->cancelled.exchange(true))
      x->wake.interrupt();
  changed_.notify_all();
}

bool running_queries::wait_until_gone(const std::vector<std::string>& ids,
                                      std::chrono::milliseconds timeout) {
  std::unique_lock guard{mutex_};
  return changed_.wait_for(guard, timeout, [&] {
    return std::none_of(ids.begin(), ids.end(), [&](auto& id) {
      return entries_.find(id) != entries_.end();
    });
  });
}

bool running_queries::has(const std::string& id) const {
  std::lock_guard guard{mutex_};
  return entries_.find(id) != entries_.end();
}

bool running_queries::wait_until_idle(std::chrono::milliseconds timeout) {
  std::unique_lock guard{mutex_};
  return changed_.wait_for(guard, timeout, [&] { return entries_.empty(); });
}

void running_queries::run() {
  std::unique_lock guard{mutex_};
  for (;;) {
    std::string ids;
    for (auto& [id, x] : entries_)
      if (x->cancelled)
        ids += (ids.empty() ? "" : ", ") + quote(id);
    if (ids.empty()) {
      if (stopping_)
        return;
      changed_.wait(guard);
      continue;
    }
    guard.unlock();
    // Again and again: a query may not have reached the engine yet.
    if (auto c = engine_.connect())
      c.query("KILL QUERY WHERE Settings['log_comment'] IN (" + ids
              + ") ASYNC");
    guard.lock();
    changed_.wait_for(guard, std::chrono::milliseconds{50});
  }
}

} // namespace millrace::olap
