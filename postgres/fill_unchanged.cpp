#include "postgres/admin_impl.hpp"
#include "postgres/key_lookup.hpp"

#include <algorithm>
#include <limits>

namespace millrace::postgres {

namespace {

// Offsets of cells have 32 bits.
constexpr size_t max_text = std::numeric_limits<uint32_t>::max();

// The connection's buffer never shrinks: beyond this it is given back.
constexpr size_t huge = 16 << 20;

// Bytes of a column's text, without reading the value where the server knows
// them. What is small in its compressed form is not large in any.
std::string size_of(const column_description& x) {
  auto name = "t." + quote_name(x.name);
  const auto& type = x.type.name;
  auto octets = "octet_length(" + name + ")";
  if (type == "bytea")
    return "2 * " + octets;
  if (type == "text" || (type.starts_with("character") && !x.type.array))
    return octets;
  return "CASE WHEN pg_column_size(" + name + ") <= 2000 THEN pg_column_size("
         + name + ") ELSE octet_length(" + name + "::text) END";
}

// The change becomes a delete of the key that it had before.
void turn_into_delete(change_batch& batch, change& x, const key_lookup& look) {
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
void fill_row(change_batch& batch, const key_lookup& look, size_t place,
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

size_t all_bytes(const PGresult* rows) {
  size_t result = 0;
  for (int i = 0; i < PQntuples(rows); ++i)
    result += row_bytes(rows, i);
  return result;
}

} // namespace

result<std::vector<uint64_t>>
source_admin::unchanged_sizes(const change_batch& batch,
                              const std::vector<uint32_t>& changes) {
  auto conn = impl_->session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  std::vector<uint64_t> result(changes.size());
  for (const auto& [_, look] : make_lookups(batch, changes)) {
    if (look.columns.empty())
      continue;
    auto from = from_clause(*conn, look);
    if (!from)
      return tl::unexpected{std::move(from.error())};
    if (from->empty())
      continue;
    std::string sum;
    for (auto i : look.columns)
      sum += (sum.empty() ? "coalesce(" : " + coalesce(")
             + size_of(look.table.columns[i]) + ", 0)::bigint";
    auto rows = run(*conn, "SELECT k.place, " + sum + *from, look.key_arrays(),
                    "cannot look at values of " + look.table.full_name());
    // Whoever looks the values up learns what is wrong with the table.
    if (!rows && rows.error().code == ec::table_unsuitable)
      continue;
    if (!rows)
      return tl::unexpected{std::move(rows.error())};
    for (int r = 0; r < PQntuples(rows->get()); ++r) {
      auto place = static_cast<size_t>(integer(rows->get(), r, 0)) - 1;
      if (place >= look.changes.size())
        continue;
      for (auto change : look.changes[place])
        result[std::lower_bound(changes.begin(), changes.end(), change)
               - changes.begin()]
          = static_cast<uint64_t>(integer(rows->get(), r, 1));
    }
  }
  return result;
}

result<change_batch_ptr>
source_admin::fill_unchanged(const change_batch& batch,
                             const std::vector<uint32_t>& changes) {
  for (auto i : changes) {
    const auto& table = *batch.tables[batch.changes[i].table];
    if (table.identity != table_identity::key
        && has_unchanged(batch, batch.changes[i]))
      return fail(ec::table_unsuitable,
                  table.full_name()
                    + ": a value that the stream left out cannot be looked "
                      "up without a key");
  }
  auto copy = std::make_shared<change_batch>(batch);
  for (const auto& [_, look] : make_lookups(batch, changes)) {
    auto conn = impl_->session();
    if (!conn)
      return tl::unexpected{std::move(conn.error())};
    auto from = from_clause(*conn, look);
    if (!from)
      return tl::unexpected{std::move(from.error())};
    rows_ptr rows;
    if (!from->empty()) {
      std::string sql = "SELECT k.place";
      for (auto i : look.columns)
        sql += ", t." + quote_name(look.table.columns[i].name);
      auto found = run(*conn, sql + *from, look.key_arrays(),
                       "cannot look up values of " + look.table.full_name());
      if (!found)
        return tl::unexpected{std::move(found.error())};
      rows = std::move(*found);
    }
    if (all_bytes(rows.get()) > huge)
      impl_->conn_.reset();
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
