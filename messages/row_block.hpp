#pragma once

#include "messages/change_batch.hpp"
#include "messages/target_table.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// Bytes in pieces: large values stay where they are.
struct native_bytes {
  /// All but the large values.
  std::string own;

  /// Bytes that belong between those of `own`: before the one at `at`.
  struct piece {
    size_t at = 0;
    std::string_view bytes;
  };

  /// Ascending.
  std::vector<piece> large;

  size_t size() const;

  /// In order; they live as long as this does, and what `large` refers to.
  std::vector<std::string_view> pieces() const;

  /// All in one.
  std::string text() const;
};

/// Rows ready for the target: one block in ClickHouse's Native format, header
/// included. Several blocks of one table make one insert.
struct row_block {
  target_table_ptr table;
  native_bytes native;

  /// What the large values of `native` lie in.
  std::shared_ptr<const void> owner;
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
