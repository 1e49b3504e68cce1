#pragma once

#include "clickhouse/table_fit.hpp"
#include "clickhouse/target_admin.hpp"

#include <string_view>

namespace millrace::clickhouse {

/// Rows of text, as `FORMAT TabSeparated` sends them, unescaped.
using text_rows = std::vector<std::vector<std::string>>;
text_rows parse_tab_separated(std::string_view body);

/// Shared by the parts of `target_admin`; each has a source file of its own.
struct target_admin::impl {
  impl(target_options options, std::string pipeline,
       std::shared_ptr<std::atomic<bool>> stop)
    : options(options), pipeline(std::move(pipeline)),
      http(std::move(options), std::move(stop)) {
    // nop
  }

  /// Runs a statement that returns nothing. `what` comes after "cannot" in
  /// error texts.
  result<void> run(const std::string& sql, const std::string& what,
                   const parameters& xs = {});

  /// The same for a statement that makes or alters a table.
  result<void> change(const std::string& sql, const std::string& what);

  /// Runs a query under the settings that correctness needs, whatever the
  /// user's profile says. Without `FORMAT` at its end.
  result<text_rows> rows(const std::string& sql, const std::string& what,
                         const parameters& xs = {});
  result<std::string>
  row_binary(const std::string& sql, const parameters& xs, query_options how);

  /// Settings of the user's profile that would change what a query means,
  /// with the values that undo them. Asked once.
  result<parameters> neutral_settings();

  result<bool> database_exists();
  result<bool> table_exists(std::string_view name);

  /// Nothing when there is no such table.
  result<std::optional<existing_table>> describe(std::string_view name);

  /// Names of the row policies that apply to our user; none where it may not
  /// see them.
  result<std::vector<std::string>> row_policies(std::string_view table);

  /// Tells that a fact cannot be had because its table is missing.
  bool table_is_missing() const;

  target_options options;
  std::string pipeline;
  client http;
  std::optional<parameters> neutral;

  /// Version of the state written last; 0 before the first look.
  uint64_t state_version = 0;
};

} // namespace millrace::clickhouse
