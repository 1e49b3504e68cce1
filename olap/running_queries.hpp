#pragma once

#include "http/server.hpp"
#include "olap/engine.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace millrace::olap {

/// A query that came over HTTP and has not been answered.
struct running_query {
  std::string id;
  std::string user;
  http::interrupter wake;
  std::atomic<bool> cancelled{false};
};

/// The queries that run, by the query id that the client knows. libchdb makes
/// ids of its own and takes none; each query carries the client's in its
/// setting log_comment, and by that the engine finds it. Thread-safe.
class running_queries {
public:
  explicit running_queries(engine& e);

  /// All queries must be gone.
  ~running_queries();

  using entry = std::shared_ptr<running_query>;

  /// Null if a query of that id runs.
  entry add(std::string id, std::string user, http::interrupter wake);
  void remove(const entry& x);

  /// Cancels a query wherever it is: while its body arrives, in the engine,
  /// while it waits for a slow client. Returns at once; false if it is unknown.
  bool cancel(const std::string& id);
  void cancel(const entry& x);
  void cancel_all();

  /// Waits until none of the queries runs.
  bool wait_until_gone(const std::vector<std::string>& ids,
                       std::chrono::milliseconds timeout);

  /// Waits until none runs.
  bool wait_until_idle(std::chrono::milliseconds timeout);

  bool has(const std::string& id) const;

private:
  void run();

  engine& engine_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<std::string, entry> entries_;
  bool stopping_ = false;
  std::thread killer_;
};

} // namespace millrace::olap
