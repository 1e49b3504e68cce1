#pragma once

#include "messages/change_batch.hpp"
#include "postgres/connection.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::postgres {

/// Rows of one table to be looked up by key. Changes of one key share a row.
struct key_lookup {
  const table_description& table;
  std::vector<uint32_t> key;

  /// TOASTable columns that are not in the key.
  std::vector<uint32_t> columns;
  std::map<std::vector<std::string_view>, uint32_t> places;

  /// Indexes in `change_batch::changes`, by place.
  std::vector<std::vector<uint32_t>> changes;

  /// Keys as one array for each key column: the parameters of `from`.
  std::vector<std::string> key_arrays() const;
};

/// Whether the stream left a value of the new row out.
bool has_unchanged(const change_batch& batch, const change& x);

/// By index of the table. Only changes with unchanged cells, and only of tables
/// with a key. The batch must outlive it.
using key_lookups = std::map<uint32_t, key_lookup>;
key_lookups
make_lookups(const change_batch& batch, const std::vector<uint32_t>& changes);

/// `FROM ... k JOIN table t ON ...`: each row of the table with `k.place`, the
/// ordinal of its key. Empty when the table is gone.
result<std::string> from_clause(PGconn* conn, const key_lookup& x);

} // namespace millrace::postgres
