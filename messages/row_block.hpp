#pragma once

#include "messages/change_batch.hpp"
#include "messages/target_table.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// Rows ready for the target: one block in ClickHouse's Native format, header
/// included. Several blocks of one table make one insert.
struct row_block {
  target_table_ptr table;
  std::string native;
  uint64_t rows = 0;

  /// Oldest commit in the block, microseconds since 1970 UTC; 0 for snapshots.
  int64_t oldest_commit = 0;

  /// Somebody waits for it: insert without collecting more.
  bool urgent = false;

  /// Part of a block that was refused: insert it without any other.
  bool alone = false;
};

using row_block_ptr = std::shared_ptr<const row_block>;

/// A change that could not be written, for the dead-letter store.
struct dead_letter {
  /// `schema.name` of the source table.
  std::string table;
  operation op = operation::insert;
  version at;
  int64_t committed_at = 0;

  /// The whole event as JSON: {"before": {...}, "after": {...}}; values are
  /// PostgreSQL's text.
  std::string event;

  /// The key as JSON, empty without key.
  std::string key;
  std::string error;
};

/// A change of a row that was put aside: the target does not have what it
/// brought.
struct refused_change {
  version at;

  /// Names of the source columns whose values it brought.
  std::vector<std::string> columns;
};

} // namespace millrace
