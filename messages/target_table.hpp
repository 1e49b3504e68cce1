#pragma once

#include "messages/table_description.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// A column of a target table that is filled from a source column. The columns
/// that millrace adds (`_version` ...) are not listed: every table has them.
struct target_column {
  std::string name;

  /// ClickHouse type as text, canonical: `Nullable(DateTime64(6, 'UTC'))`.
  std::string type;

  /// Index in `target_table::source->columns`.
  uint32_t source = 0;
  bool key = false;

  /// Values beyond the range: dead letter instead of the nearest end.
  bool refuse_out_of_range = false;
  std::string comment;

  friend bool operator==(const target_column&, const target_column&) = default;
};

/// Where the rows of one source table go, as of one description of it.
struct target_table {
  /// Unquoted, in the target's database.
  std::string name;
  table_description_ptr source;
  std::vector<target_column> columns;

  /// Indexes into `columns`, in the order of ORDER BY. Tables without key have
  /// none: `_row_hash`, `_row_number` (full_row) or `_version` order them.
  std::vector<uint32_t> order_by;
};

using target_table_ptr = std::shared_ptr<const target_table>;

} // namespace millrace
