#include "clickhouse/ddl.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/table_text.hpp"
#include "clickhouse/target_admin_impl.hpp"

#include <algorithm>

namespace millrace::clickhouse {

namespace {

constexpr int unknown_table = 60;
constexpr int unknown_database = 81;

} // namespace

bool target_admin::impl::table_is_missing() const {
  return http.server_code() == unknown_table
         || http.server_code() == unknown_database;
}

result<bool> target_admin::impl::database_exists() {
  auto found = rows("SELECT count() FROM system.databases WHERE name = "
                      + quote_literal(options.database),
                    "look for the database");
  if (!found)
    return tl::unexpected(std::move(found.error()));
  return !found->empty() && found->front()[0] != "0";
}

result<bool> target_admin::impl::table_exists(std::string_view name) {
  auto found = rows("SELECT count() FROM system.tables WHERE database = "
                      + quote_literal(options.database)
                      + " AND name = " + quote_literal(name),
                    "look for a table");
  if (!found)
    return tl::unexpected(std::move(found.error()));
  return !found->empty() && found->front()[0] != "0";
}

result<std::vector<std::string>>
target_admin::impl::row_policies(std::string_view table) {
  constexpr int access_denied = 497;
  auto found = rows(
    "SELECT short_name FROM system.row_policies WHERE database = "
      + quote_literal(options.database) + " AND table IN ("
      + quote_literal(table)
      + ", '') AND if(apply_to_all, NOT hasAny(apply_to_except, "
        "arrayConcat([currentUser()], enabledRoles())), hasAny(apply_to_list, "
        "arrayConcat([currentUser()], enabledRoles())))",
    "look for row policies");
  std::vector<std::string> out;
  if (!found) {
    // Who may not see them cannot be told; that is most users.
    if (http.server_code() == access_denied)
      return out;
    return tl::unexpected(std::move(found.error()));
  }
  for (auto& row : *found)
    out.push_back(row[0]);
  return out;
}

result<std::optional<existing_table>>
target_admin::impl::describe(std::string_view name) {
  auto what = "describe \"" + std::string{name} + '"';
  auto found = rows("SELECT engine, engine_full, sorting_key, "
                    "create_table_query FROM "
                    "system.tables WHERE database = "
                      + quote_literal(options.database)
                      + " AND name = " + quote_literal(name),
                    what);
  if (!found)
    return tl::unexpected(std::move(found.error()));
  if (found->empty())
    return std::nullopt;
  auto columns = rows("SELECT name, type, default_kind, is_in_sorting_key, "
                      "is_in_partition_key FROM system.columns WHERE database "
                      "= "
                        + quote_literal(options.database) + " AND table = "
                        + quote_literal(name) + " ORDER BY position",
                      what);
  if (!columns)
    return tl::unexpected(std::move(columns.error()));
  existing_table out;
  auto& row = found->front();
  // Seen on a full disk: the table is listed, but its definition is not there.
  if (row[0].empty())
    return fail(ec::target_failed,
                "cannot " + what
                  + ": the server does not say what its engine is; look at the "
                    "server's log and disk");
  out.engine = row[0];
  out.engine_full = row.at(1);
  out.sorting_key = row.at(2);
  auto ttls = column_ttls(row.size() > 3 ? row[3] : std::string{});
  for (auto& x : *columns)
    out.columns.push_back(
      {x[0], x.at(1), x.at(2), x.at(3) == "1", x.at(4) == "1", ttls[x[0]]});
  auto policies = row_policies(name);
  if (!policies)
    return tl::unexpected(std::move(policies.error()));
  out.row_policies = std::move(*policies);
  return out;
}

target_admin::target_admin(target_options options, std::string pipeline,
                           std::shared_ptr<std::atomic<bool>> stop)
  : impl_(std::make_unique<impl>(std::move(options), std::move(pipeline),
                                 std::move(stop))) {
  // nop
}

target_admin::~target_admin() = default;

std::string target_admin::insert_prefix(const std::string& pipeline) {
  // The end of the name is marked: "shop" is not the beginning of "shop-2".
  return "millrace/" + pipeline + "/";
}

result<void> target_admin::end_inserts() {
  return impl_->http.kill_all(insert_prefix(impl_->pipeline));
}

result<void> target_admin::prepare() {
  auto& x = *impl_;
  // Asked first: the user may lack the privilege to create what is there.
  auto found = x.rows("SELECT 'database' FROM system.databases WHERE name = "
                        + quote_literal(x.options.database)
                        + " UNION ALL SELECT name FROM system.tables WHERE "
                          "database = "
                        + quote_literal(x.options.database) + " AND name IN ("
                        + quote_literal(ddl::state_table) + ", "
                        + quote_literal(ddl::dead_letter_table) + ')',
                      "look for the database and millrace's own tables");
  if (!found)
    return tl::unexpected(std::move(found.error()));
  auto make = [&](std::string_view name, const std::string& sql,
                  const std::string& what) -> result<void> {
    auto exists = std::any_of(found->begin(), found->end(),
                              [&](const auto& row) { return row[0] == name; });
    return exists ? result<void>{} : x.run(sql, "create " + what);
  };
  auto out = make("database", ddl::create_database(x.options),
                  "database \"" + x.options.database + '"');
  if (!out)
    return out;
  out = make(ddl::state_table, ddl::create_state_table(x.options),
             "the state table");
  if (!out)
    return out;
  return make(ddl::dead_letter_table, ddl::create_dead_letter_table(x.options),
              "the dead-letter table");
}

result<void> target_admin::note_missing_table(const std::string& source) {
  auto state = load_state();
  if (!state)
    return tl::unexpected(std::move(state.error()));
  if (state->count({"table", source}) == 0)
    return {};
  return save_state({{{"quarantine", source},
                      "its target table was not there and has been made again"},
                     // What the slot has waited for is not all that it lacks.
                     {{"held", source}, ""}});
}

result<void> target_admin::ensure(const target_table& wanted) {
  auto& x = *impl_;
  auto what = "\"" + wanted.name + '"';
  auto found = x.describe(wanted.name);
  if (!found)
    return tl::unexpected(std::move(found.error()));
  if (!*found) {
    // Rows that it had are gone, whatever the state says of them.
    auto noted = note_missing_table(wanted.source->full_name());
    if (!noted)
      return noted;
    auto made
      = x.change(ddl::create_table(x.options, wanted), "create table " + what);
    if (!made)
      return made;
    // Somebody else may have made another one meanwhile.
    found = x.describe(wanted.name);
    if (!found)
      return tl::unexpected(std::move(found.error()));
    if (!*found)
      return fail(ec::target_failed,
                  "table " + what
                    + " has just been created "
                      "and is not there: is it seen by another replica?");
  }
  auto difference = fit(x.options, wanted, **found);
  if (!difference.problems.empty()) {
    std::string text = "table " + what + " in database \"" + x.options.database
                       + "\" does not fit " + wanted.source->full_name() + ": ";
    for (auto& problem : difference.problems)
      text += (&problem == &difference.problems.front() ? "" : "; ") + problem;
    auto name = quote_name(x.options.database, wanted.name);
    text += ": RENAME TABLE " + name + " TO "
            + quote_name(x.options.database, wanted.name + "_old")
            + " (or name another target table by [target] names), then "
              "millrace snapshot --table "
            + wanted.source->full_name();
    return fail(ec::table_unsuitable, std::move(text));
  }
  for (auto& statement : difference.statements) {
    auto done = x.change(statement, "alter table " + what);
    if (!done)
      return done;
  }
  return {};
}

result<lsn> target_admin::highest_version(const target_table& table) {
  auto& x = *impl_;
  auto found = x.rows("SELECT bitShiftRight(max(_version), 64) FROM "
                        + quote_name(x.options.database, table.name),
                      "read the highest version of \"" + table.name + '"');
  if (!found) {
    if (x.table_is_missing())
      return lsn{};
    return tl::unexpected(std::move(found.error()));
  }
  lsn out;
  if (!found->empty())
    out.value = std::stoull(found->front()[0]);
  return out;
}

} // namespace millrace::clickhouse
