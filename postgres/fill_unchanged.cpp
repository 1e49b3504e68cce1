#include "postgres/admin_impl.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace millrace::postgres {

namespace {

// Offsets of cells have 32 bits.
constexpr size_t max_text = std::numeric_limits<uint32_t>::max();

/// Rows of one table to be looked up. Changes of one key share a row.
struct lookup {
  const table_description& table;
  std::vector<uint32_t> key;
  std::vector<uint32_t> columns; // TOASTable, not in the key
  std::map<std::vector<std::string_view>, uint32_t> places;
  std::vector<std::vector<uint32_t>> changes; // by place
};

lookup make_lookup(const table_description& table) {
  lookup result{table, table.key_columns(), {}, {}, {}};
  for (uint32_t i = 0; i < table.columns.size(); ++i)
    if (table.columns[i].toastable && table.columns[i].key_position < 0)
      result.columns.push_back(i);
  return result;
}

// unnest($1, $2 ...) WITH ORDINALITY gives one row for each change.
std::string select_sql(const lookup& x, const std::string& from,
                       const std::vector<std::string>& equals) {
  std::string names;
  std::string arrays;
  std::string condition;
  for (size_t i = 0; i < x.key.size(); ++i) {
    const auto& column = x.table.columns[x.key[i]];
    auto n = std::to_string(i + 1);
    arrays += (i > 0 ? ", $" : "$") + n + "::text[]";
    names += "k" + n + ", ";
    condition += (i > 0 ? " AND t." : "t.") + quote_name(column.name) + " "
                 + equals[i] + " k.k" + n + "::" + column.type.name;
  }
  auto sql = "SELECT k.place";
  std::string result = sql;
  for (auto i : x.columns)
    result += ", t." + quote_name(x.table.columns[i].name);
  return result + " FROM unnest(" + arrays + ") WITH ORDINALITY k(" + names
         + "place) JOIN " + from + " t ON " + condition;
}

// Name of the table now, and the operators of equality of its key: types from
// elsewhere than pg_catalog have their own.
result<std::vector<std::string>>
key_operators(PGconn* conn, const lookup& x, std::string& from) {
  auto what = "cannot look at " + x.table.full_name();
  auto oid = std::to_string(x.table.oid);
  auto table = run(conn,
                   "SELECT n.nspname, c.relname, c.relkind FROM pg_class c"
                   " JOIN pg_namespace n ON n.oid = c.relnamespace"
                   " WHERE c.oid = $1::oid",
                   {oid}, what);
  if (!table)
    return tl::unexpected{std::move(table.error())};
  if (PQntuples(table->get()) == 0) {
    from.clear();
    return std::vector<std::string>{};
  }
  from = field(table->get(), 0, 2) == "p" ? "" : "ONLY ";
  from += quote_name(field(table->get(), 0, 0), field(table->get(), 0, 1));
  std::vector<std::string> result;
  for (auto i : x.key) {
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
                    {oid, x.table.columns[i].name}, what);
    if (!rows)
      return tl::unexpected{std::move(rows.error())};
    if (PQntuples(rows->get()) == 0)
      result.emplace_back("=");
    else
      result.push_back("OPERATOR(" + quote_name(field(rows->get(), 0, 0)) + "."
                       + std::string{field(rows->get(), 0, 1)} + ")");
  }
  return result;
}

// The change becomes a delete of the key that it had before.
void turn_into_delete(change_batch& batch, change& x, const lookup& look) {
  auto n = look.table.columns.size();
  if (x.old == old_row::none) {
    auto at = batch.cells.size();
    batch.cells.resize(at + n);
    for (auto i : look.key)
      batch.cells[at + i] = batch.cells[x.row + i];
    x.old_row_at = static_cast<uint32_t>(at);
    x.old = old_row::key;
  }
  x.op = operation::remove;
  x.row = change::no_row;
}

