#include "clickhouse/ddl.hpp"
#include "clickhouse/float_keys.hpp"
#include "clickhouse/letter_statements.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/row_binary.hpp"
#include "clickhouse/settings.hpp"
#include "clickhouse/target_admin_impl.hpp"

#include <algorithm>
#include <chrono>

namespace millrace::clickhouse {

namespace {

/// Keys that are asked for in one query, and room in it for everything else.
constexpr size_t max_keys = 4'096;
constexpr size_t max_key_bytes = 1'000'000;
constexpr size_t statement_room = 1 << 20;

int64_t now_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch())
    .count();
}

/// Key columns of floating type have two texts for zero.
bool has_float_key(const target_table& x) {
  key_types types;
  for (auto& column : ddl::key_columns(x))
    types.push_back(transform::parse_type(column.type)
                      .value_or(transform::clickhouse_type{}));
  return has_float(types);
}

std::string without_negative_zeros(std::string x) {
  constexpr std::string_view from = "\"-0\"";
  for (auto at = x.find(from); at != std::string::npos; at = x.find(from, at))
    x.replace(at, from.size(), "\"0\"");
  return x;
}

} // namespace

result<void>
target_admin::write_dead_letters(const std::vector<dead_letter>& xs) {
  auto& x = *impl_;
  if (xs.empty())
    return {};
  auto now = now_us();
  std::string body;
  for (auto& letter : xs) {
    put_string(body, x.pipeline);
    put_string(body, letter.table);
    put_string(body, to_string(letter.op));
    put_string(body, to_string(lsn{letter.at.major}));
    put_integer(body, letter.at.minor);
    put_integer(body, letter.at.major);
    put_integer(body, letter.committed_at);
    put_string(body, letter.key);
    put_string(body, letter.event);
    put_string(body, letter.error);
    put_integer(body, now);
  }
  return x.http.insert(
    "INSERT INTO " + quote_name(x.options.database, ddl::dead_letter_table)
      + " (pipeline, `table`, op, position, version, committed_at, key, event, "
        "error, time) FORMAT RowBinary",
    {}, {body});
}

result<uint64_t> target_admin::open_letters(const std::string& table) {
  auto& x = *impl_;
  auto found = x.rows("SELECT count() FROM "
                        + quote_name(x.options.database, ddl::dead_letter_table)
                        + " FINAL WHERE " + letters_of(x.pipeline, table),
                      "count the dead letters of " + table);
  if (!found)
    return tl::unexpected(std::move(found.error()));
  return found->empty() ? 0 : std::stoull(found->front()[0]);
}

result<void>
target_admin::supersede_letters(const target_table& table, version below) {
  auto& x = *impl_;
  auto name = table.source->full_name();
  auto had = has_dead_letters(name);
  if (!had || !*had)
    return had ? result<void>{} : tl::unexpected(std::move(had.error()));
  return x.run(resolve_statement(x.options, "superseded",
                                 letters_of(x.pipeline, name)
                                   + " AND version < "
                                   + ddl::version_literal(below)),
               "mark old dead letters of " + name, insert_settings());
}

result<bool> target_admin::has_dead_letters(const std::string& table) {
  auto& x = *impl_;
  auto found = x.rows("SELECT 1 FROM "
                        + quote_name(x.options.database, ddl::dead_letter_table)
                        + " WHERE pipeline = " + quote_literal(x.pipeline)
                        + " AND `table` = " + quote_literal(table) + " LIMIT 1",
                      "look for dead letters of " + table);
  if (!found)
    return tl::unexpected(std::move(found.error()));
  return !found->empty();
}

result<target_admin::refused_changes>
target_admin::refused(const target_table& table,
                      const std::vector<std::string>& keys) {
  auto& x = *impl_;
  auto floats = has_float_key(table);
  auto name = table.source->full_name();
  std::map<std::string, std::vector<std::string>> asked;
  for (auto& key : keys)
    asked[floats ? without_negative_zeros(key) : key].push_back(key);
  refused_changes out;
  for (auto i = asked.begin(); i != asked.end();) {
    std::string list;
    for (size_t n = 0;
         i != asked.end() && n < max_keys && list.size() < max_key_bytes;
         ++i, ++n)
      put_string(list, i->first);
    // Without FINAL, so that those which the user dropped are there. A delete
    // takes no value along.
    std::string key = floats ? "replaceAll(key, '\"-0\"', '\"0\"')" : "key";
    auto sql = "SELECT " + key
               + " AS k, version, JSONExtractKeys(event, 'after') FROM "
               + quote_name(x.options.database, ddl::dead_letter_table)
               + " WHERE " + letters_of(x.pipeline, name)
               + " AND op != 'delete' AND k IN (SELECT * FROM "
                 "format(RowBinary, 'k String', "
               + quote_literal(list) + "))";
    auto body = x.row_binary(
      sql, {{"max_query_size", std::to_string(sql.size() + statement_room)}},
      {"look for dead letters of " + name, {}});
    if (!body)
      return tl::unexpected(std::move(body.error()));
    row_binary_reader in{*body};
    while (!in.at_end() && !in.failed()) {
      std::string text{in.string()};
      refused_change change;
      change.at.minor = in.integer(8);
      change.at.major = in.integer(8);
      for (auto n = in.varint(); n > 0 && !in.failed(); --n)
        change.columns.emplace_back(in.string());
      if (auto same = asked.find(text); same != asked.end() && !in.failed())
        for (auto& original : same->second)
          out[original].push_back(change);
    }
    if (in.failed())
      return fail(ec::target_failed, "cannot look for dead letters of " + name
                                       + ": the answer is cut short");
  }
  return out;
}

} // namespace millrace::clickhouse
