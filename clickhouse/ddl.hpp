#pragma once

#include "clickhouse/options.hpp"
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

/// `INSERT INTO db.t (all columns of a block) FORMAT Native`.
std::string
insert_statement(const target_options& options, const target_table& x);

} // namespace millrace::clickhouse::ddl
