#include "olap/sessions.hpp"

#include <algorithm>
#include <vector>

namespace millrace::olap {

using std::chrono::steady_clock;

session_list::session_list(engine& e) : engine_(e), reaper_([this] { run(); }) {
  // nop
}

session_list::~session_list() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
  }
  changed_.notify_all();
  reaper_.join();
}

db_error session_list::acquire(const std::string& user, const std::string& id,
                               bool must_exist, bool readonly,
                               std::shared_ptr<session>& x) {
  {
    std::lock_guard guard{mutex_};
    auto i = slots_.find({user, id});
    if (i != slots_.end()) {
      if (i->second.busy)
        return make_error(373, "SESSION_IS_LOCKED",
                          "Session " + id
                            + " is locked by a concurrent client");
      i->second.busy = true;
      x = i->second.data;
      return {};
    }
    if (must_exist)
      return make_error(372, "SESSION_NOT_FOUND",
                        "Session " + id + " not found");
    // Taken before the connection is made: another request must not make it
    // too.
    x = std::make_shared<session>();
    slots_[{user, id}].data = x;
  }
  x->connection = engine_.connect();
  db_error err;
  if (!x->connection)
    err = parse_error("the engine refuses another connection");
  else if (readonly)
    err = x->connection.query("SET readonly = 2").error();
  if (err)
    release(user, id, {}, true);
  return err;
}

void session_list::release(const std::string& user, const std::string& id,
                           std::chrono::seconds timeout, bool close) {
  std::shared_ptr<session> dropped; // closed outside of the lock
  std::lock_guard guard{mutex_};
  auto i = slots_.find({user, id});
  if (i == slots_.end())
    return;
  if (close) {
    dropped = std::move(i->second.data);
    slots_.erase(i);
  } else {
    i->second.busy = false;
    i->second.expires = steady_clock::now() + timeout;
  }
  changed_.notify_all();
}

void session_list::clear() {
  std::lock_guard guard{mutex_};
  std::erase_if(slots_, [](auto& x) { return !x.second.busy; });
}

void session_list::run() {
  std::unique_lock guard{mutex_};
  while (!stopping_) {
    auto next = steady_clock::time_point::max();
    auto now = steady_clock::now();
    std::vector<std::shared_ptr<session>> dropped;
    for (auto i = slots_.begin(); i != slots_.end();) {
      if (!i->second.busy && i->second.expires <= now) {
        dropped.push_back(std::move(i->second.data));
        i = slots_.erase(i);
        continue;
      }
      if (!i->second.busy)
        next = std::min(next, i->second.expires);
      ++i;
    }
    if (!dropped.empty()) {
      guard.unlock();
      dropped.clear();
      guard.lock();
    } else if (next == steady_clock::time_point::max()) {
      changed_.wait(guard);
    } else {
      changed_.wait_until(guard, next);
    }
  }
}

} // namespace millrace::olap
