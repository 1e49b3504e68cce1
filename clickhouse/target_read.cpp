#include "clickhouse/ddl.hpp"
#include "clickhouse/float_keys.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/row_binary.hpp"
#include "clickhouse/settings.hpp"
#include "clickhouse/target_admin_impl.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace millrace::clickhouse {

using transform::clickhouse_type;
using transform::type_family;

namespace {

/// Keys that are asked for in one query.
constexpr size_t max_keys = 4'096;
constexpr size_t max_key_bytes = 1'000'000;

/// Of the first query, when the size of the values is not known.
constexpr size_t first_keys = 256;

/// Size of an answer that queries aim at: values may be megabytes. One of twice
/// that is broken off, and the sizes of the values are asked for.
constexpr size_t answer_bytes = 8 << 20;

/// Room in the statement for everything but the keys.
constexpr size_t statement_room = 1 << 20;

struct read_plan {
  std::vector<target_column> key;
  key_types keys;
  std::vector<clickhouse_type> value_types;
  bool floats = false;

  /// The statement, without its keys; the same for the sizes of the values.
  std::string before;
  std::string before_sizes;
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
  out.floats = has_float(out.keys);
  std::string values = "_deleted";
  std::string sizes = "0";
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
    sizes += " + byteSize(" + quote_name(x.name) + ')';
    out.value_types.push_back(std::move(type));
  }
  auto from = ", _version) FROM " + quote_name(options.database, table.name)
              + " WHERE (" + names + ") IN (SELECT * FROM format(RowBinary, "
              + quote_literal(structure) + ", '";
  out.before
    = "SELECT " + casts + "max(_version), argMax(tuple(" + values + ')' + from;
  out.before_sizes
    = "SELECT " + casts + "argMax(toUInt64(" + sizes + ')' + from;
  out.after = "')) GROUP BY " + names;
  return out;
}

/// The value takes over the memory of the answer.
std::string cut_out(std::string body, std::string_view value) {
  auto at = static_cast<size_t>(value.data() - body.data());
  body.resize(at + value.size());
  body.erase(0, at);
  return body;
}

result<void> add_rows(const read_plan& plan, const target_table& table,
                      std::string body, stored_rows& out) {
  row_binary_reader in{body};
  out.bytes += body.size();
  // One that makes up most of the answer is not copied.
  std::string_view large;
  std::string* large_to = nullptr;
  while (!in.at_end() && !in.failed()) {
    std::string key;
    for (auto& type : plan.keys)
      key += in.value(type);
    stored_row row;
    row.at.minor = in.integer(8);
    row.at.major = in.integer(8);
    row.deleted = in.integer(1) != 0;
    row.values.resize(plan.value_types.size());
    auto& to = out.insert_or_assign(std::move(key), std::move(row))
                 .first->second.values;
    for (size_t i = 0; i < to.size(); ++i) {
      auto value = in.value(plan.value_types[i]);
      if (value.size() > std::max(body.size() / 2, answer_bytes)) {
        large = value;
        large_to = &to[i];
      } else {
        to[i] = value;
      }
    }
  }
  if (in.failed())
    return fail(ec::target_failed, "cannot read from \"" + table.name
                                     + "\": the answer is cut short");
  if (large_to != nullptr)
    *large_to = cut_out(std::move(body), large);
  return {};
}

/// How many of the first keys have values of at most `most` bytes, at least
/// one; and the bytes of those.
result<std::pair<size_t, size_t>>
fitting(target_admin::impl& x, const read_plan& plan, const std::string& what,
        const std::string& statement, const std::vector<std::string>& keys,
        size_t first, size_t n, size_t most) {
  query_options how;
  how.what = what;
  auto body = x.row_binary(
    statement,
    {{"max_query_size", std::to_string(statement.size() + statement_room)}},
    how);
  if (!body)
    return tl::unexpected(std::move(body.error()));
  std::map<std::string, size_t> sizes;
  row_binary_reader in{*body};
  while (!in.at_end() && !in.failed()) {
    std::string key;
    for (auto& type : plan.keys)
      key += in.value(type);
    sizes[plan.floats ? canonical_key(plan.keys, key) : key] = in.integer(8);
  }
  std::pair<size_t, size_t> result;
  for (; result.first < n; ++result.first) {
    const auto& key = keys[first + result.first];
    auto i = sizes.find(plan.floats ? canonical_key(plan.keys, key) : key);
    auto size = i != sizes.end() ? i->second : 0;
    if (result.first > 0 && result.second + size > most)
      break;
    result.second += size;
  }
  return result;
}

/// With float keys: rows under the bytes that were asked for.
stored_rows as_asked(const read_plan& plan, const stored_rows& found,
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

result<stored_rows>
target_admin::read(const target_table& table,
                   const std::vector<std::string>& keys,
                   const std::vector<uint32_t>& columns, size_t most) {
  auto& x = *impl_;
  stored_rows out;
  if (keys.empty())
    return out;
  auto plan = make_plan(x.options, table, columns);
  if (!plan)
    return tl::unexpected(std::move(plan.error()));
  auto count = columns.empty() ? max_keys : first_keys;
  query_options how;
  how.what = "read from \"" + table.name + '"';
  // The keys from `out.answered` on, at most `n`, which becomes their number.
  auto statement = [&](const std::string& before, size_t& n) {
    auto sql = before;
    size_t bytes = 0;
    size_t i = 0;
    for (; out.answered + i < keys.size() && i < n && bytes < max_key_bytes;
         ++i) {
      const auto& key = keys[out.answered + i];
      bytes += key.size();
      if (!plan->floats)
        escape_literal(sql, key);
      else
        for (auto& form : key_forms(plan->keys, key))
          escape_literal(sql, form);
    }
    n = i;
    return sql + plan->after;
  };
  auto ask = [&](const std::string& sql) {
    return x.row_binary(
      sql, {{"max_query_size", std::to_string(sql.size() + statement_room)}},
      how);
  };
  while (out.answered < keys.size() && out.bytes < most) {
    auto n = count;
    auto sql = statement(plan->before, n);
    how.max_answer = 2 * answer_bytes;
    how.expected = 0;
    auto body = ask(sql);
    if (!body && x.http.answer_was_too_large()) {
      auto fits = fitting(x, *plan, how.what, statement(plan->before_sizes, n),
                          keys, out.answered, n, answer_bytes);
      if (!fits)
        return tl::unexpected(std::move(fits.error()));
      n = fits->first;
      how.max_answer = 0;
      how.expected = fits->second + (fits->second >> 6) + statement_room;
      body = ask(statement(plan->before, n));
    }
    if (!body)
      return tl::unexpected(std::move(body.error()));
    count = next_count(n, body->size());
    out.answered += n;
    auto added = add_rows(*plan, table, std::move(*body), out);
    if (!added)
      return tl::unexpected(std::move(added.error()));
  }
  if (!plan->floats)
    return out;
  auto answered = as_asked(*plan, out, keys);
  answered.answered = out.answered;
  answered.bytes = out.bytes;
  return answered;
}

result<void> target_admin::clear(const target_table& table, version below,
                                 version at, int64_t committed_at) {
  auto& x = *impl_;
  auto sql = ddl::clear_statement(x.options, table, below, at, committed_at);
  return x.run(sql, "clear \"" + table.name + '"', insert_settings());
}

} // namespace millrace::clickhouse
