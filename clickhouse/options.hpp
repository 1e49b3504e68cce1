#pragma once

#include <chrono>
#include <cstdint>
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

  /// What was deleted so long ago need not be remembered as deleted; zero: all
  /// tombstones stay.
  std::chrono::milliseconds tombstone_age{std::chrono::hours{168}};

  /// How often tombstones are looked for.
  std::chrono::milliseconds tombstone_interval{std::chrono::hours{1}};

  /// Share of a partition's rows that pays for writing it anew.
  uint32_t tombstone_percent = 10;

  bool is_replicated() const {
    return engine.rfind("Replicated", 0) == 0;
  }
};

} // namespace millrace::clickhouse
