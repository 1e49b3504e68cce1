#include "clickhouse/ddl.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/target_admin_impl.hpp"
#include "messages/failure_point.hpp"

namespace millrace::clickhouse {

namespace {

constexpr int unknown_table = 60;
constexpr int unknown_database = 81;

/// Settings that a profile may have changed, with their harmless values. Only
/// those that the server knows and that have been changed are sent.
constexpr std::pair<const char*, const char*> harmless[] = {
  {"additional_result_filter", ""},
  {"additional_table_filters", "{}"},
  {"aggregate_functions_null_for_empty", "0"},
  {"allow_experimental_parallel_reading_from_replicas", "0"},
  {"data_type_default_nullable", "0"},
  {"enable_parallel_replicas", "0"},
  {"extremes", "0"},
  {"final", "0"},
  {"force_index_by_date", "0"},
  {"force_primary_key", "0"},
  {"group_by_overflow_mode", "throw"},
  {"limit", "0"},
  {"offset", "0"},
  {"optimize_move_to_prewhere_if_final", "0"},
  {"output_format_tsv_crlf_end_of_line", "0"},
  {"read_overflow_mode", "throw"},
  {"result_overflow_mode", "throw"},
  {"set_overflow_mode", "throw"},
  {"timeout_overflow_mode", "throw"},
  {"transform_null_in", "0"},
  {"use_query_cache", "0"},
  {"use_skip_indexes_if_final", "0"},
};

} // namespace

text_rows parse_tab_separated(std::string_view body) {
  text_rows out;
  std::vector<std::string> row(1);
  for (size_t i = 0; i < body.size(); ++i) {
    auto c = body[i];
    if (c == '\n') {
      out.push_back(std::move(row));
      row.assign(1, {});
    } else if (c == '\t') {
      row.emplace_back();
    } else if (c == '\\' && i + 1 < body.size()) {
      constexpr std::string_view from = "ntr0bfv";
      constexpr std::string_view to{"\n\t\r\0\b\f\v", 7};
      auto at = from.find(body[++i]);
      row.back() += at != std::string_view::npos ? to[at] : body[i];
    } else {
      row.back() += c;
    }
  }
  return out;
}

result<void>
target_admin::impl::run(const std::string& sql, const std::string& what,
                        const parameters& xs) {
  query_options how;
  how.what = what;
  how.patient = true;
  auto settings = neutral_settings();
  if (!settings)
    return tl::unexpected(std::move(settings.error()));
  settings->insert(settings->end(), xs.begin(), xs.end());
  auto out = http.query(sql, *settings, how);
  if (!out)
    return tl::unexpected(std::move(out.error()));
  return {};
}

result<void>
target_admin::impl::change(const std::string& sql, const std::string& what) {
  auto passed = failure_point("ddl_sent.before", ec::target_unavailable);
  if (!passed)
    return passed;
  auto done = run(sql, what);
  if (!done)
    return done;
  return failure_point("ddl_sent.after", ec::target_unavailable);
}

result<text_rows>
target_admin::impl::rows(const std::string& sql, const std::string& what,
                         const parameters& xs) {
  auto settings = neutral_settings();
  if (!settings)
    return tl::unexpected(std::move(settings.error()));
  settings->insert(settings->end(), xs.begin(), xs.end());
  auto out = http.query(sql + " FORMAT TabSeparated", *settings, {what, {}});
  if (!out)
    return tl::unexpected(std::move(out.error()));
  return parse_tab_separated(*out);
}

result<std::string>
target_admin::impl::row_binary(const std::string& sql, const std::string& what,
                               const parameters& xs) {
  auto settings = neutral_settings();
  if (!settings)
    return tl::unexpected(std::move(settings.error()));
  settings->insert(settings->end(), xs.begin(), xs.end());
  return http.query(sql + " FORMAT RowBinary", *settings, {what, {}});
}

result<parameters> target_admin::impl::neutral_settings() {
  if (neutral)
    return *neutral;
  std::string names;
  for (auto& [name, value] : harmless)
    names += (names.empty() ? "'" : ", '") + std::string{name} + '\'';
  auto body
    = http.query("SELECT name FROM system.settings WHERE changed AND name IN ("
                   + names + ") FORMAT TabSeparated",
                 {}, {"use ClickHouse", {}});
  if (!body)
    return tl::unexpected(std::move(body.error()));
  parameters out;
  for (auto& row : parse_tab_separated(*body))
    for (auto& [name, value] : harmless)
      if (row[0] == name)
        out.emplace_back(name, value);
  neutral = out;
  return out;
}

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

result<std::optional<existing_table>>
target_admin::impl::describe(std::string_view name) {
  auto what = "describe \"" + std::string{name} + '"';
  auto found = rows("SELECT engine, engine_full, sorting_key FROM "
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
  out.engine = row[0];
  out.engine_full = row.at(1);
  out.sorting_key = row.at(2);
  for (auto& x : *columns)
    out.columns.push_back(
      {x[0], x.at(1), x.at(2), x.at(3) == "1", x.at(4) == "1"});
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
  auto make = [&x](result<bool> exists, const std::string& sql,
                   const std::string& what) -> result<void> {
    if (!exists)
      return tl::unexpected(std::move(exists.error()));
    if (*exists)
      return {};
    return x.run(sql, "create " + what);
  };
  // Asked first: the user may lack the privilege to create what is there.
  auto out = make(x.database_exists(), ddl::create_database(x.options),
                  "database \"" + x.options.database + '"');
  if (!out)
    return out;
  out = make(x.table_exists(ddl::state_table),
             ddl::create_state_table(x.options), "the state table");
  if (!out)
    return out;
  return make(x.table_exists(ddl::dead_letter_table),
              ddl::create_dead_letter_table(x.options),
              "the dead-letter table");
}

result<void> target_admin::note_missing_table(const std::string& source) {
  auto state = load_state();
  if (!state)
    return tl::unexpected(std::move(state.error()));
  if (state->count({"table", source}) == 0)
    return {};
  return save_state(
    {{{"quarantine", source},
      "its target table was not there and has been made again"}});
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
    text += ": rename it, or name another target table by [target] names";
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
