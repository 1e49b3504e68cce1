#pragma once

#include "messages/table_description.hpp"
#include "postgres/connection.hpp"

#include <map>
#include <set>
#include <string>

namespace millrace::postgres {

/// A type as pg_type has it.
struct type_row {
  char kind = 'b';
  uint32_t base = 0;
  int32_t base_modifier = -1;
  uint32_t element = 0;
};

/// Types by OID.
using type_map = std::map<uint32_t, type_row>;

/// An oid[] literal.
std::string oid_array(const std::set<uint32_t>& xs);

/// Reads types, their base types and their elements, as deep as they go.
result<void>
load_types(PGconn* conn, std::set<uint32_t> wanted, type_map& types);

/// What values of the type are, through domains and arrays (docs/types.md).
column_type resolve(const type_map& types, uint32_t oid, int32_t modifier);

} // namespace millrace::postgres
