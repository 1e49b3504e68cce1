#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::transform {

/// Families of ClickHouse types that millrace writes or compares.
enum class type_family : uint8_t {
  boolean,
  /// `IntN`, `UIntN`, `FloatN` with `bits` = N.
  signed_integer,
  unsigned_integer,
  floating,
  decimal,
  string,
  /// `bits` holds the length in bytes.
  fixed_string,
  date,
  date32,
  datetime,
  datetime64,
  uuid,
  json,
  nullable,
  low_cardinality,
  array,
  /// Anything else; `text` is the whole type.
  other,
};

/// A ClickHouse type as a small tree.
struct clickhouse_type {
  type_family family = type_family::string;
  int bits = 0;

  /// Of decimal: digits; of datetime64: digits of the fraction.
  int precision = 0;
  int scale = 0;

  /// Time zone of datetime and datetime64; empty means the server's.
  std::string zone;

  /// Of other: the type; of json: its parameters as written.
  std::string text;

  /// The argument of nullable, low_cardinality and array: exactly one.
  std::vector<clickhouse_type> inner;

  friend bool operator==(const clickhouse_type&, const clickhouse_type&)
    = default;
};

/// Reads a type as a user or the server writes it. Nothing when the text is no
/// type at all (unbalanced, empty) or has arguments that cannot be, such as
/// `Decimal(80, 2)` or `Nullable(Array(String))`.
std::optional<clickhouse_type> parse_type(std::string_view text);

/// The form in which ClickHouse prints it: `Nullable(DateTime64(6, 'UTC'))`.
std::string to_string(const clickhouse_type& x);

/// @name Builders
/// @{
clickhouse_type make_type(type_family family, int bits = 0);
clickhouse_type make_decimal(int precision, int scale);
clickhouse_type make_datetime64(int precision, std::string zone);
clickhouse_type make_array(clickhouse_type element);

/// `LowCardinality(T)` becomes `LowCardinality(Nullable(T))`; arrays and what
/// is nullable already stay as they are.
clickhouse_type make_nullable(clickhouse_type x);
/// @}

/// Whether the values may be NULL (an array's never are).
bool is_nullable(const clickhouse_type& x);

/// The type without Nullable and LowCardinality around it.
const clickhouse_type& bare(const clickhouse_type& x);

/// Whether changing a column from `from` to `to` keeps each value exactly:
/// wider integers, floats and decimals, Nullable and LowCardinality put around,
/// LowCardinality taken off, Date to Date32.
bool widens(const clickhouse_type& from, const clickhouse_type& to);

/// Whether a column of type `existing` holds exactly what millrace writes for
/// `wanted`: the same type (a time zone only changes how an instant is shown),
/// or a wider one.
bool fits(const clickhouse_type& existing, const clickhouse_type& wanted);

/// The type that blocks name for such a column: the server converts. Strings
/// for LowCardinality strings and JSON. Values that are read back to become
/// patches must be cast to it.
clickhouse_type wire_type(const clickhouse_type& x);

} // namespace millrace::transform
