#pragma once

#include "olap/engine.hpp"

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace millrace::olap {

/// A connection that outlives a request.
struct session {
  engine_connection connection;

  /// The current database, quoted.
  std::string database = "default";

  /// Settings that the client changed with SET: what a request sets for itself
  /// must be put back to these.
  std::set<std::string, std::less<>> own_settings;
};

/// Keeps sessions by user and session_id, one request at a time in each, and
/// drops those unused for their timeout. Thread-safe.
class session_list {
public:
  explicit session_list(engine& e);
  ~session_list();

  /// The session, made if it is missing. Fails with 373 while another request
  /// uses it, with 372 if it is missing and `must_exist`.
  db_error acquire(const std::string& user, const std::string& id,
                   bool must_exist, bool readonly, std::shared_ptr<session>& x);

  /// Gives it back; `close` drops it.
  void release(const std::string& user, const std::string& id,
               std::chrono::seconds timeout, bool close);

  /// Drops all that no request uses.
  void clear();

private:
  struct slot {
    std::shared_ptr<session> data;
    bool busy = true;
    std::chrono::steady_clock::time_point expires;
  };
  using key = std::pair<std::string, std::string>;

  void run();

  engine& engine_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<key, slot> slots_;
  bool stopping_ = false;
  std::thread reaper_;
};

} // namespace millrace::olap
