#pragma once

#include "clickhouse/options.hpp"
#include "messages/target_table.hpp"

#include <string>
#include <vector>

namespace millrace::clickhouse {

/// A table as the server describes it (system.tables, system.columns).
struct existing_table {
  struct column {
    std::string name;
    std::string type;
    /// Empty, DEFAULT, MATERIALIZED, ALIAS or EPHEMERAL.
    std::string default_kind;
    bool in_sorting_key = false;
    bool in_partition_key = false;
    /// Expression of the column's own TTL.
    std::string ttl = {};
  };

  std::string engine;
  /// Engine with arguments, PARTITION BY, ORDER BY, TTL, SETTINGS.
  std::string engine_full;
  std::string sorting_key;
  std::vector<column> columns;

  /// Those that apply to our user.
  std::vector<std::string> row_policies = {};
};

/// What it takes to use an existing table.
struct table_fit {
  /// Why it cannot be used, one line each. Nothing is changed then.
  std::vector<std::string> problems;

  /// Statements that make it fit: columns to add, types to widen.
  std::vector<std::string> statements;
};

/// Compares an existing table with the one that is wanted: engine, types
/// column by column, and that ORDER BY holds the whole key and, like PARTITION
/// BY and TTL, nothing else. A tombstone carries defaults outside of the key,
/// so any other expression would bring deleted rows back. Columns with a TTL of
/// their own and row policies would make other rows of what was written.
table_fit fit(const target_options& options, const target_table& wanted,
              const existing_table& found);

} // namespace millrace::clickhouse
