#pragma once

#include <chrono>
#include <string>

namespace millrace::clickhouse {

/// What the user says about the target (section [target]).
struct target_options {
  /// `http://127.0.0.1:8123` or `https://...`.
  std::string url = "http://127.0.0.1:8123";
  std::string user = "default";

  /// From `password-file` or the environment; never logged.
  std::string password;
  std::string database = "millrace";

  /// PEM file; empty for the system's authorities.
  std::string ca_file;
  std::chrono::milliseconds connect_timeout{5'000};

  /// Ends a request on which nothing moved for so long.
  std::chrono::milliseconds stall_timeout{60'000};

  /// "fsync" or "process" (docs/operations.md).
  bool fsync = true;

  /// Replicated servers: empty, or the name for ON CLUSTER.
  std::string cluster;
  std::string engine = "ReplacingMergeTree";
};

} // namespace millrace::clickhouse
