#pragma once

#include "app/addresses.hpp"
#include "clickhouse/options.hpp"
#include "postgres/options.hpp"
#include "transform/mapping.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace caf {

class actor_system_config;

} // namespace caf

namespace millrace {

/// How the node logs (section [millrace]).
struct log_options {
  /// trace, debug, info, warning, error.
  std::string level = "info";

  /// Empty: standard error.
  std::string file;
  bool json = false;
};

/// Section [limits].
struct limit_options {
  /// Bytes that were read from the stream and are not yet durable.
  uint64_t window_bytes = 33'554'432;

  /// The same for all snapshots together.
  uint64_t snapshot_window_bytes = 50'331'648;

  /// Size of a table's pieces in its snapshot: what a crash repeats.
  uint64_t snapshot_chunk_bytes = 33'554'432;

  /// A batch of changes on its way through the node.
  uint32_t batch_rows = 8'192;
  uint64_t batch_bytes = 1'048'576;

  /// An insert of one table, at most.
  uint32_t insert_rows = 131'072;
  uint64_t insert_bytes = 33'554'432;

  /// How long a row waits for others while the target is idle.
  std::chrono::milliseconds flush_wait{20};

  /// Over all tables.
  uint32_t inserts_per_second = 50;

  /// Open dead letters of a table; one more lets the table go.
  uint64_t max_dead_letters = 1'000;

  /// The slot waits for a quarantined table; else the stream goes on without.
  bool hold = false;

  /// A node that lags more is not ready.
  std::chrono::milliseconds ready_lag{60'000};
};

/// Section [scheduler], for CAF.
struct scheduler_options {
  /// "sharing" or "stealing".
  std::string policy = "sharing";

  /// 0: as many as the machine has cores, at least 4.
  uint32_t max_threads = 0;
};

/// Everything that a user can say. A default-constructed one has the built-in
/// defaults; `conf/millrace.conf` lists them.
struct configuration {
  /// The file that it was read from.
  std::string file;
  std::string pipeline;
  log_options log;
  postgres::source_options source;

  /// Whether rows that exist before are taken (`snapshot = "initial"`).
  bool snapshot = true;
  uint32_t snapshot_connections = 2;
  clickhouse::target_options target;
  transform::mapping_options mapping;

  /// Transformers of each table.
  uint32_t transformer_shards = 1;
  limit_options limits;
  listen_address http;
  scheduler_options scheduler;
};

/// Every problem of a file, each `section.entry: expected ..., got ...`.
using configuration_problems = std::vector<std::string>;

/// Whether password files are read; `millrace status` needs no password, and
/// whoever calls it may not be allowed to.
enum class secrets : uint8_t { read, skip };

/// Reads a file. Relative paths in it start at its folder. Passwords come from
/// the files that it names, or from MILLRACE_SOURCE_PASSWORD and
/// MILLRACE_TARGET_PASSWORD, which go first. Problems begin with the file's
/// name. Never throws.
tl::expected<configuration, configuration_problems>
read_configuration(const std::string& path, secrets what = secrets::read);

/// The same from a text; `path` is only what problems name and what relative
/// paths start at.
tl::expected<configuration, configuration_problems>
parse_configuration(std::string_view text, const std::string& path,
                    secrets what = secrets::read);

/// Hands the section [scheduler] to CAF.
void apply(const scheduler_options& x, caf::actor_system_config& cfg);

} // namespace millrace
