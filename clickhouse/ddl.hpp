#pragma once

#include "clickhouse/options.hpp"
#include "messages/lsn.hpp"
#include "messages/target_table.hpp"

#include <string>
#include <string_view>
#include <vector>

/// Statements as text. All names are qualified with the target's database, so
/// none depends on the session's.
namespace millrace::clickhouse::ddl {

/// Names of millrace's own tables in the target's database.
inline constexpr std::string_view state_table = "_millrace_state";
inline constexpr std::string_view dead_letter_table = "_dead_letters";

/// A column that millrace adds to each target table.
struct added_column {
  std::string name;
  std::string type;
  /// `ALIAS ...` or empty.
  std::string expression;
  std::string comment;
};

/// The added columns of a table, in their order.
std::vector<added_column> added_columns(const target_table& x);

/// Names of the columns of ORDER BY, in its order.
std::vector<std::string> key_names(const target_table& x);

/// Columns of the key with their types; what a key in RowBinary consists of.
std::vector<target_column> key_columns(const target_table& x);

std::string create_database(const target_options& options);
std::string create_table(const target_options& options, const target_table& x);
std::string create_state_table(const target_options& options);
std::string create_dead_letter_table(const target_options& options);

/// `after` empty: at the end.
std::string add_column(const target_options& options, const target_table& table,
                       const target_column& x, std::string_view after);
std::string add_column(const target_options& options, const target_table& table,
                       const added_column& x);
std::string modify_column(const target_options& options,
                          const target_table& table, const target_column& x);

/// A version as UInt128 in a statement.
std::string version_literal(const version& x);

/// Tombstones of version `at` for all live rows below a version.
std::string
clear_statement(const target_options& options, const target_table& x,
                version below, version at, int64_t committed_at);

// Clean-up. None of the three is ON CLUSTER: a replicated table tells its
// replicas itself, and other servers have rows of others.

/// Waits until the replica has what all replicas have.
std::string
sync_statement(const target_options& options, const target_table& x);

/// Leaves one row of each key in a partition, or fails.
std::string merge_statement(const target_options& options,
                            const target_table& x, std::string_view partition);

/// Condition: a tombstone with a lower version.
std::string old_tombstones(version below);

/// Deletes such tombstones from a partition in which nothing older is left of
/// their keys: to be run after `merge_statement`, never alone.
std::string
remove_statement(const target_options& options, const target_table& x,
                 std::string_view partition, version below);

/// `INSERT INTO db.t (all columns of a block) FORMAT Native`.
std::string
insert_statement(const target_options& options, const target_table& x);

} // namespace millrace::clickhouse::ddl
