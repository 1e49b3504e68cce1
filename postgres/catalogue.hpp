#pragma once

#include "messages/table_description.hpp"
#include "postgres/connection.hpp"
#include "postgres/pgoutput.hpp"

#include <string>
#include <vector>

namespace millrace::postgres {

/// A relation as the catalogue has it now, and what this session may do.
struct catalogue_table {
  /// With all columns that are stored and not generated.
  table_description description;

  /// Generated columns: the stream does not carry them before version 18.
  std::vector<column_description> generated;

  /// 'r' table, 'p' partitioned, 'f' foreign, 'v' 'm' views.
  char kind = 'r';

  /// 'p' permanent, 'u' unlogged, 't' temporary.
  char persistence = 'p';

  /// Of a partition: the tables that it is a part of, nearest first.
  std::vector<uint32_t> ancestors;

  /// Number of key columns, generated ones included.
  size_t key_size = 0;

  /// The primary key is deferrable, so it is no identity.
  bool deferrable_key = false;

  /// Of a partitioned table: a partition has no identity of its own.
  bool partition_without_identity = false;

  /// Row-level security applies to this session.
  bool row_security = false;

  /// Whether this session may read all columns, and whether it owns the table.
  bool readable = false;
  bool owned = false;
};

/// Tables that satisfy `filter`, an SQL condition on `c` (pg_class) and `n`
/// (pg_namespace), by schema and name.
result<std::vector<catalogue_table>>
read_catalogue(PGconn* conn, const std::string& filter);

/// Condition for everything that is not PostgreSQL's own.
extern const char* const user_relations;

/// The table as a Relation message has it. `table_unsuitable` when the
/// catalogue has no such columns, or another key.
result<table_description_ptr>
describe_as(const catalogue_table& now, const relation& then);

} // namespace millrace::postgres
