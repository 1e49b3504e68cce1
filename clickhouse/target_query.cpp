#include "clickhouse/target_admin_impl.hpp"
#include "messages/failure_point.hpp"

namespace millrace::clickhouse {

namespace {

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
target_admin::impl::row_binary(const std::string& sql, const parameters& xs,
                               query_options how) {
  auto settings = neutral_settings();
  if (!settings)
    return tl::unexpected(std::move(settings.error()));
  settings->insert(settings->end(), xs.begin(), xs.end());
  return http.query(sql + " FORMAT RowBinary", *settings, how);
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

} // namespace millrace::clickhouse
