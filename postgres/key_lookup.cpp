#include "postgres/key_lookup.hpp"

#include <algorithm>

namespace millrace::postgres {

namespace {

key_lookup make_lookup(const table_description& table) {
  key_lookup result{table, table.key_columns(), {}, {}, {}};
  for (uint32_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].toastable && table.columns[i].key_position < 0)
      result.columns.push_back(i);
  return result;
}

void add(key_lookup& look, const change_batch& batch, uint32_t index) {
  std::vector<std::string_view> key;
  for (auto column : look.key)
    key.push_back(
      batch.text_of(batch.cells[batch.changes[index].row + column]));
  auto next = static_cast<uint32_t>(look.changes.size());
  auto place = look.places.emplace(std::move(key), next).first->second;
  if (place == next)
    look.changes.emplace_back();
  look.changes[place].push_back(index);
}

// Name of the table now; empty when it is gone.
result<std::string> current_name(PGconn* conn, const key_lookup& x) {
  auto table = run(conn,
                   "SELECT n.nspname, c.relname, c.relkind FROM pg_class c"
                   " JOIN pg_namespace n ON n.oid = c.relnamespace"
                   " WHERE c.oid = $1::oid",
                   {std::to_string(x.table.oid)},
                   "cannot look at " + x.table.full_name());
  if (!table)
    return tl::unexpected{std::move(table.error())};
  if (PQntuples(table->get()) == 0)
    return std::string{};
  std::string result = field(table->get(), 0, 2) == "p" ? "" : "ONLY ";
  return result
         + quote_name(field(table->get(), 0, 0), field(table->get(), 0, 1));
}

// The operator of equality of a key column: types from elsewhere than
// pg_catalog have their own.
result<std::string>
equality(PGconn* conn, const key_lookup& x, uint32_t column) {
  auto rows = run(conn,
                  "SELECT n.nspname, o.oprname FROM pg_index i"
                  " CROSS JOIN LATERAL unnest(i.indkey::int2[],"
                  " i.indclass::oid[]) k(att, class)"
                  " JOIN pg_attribute a ON a.attrelid = i.indrelid"
                  " AND a.attnum = k.att"
                  " JOIN pg_opclass oc ON oc.oid = k.class"
                  " JOIN pg_amop m ON m.amopfamily = oc.opcfamily"
                  " AND m.amopstrategy = 3"
                  " AND m.amoplefttype = oc.opcintype"
                  " AND m.amoprighttype = oc.opcintype"
                  " JOIN pg_operator o ON o.oid = m.amopopr"
                  " JOIN pg_namespace n ON n.oid = o.oprnamespace"
                  " WHERE i.indrelid = $1::oid AND i.indisunique"
                  " AND a.attname = $2 ORDER BY i.indisprimary DESC LIMIT 1",
                  {std::to_string(x.table.oid), x.table.columns[column].name},
                  "cannot look at " + x.table.full_name());
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  if (PQntuples(rows->get()) == 0)
    return std::string{"="};
  return "OPERATOR(" + quote_name(field(rows->get(), 0, 0)) + "."
         + std::string{field(rows->get(), 0, 1)} + ")";
}

} // namespace

bool has_unchanged(const change_batch& batch, const change& x) {
  if (x.row == change::no_row)
    return false;
  const auto* first = batch.cells.data() + x.row;
  return std::any_of(first, first + batch.tables[x.table]->columns.size(),
                     [](const auto& c) { return c.size == cell::unchanged; });
}

std::vector<std::string> key_lookup::key_arrays() const {
  std::vector<std::vector<std::string>> columns(key.size());
  for (auto& column : columns)
    column.resize(changes.size());
  for (const auto& [values, place] : places)
    for (size_t i = 0; i < values.size(); ++i)
      columns[i][place] = values[i];
  std::vector<std::string> result;
  result.reserve(columns.size());
  for (const auto& column : columns)
    result.push_back(text_array(column));
  return result;
}

key_lookups
make_lookups(const change_batch& batch, const std::vector<uint32_t>& changes) {
  key_lookups result;
  for (auto i : changes) {
    const auto& x = batch.changes[i];
    const auto& table = *batch.tables[x.table];
    if (table.identity != table_identity::key || !has_unchanged(batch, x))
      continue;
    auto found = result.find(x.table);
    if (found == result.end())
      found = result.emplace(x.table, make_lookup(table)).first;
    add(found->second, batch, i);
  }
  return result;
}

// unnest($1, $2 ...) WITH ORDINALITY gives one row for each key.
result<std::string> from_clause(PGconn* conn, const key_lookup& x) {
  auto table = current_name(conn, x);
  if (!table || table->empty())
    return table;
  std::string names;
  std::string arrays;
  std::string condition;
  for (size_t i = 0; i < x.key.size(); ++i) {
    auto equals = equality(conn, x, x.key[i]);
    if (!equals)
      return equals;
    const auto& column = x.table.columns[x.key[i]];
    auto n = std::to_string(i + 1);
    arrays += (i > 0 ? ", $" : "$") + n + "::text[]";
    names += "k" + n + ", ";
    condition += (i > 0 ? " AND t." : "t.") + quote_name(column.name) + " "
                 + *equals + " k.k" + n + "::" + column.type.name;
  }
  return " FROM unnest(" + arrays + ") WITH ORDINALITY k(" + names
         + "place) JOIN " + *table + " t ON " + condition;
}

} // namespace millrace::postgres
