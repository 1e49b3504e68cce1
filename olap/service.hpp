#pragma once

#include "http/server.hpp"
#include "http/target.hpp"
#include "olap/engine.hpp"
#include "olap/origin.hpp"
#include "olap/running_queries.hpp"
#include "olap/sessions.hpp"
#include "olap/users.hpp"

#include <atomic>
#include <chrono>
#include <string>

namespace millrace::olap {

/// ClickHouse's HTTP interface over an engine. Thread-safe.
class service {
public:
  /// `scratch` is a folder for results that wait for the end of their query.
  service(engine& e, user_list users, origin_policy policy,
          std::string scratch);

  /// Answers one request.
  void handle(const http::call& x);

  /// Refuses new queries, lets those that run end for up to `grace`, then
  /// cancels them.
  void stop(std::chrono::milliseconds grace);

private:
  void answer(const http::call& x, const http::target& target);
  void not_found(http::response_writer& out, const std::string& path);

  engine& engine_;
  user_list users_;
  origin_policy policy_;
  std::string scratch_;
  std::atomic<bool> stopping_{false};
  running_queries running_;
  session_list sessions_;
};

} // namespace millrace::olap
