#include "clickhouse/ddl.hpp"
#include "clickhouse/float_keys.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/row_binary.hpp"
#include "clickhouse/settings.hpp"
#include "clickhouse/target_admin_impl.hpp"

#include <algorithm>

namespace millrace::clickhouse {

using transform::clickhouse_type;
using transform::type_family;

namespace {

/// Keys that are asked for in one query.
constexpr size_t max_keys = 4'096;
constexpr size_t max_key_bytes = 1'000'000;

/// Of the first query, when the size of the values is not known.
constexpr size_t first_keys = 256;

/// Size of an answer that later queries aim at: values may be megabytes.
constexpr size_t answer_bytes = 8 << 20;

/// Room in the statement for everything but the keys.
constexpr size_t statement_room = 1 << 20;

struct read_plan {
  std::vector<target_column> key;
  key_types keys;
  std::vector<clickhouse_type> value_types;
  std::string before;
  std::string after;
};

clickhouse_type bare_key(const target_column& x) {
  auto type = transform::parse_type(x.type).value_or(clickhouse_type{});
  return type.family == type_family::low_cardinality ? type.inner[0] : type;
}

/// `SELECT keys, newest version, its values ... WHERE keys IN (...)`. Without
/// FINAL, which hides tombstones; a tuple, because argMax ignores nulls.
result<read_plan>
make_plan(const target_options& options, const target_table& table,
          const std::vector<uint32_t>& columns) {
  read_plan out;
  out.key = ddl::key_columns(table);
  std::string names;
  std::string casts;
  std::string structure;
  for (auto& x : out.key) {
    auto type = bare_key(x);
    if (!has_known_layout(type))
      return fail(ec::table_unsuitable, "keys of \"" + table.name
                                          + "\" cannot be read: column \""
                                          + x.name + "\" is " + x.type);
    auto text = transform::to_string(type);
    auto name = quote_name(x.name);
    names += (names.empty() ? "" : ", ") + name;
    casts += "CAST(" + name + ", " + quote_literal(text) + "), ";
    structure += (structure.empty() ? "" : ", ") + name + ' ' + text;
    out.keys.push_back(std::move(type));
  }
  std::string values = "_deleted";
  for (auto i : columns) {
    auto& x = table.columns[i];
    auto type = transform::wire_type(
      transform::parse_type(x.type).value_or(clickhouse_type{}));
    if (!has_known_layout(type))
      return fail(ec::table_unsuitable,
                  "column \"" + x.name + "\" of \"" + table.name
                    + "\" cannot be read back: it is " + x.type);
    values += ", CAST(" + quote_name(x.name) + ", "
              + quote_literal(transform::to_string(type)) + ')';
    out.value_types.push_back(std::move(type));
  }
  out.before = "SELECT " + casts + "max(_version), argMax(tuple(" + values
               + "), _version) FROM " + quote_name(options.database, table.name)
               + " WHERE (" + names + ") IN (SELECT * FROM format(RowBinary, "
               + quote_literal(structure) + ", '";
  out.after = "')) GROUP BY " + names;
  return out;
}

result<void> add_rows(const read_plan& plan, const target_table& table,
                      std::string_view body, stored_rows& out) {
  row_binary_reader in{body};
  while (!in.at_end() && !in.failed()) {
    std::string key;
    for (auto& type : plan.keys)
      key += in.value(type);
    stored_row row;
    row.at.minor = in.integer(8);
    row.at.major = in.integer(8);
    row.deleted = in.integer(1) != 0;
    for (auto& type : plan.value_types)
      row.values.emplace_back(in.value(type));
    if (!in.failed())
      out.insert_or_assign(std::move(key), std::move(row));
  }
  if (in.failed())
    return fail(ec::target_failed, "cannot read from \"" + table.name
                                     + "\": the answer is cut short");
  return {};
}

/// With float keys: rows under the bytes that were asked for.
stored_rows as_asked(const read_plan& plan, stored_rows found,
                     const std::vector<std::string>& keys) {
  stored_rows by_value;
  for (auto& [key, row] : found) {
    auto [i, added] = by_value.emplace(canonical_key(plan.keys, key), row);
    if (!added && i->second.at < row.at)
      i->second = std::move(row);
  }
  stored_rows out;
  for (auto& key : keys)
    if (auto i = by_value.find(canonical_key(plan.keys, key));
        i != by_value.end())
      out.emplace(key, i->second);
  return out;
}

/// How many keys to ask for next, after `n` keys brought `bytes`.
size_t next_count(size_t n, size_t bytes) {
  return std::clamp(answer_bytes * n / (bytes + 1), size_t{1}, max_keys);
}

} // namespace

result<stored_rows> target_admin::read(const target_table& table,
                                       const std::vector<std::string>& keys,
                                       const std::vector<uint32_t>& columns) {
  auto& x = *impl_;
  stored_rows out;
  if (keys.empty())
    return out;
  auto plan = make_plan(x.options, table, columns);
  if (!plan)
    return tl::unexpected(std::move(plan.error()));
  auto floats = has_float(plan->keys);
  auto count = columns.empty() ? max_keys : first_keys;
  for (size_t i = 0; i < keys.size();) {
    auto sql = plan->before;
    size_t bytes = 0;
    size_t n = 0;
    for (; i < keys.size() && n < count && bytes < max_key_bytes; ++i, ++n) {
      bytes += keys[i].size();
      if (!floats)
        escape_literal(sql, keys[i]);
      else
        for (auto& form : key_forms(plan->keys, keys[i]))
          escape_literal(sql, form);
    }
    sql += plan->after;
    auto body = x.row_binary(
      sql, "read from \"" + table.name + '"',
      {{"max_query_size", std::to_string(sql.size() + statement_room)}});
    if (!body)
      return tl::unexpected(std::move(body.error()));
    count = next_count(n, body->size());
    auto added = add_rows(*plan, table, *body, out);
    if (!added)
      return tl::unexpected(std::move(added.error()));
  }
  if (floats)
    return as_asked(*plan, std::move(out), keys);
  return out;
}

result<void> target_admin::clear(const target_table& table, version below,
                                 version at, int64_t committed_at) {
  auto& x = *impl_;
  auto by_version = table.source->identity == table_identity::append_only;
  std::string names;
  for (auto& name : ddl::key_names(table))
    if (name != "_version")
      names += quote_name(name) + ", ";
  auto from = quote_name(x.options.database, table.name);
  // Where the version is the key, a row's tombstone has the row's version; of
  // equal versions the later insert counts.
  auto sql = "INSERT INTO " + from + " (" + names
             + "_version, _deleted, _committed_at) SELECT " + names
             + (by_version ? "_version" : version_literal(at))
             + ", 1, fromUnixTimestamp64Micro(toInt64("
             + std::to_string(committed_at) + "), 'UTC') FROM " + from
             + " FINAL WHERE _version < " + version_literal(below);
  return x.run(sql, "clear \"" + table.name + '"', insert_settings());
}

} // namespace millrace::clickhouse
