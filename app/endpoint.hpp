#pragma once

#include "actors/metrics.hpp"
#include "app/addresses.hpp"
#include "messages/ec.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace millrace {

/// What the endpoint answers to a request.
struct page {
  unsigned status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
};

/// The page for a path (without query) of the node whose metrics these are.
page make_page(std::string_view path, const metrics& xs,
               std::chrono::nanoseconds ready_lag);

/// The node's HTTP side: /healthz, /readyz, /status (JSON), /metrics
/// (Prometheus), and a page for people at /. Reads `metrics` only, so it
/// answers whatever the actors do; but POST /snapshot, with the name of a table
/// as body, asks them.
class endpoint {
public:
  endpoint(std::shared_ptr<const metrics> xs,
           std::chrono::nanoseconds ready_lag);
  ~endpoint();
  endpoint(const endpoint&) = delete;

  /// Listens and serves until destruction. `local_failure` when the address is
  /// taken or not ours.
  result<void> start(const listen_address& address);

  /// Who takes a table again; null, as at the beginning: nobody. The failure
  /// goes to whoever asked. Waits for a call that runs.
  void on_snapshot(std::function<result<void>(const std::string& table)> f);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace millrace
