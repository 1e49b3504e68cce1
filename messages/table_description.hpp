#pragma once

#include "messages/table_shape.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// What the values of a column are once domains have been resolved to their
/// base type. Decides the target's type (docs/types.md).
enum class value_kind : uint8_t {
  boolean,
  int2,
  int4,
  int8,
  /// oid, xid, cid.
  uint4,
  /// xid8.
  uint8,
  float4,
  float8,
  numeric,
  date,
  timestamp,
  timestamptz,
  uuid,
  bytea,
  enumeration,
  /// json and jsonb.
  json,
  /// Everything whose text is its value: text, money, time, inet, hstore, ...
  text,
};

const char* to_string(value_kind x);

/// Type of a column in the source.
struct column_type {
  value_kind kind = value_kind::text;

  /// Whether the column holds arrays of `kind`.
  bool array = false;

  /// Of numeric: declared precision and scale; precision is -1 without one.
  int32_t precision = -1;
  int32_t scale = -1;

  /// Type OID and modifier as the catalogue and the Relation message have
  /// them (of the domain, where it is one).
  uint32_t oid = 0;
  int32_t modifier = -1;

  /// As PostgreSQL prints it: `numeric(12,2)`.
  std::string name;

  friend bool operator==(const column_type&, const column_type&) = default;
};

/// One column that the change stream carries.
struct column_description {
  std::string name;
  column_type type;
  bool nullable = true;

  /// Place in the key, from 0; -1 when the column is not in the key.
  int32_t key_position = -1;

  /// Whether the stream may leave the value out as "unchanged TOAST".
  bool toastable = false;
  std::string comment;

  friend bool operator==(const column_description&, const column_description&)
    = default;
};

/// How a row of the table is told from others.
enum class table_identity : uint8_t {
  /// By the columns with a `key_position`.
  key,
  /// No key, REPLICA IDENTITY FULL: a multiset of rows.
  full_row,
  /// No key, no identity: inserts only, the version is the key.
  append_only,
};

const char* to_string(table_identity x);

/// A table as of a point in the change stream. Immutable once shared; a schema
/// change makes a new one. Columns are in the order in which the stream sends
/// them.
struct table_description {
  uint32_t oid = 0;
  std::string schema;
  std::string name;
  std::string comment;
  table_identity identity = table_identity::key;

  /// REPLICA IDENTITY FULL: old tuples are whole rows.
  bool full_old_rows = false;
  std::vector<column_description> columns;

  /// How it came to be like that; null where nobody asked. Rows do not depend
  /// on it: two descriptions that differ only here are equal.
  table_shape_ptr shape;

  /// The key's column indexes in the key's own order; derived from `columns`.
  std::vector<uint32_t> key_columns() const;

  /// `schema.name`, unquoted; the name under which everything finds a table.
  std::string full_name() const;

  friend bool
  operator==(const table_description& a, const table_description& b) {
    return a.oid == b.oid && a.schema == b.schema && a.name == b.name
           && a.comment == b.comment && a.identity == b.identity
           && a.full_old_rows == b.full_old_rows && a.columns == b.columns;
  }
};

using table_description_ptr = std::shared_ptr<const table_description>;

/// As JSON, for the state store and for descriptions that travel.
/// @relates table_description
std::string to_json(const table_description& x);

} // namespace millrace
