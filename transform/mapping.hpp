#pragma once

#include "messages/ec.hpp"
#include "messages/target_table.hpp"

#include <map>
#include <string>
#include <vector>

namespace millrace::transform {

/// What the target's server can hold; probed at start.
struct server_limits {
  /// Days since 1970-01-01 that Date32 holds exactly.
  int32_t date_min = -25567; // 1900-01-01
  int32_t date_max = 120529; // 2299-12-31

  /// Microseconds since 1970-01-01 that DateTime64(6) holds exactly.
  int64_t timestamp_min = -2208988800000000;
  int64_t timestamp_max = 10413791999999999;
};

/// What the user says about names and types (section [target]).
struct mapping_options {
  /// The target's database; how long table names may be depends on it.
  std::string database = "millrace";

  /// Type defaults instead of Nullable columns.
  bool null_as_default = false;

  /// Tables of which this is said one by one (`schema.table`).
  std::map<std::string, bool> null_as_default_of;

  /// Values beyond the range go to the dead letters instead of the nearest end.
  bool refuse_out_of_range = false;

  /// Target names of tables: `schema.table` to name.
  std::map<std::string, std::string> table_names;

  /// Per column, `schema.table.column`: target type and name; empty = default.
  struct column_choice {
    std::string type;
    std::string name;
  };
  std::map<std::string, column_choice> columns;
};

/// Derives the target table of a source table (docs/types.md). Failure
/// `table_unsuitable` lists everything that cannot be, each with its remedy.
result<target_table_ptr>
map_table(table_description_ptr table, const mapping_options& options);

/// Source tables that would share a target table, as lines for the user.
std::vector<std::string>
name_clashes(const std::vector<target_table_ptr>& tables);

/// Choices that name a table or column that is not there, as lines for the
/// user: an option that does nothing is a mistake.
std::vector<std::string>
unused_choices(const std::vector<target_table_ptr>& tables,
               const mapping_options& options);

/// What `check` says about a table that can be followed all the same: values
/// that may be saturated, columns left out, inserts only.
std::vector<std::string>
remarks(const target_table& table, const server_limits& limits);

} // namespace millrace::transform