/// Fills the changes of one place. Each value is copied once.
void fill_row(change_batch& batch, const lookup& look, size_t place,
              const PGresult* rows, int row) {
  for (size_t i = 0; i < look.columns.size(); ++i) {
    auto column = static_cast<int>(i) + 1;
    cell value;
    auto known = PQgetisnull(rows, row, column) != 0;
    for (auto change : look.changes[place]) {
      auto& c = batch.cells[batch.changes[change].row + look.columns[i]];
      if (c.size != cell::unchanged)
        continue;
      if (!known) {
        auto text = field(rows, row, column);
        value.offset = static_cast<uint32_t>(batch.text.size());
        value.size = static_cast<int32_t>(text.size());
        batch.text += text;
        known = true;
      }
      c = value;
    }
  }
}

size_t row_bytes(const PGresult* rows, int row) {
  size_t result = 0;
  for (int i = 0; i < PQnfields(rows); ++i)
    result += static_cast<size_t>(PQgetlength(rows, row, i));
  return result;
}

void add(lookup& look, const change_batch& batch, uint32_t index) {
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

/// The keys as one array for each key column.
std::vector<std::string> key_arrays(const lookup& look) {
  std::vector<std::vector<std::string>> columns(look.key.size());
  for (auto& column : columns)
    column.resize(look.changes.size());
  for (const auto& [key, place] : look.places)
    for (size_t i = 0; i < key.size(); ++i)
      columns[i][place] = key[i];
  std::vector<std::string> result;
  result.reserve(columns.size());
  for (const auto& column : columns)
    result.push_back(text_array(column));
  return result;
}

bool has_unchanged(const change_batch& batch, const change& x, size_t columns) {
  if (x.row == change::no_row)
    return false;
  const auto* first = batch.cells.data() + x.row;
  return std::any_of(first, first + columns,
                     [](const auto& c) { return c.size == cell::unchanged; });
}

} // namespace

result<change_batch_ptr>
source_admin::fill_unchanged(const change_batch& batch,
                             const std::vector<uint32_t>& changes) {
  auto conn = impl_->session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto copy = std::make_shared<change_batch>(batch);
  std::map<uint32_t, lookup> lookups;
  for (auto i : changes) {
    const auto& x = batch.changes[i];
    const auto& table = *batch.tables[x.table];
    if (!has_unchanged(batch, x, table.columns.size()))
      continue;
    if (table.identity != table_identity::key)
      return fail(ec::table_unsuitable,
                  table.full_name()
                    + ": a value that the stream left out cannot be looked "
                      "up without a key");
    auto& look = lookups.try_emplace(x.table, make_lookup(table)).first->second;
    add(look, batch, i);
  }
  for (auto& [index, look] : lookups) {
    std::string from;
    auto operators = key_operators(*conn, look, from);
    if (!operators)
      return tl::unexpected{std::move(operators.error())};
    rows_ptr rows;
    if (!from.empty()) {
      auto found
        = run(*conn, select_sql(look, from, *operators), key_arrays(look),
              "cannot look up values of " + look.table.full_name());
      if (!found)
        return tl::unexpected{std::move(found.error())};
      rows = std::move(*found);
    }
    std::vector<bool> seen(look.changes.size());
    for (int r = 0; r < PQntuples(rows.get()); ++r) {
      auto place = static_cast<size_t>(integer(rows.get(), r, 0)) - 1;
      if (place >= seen.size() || seen[place])
        continue;
      seen[place] = true;
      if (copy->text.size() > max_text - row_bytes(rows.get(), r))
        return fail(ec::source_failed,
                    "values that the stream left out of "
                      + look.table.full_name()
                      + " are too large to be looked up together; read fewer "
                        "changes at a time");
      fill_row(*copy, look, place, rows.get(), r);
    }
    for (size_t i = 0; i < seen.size(); ++i)
      if (!seen[i])
        for (auto change : look.changes[i])
          turn_into_delete(*copy, copy->changes[change], look);
  }
  return change_batch_ptr{std::move(copy)};
}

} // namespace millrace::postgres
