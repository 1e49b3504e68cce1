#include "transform/type_choice.hpp"

#include <string>

namespace millrace::transform {

namespace {

constexpr auto utc = "UTC";

bool is_decimal(const column_type& x) {
  return x.precision >= 1 && x.precision <= 76 && x.scale >= 0
         && x.scale <= x.precision;
}

clickhouse_type default_element(const column_type& source) {
  switch (source.kind) {
    case value_kind::boolean:
      return make_type(type_family::boolean);
    case value_kind::int2:
      return make_type(type_family::signed_integer, 16);
    case value_kind::int4:
      return make_type(type_family::signed_integer, 32);
    case value_kind::int8:
      return make_type(type_family::signed_integer, 64);
    case value_kind::uint4:
      return make_type(type_family::unsigned_integer, 32);
    case value_kind::uint8:
      return make_type(type_family::unsigned_integer, 64);
    case value_kind::float4:
      return make_type(type_family::floating, 32);
    case value_kind::float8:
      return make_type(type_family::floating, 64);
    case value_kind::numeric:
      if (is_decimal(source))
        return make_decimal(source.precision, source.scale);
      return make_type(type_family::string);
    case value_kind::date:
      return make_type(type_family::date32);
    case value_kind::timestamp:
    case value_kind::timestamptz:
      return make_datetime64(6, utc);
    case value_kind::uuid:
      return make_type(type_family::uuid);
    case value_kind::enumeration:
      if (!source.array) {
        auto result = make_type(type_family::low_cardinality);
        result.inner.push_back(make_type(type_family::string));
        return result;
      }
      [[fallthrough]];
    default:
      return make_type(type_family::string);
  }
}

bool is_string(const clickhouse_type& x) {
  return bare(x).family == type_family::string;
}

bool is_integer(const clickhouse_type& x) {
  return x.family == type_family::signed_integer
         || x.family == type_family::unsigned_integer;
}

/// Most decimal digits of the source's integers; 0 for other kinds.
int integer_digits(value_kind x) {
  switch (x) {
    case value_kind::int2:
      return 5;
    case value_kind::int4:
    case value_kind::uint4:
      return 10;
    case value_kind::int8:
      return 19;
    case value_kind::uint8:
      return 20;
    default:
      return 0;
  }
}

bool fits_numeric(const column_type& source, const clickhouse_type& type) {
  if (type.family == type_family::decimal)
    return !is_decimal(source)
           || (type.scale >= source.scale
               && type.precision - type.scale
                    >= source.precision - source.scale);
  return is_integer(type) && (!is_decimal(source) || source.scale == 0);
}

/// Digits of the fraction of a second that the source may have.
int fraction_digits(const column_type& source) {
  return source.modifier >= 0 && source.modifier <= 6 ? source.modifier : 6;
}

bool fits_timestamp(const column_type& source, const clickhouse_type& type) {
  // A wall clock shown in another zone would be another time.
  if (source.kind == value_kind::timestamp && type.zone != utc)
    return false;
  if (type.family == type_family::datetime)
    return fraction_digits(source) == 0;
  return type.family == type_family::datetime64
         && type.precision >= fraction_digits(source);
}

bool fits_element(const column_type& source, const clickhouse_type& type) {
  if (is_string(type))
    return true;
  switch (source.kind) {
    case value_kind::boolean:
      return type.family == type_family::boolean
             || (type.family == type_family::unsigned_integer
                 && type.bits == 8);
    case value_kind::int2:
    case value_kind::int4:
    case value_kind::int8:
    case value_kind::uint4:
    case value_kind::uint8:
      return is_integer(type)
             || (type.family == type_family::decimal
                 && type.precision - type.scale >= integer_digits(source.kind));
    case value_kind::float4:
      return type.family == type_family::floating;
    case value_kind::float8:
      return type.family == type_family::floating && type.bits == 64;
    case value_kind::numeric:
      return fits_numeric(source, type);
    case value_kind::date:
      return type.family == type_family::date
             || type.family == type_family::date32;
    case value_kind::timestamp:
    case value_kind::timestamptz:
      return fits_timestamp(source, type);
    case value_kind::uuid:
      return type.family == type_family::uuid;
    case value_kind::json:
      return type.family == type_family::json && !source.array;
    default:
      return false;
  }
}

/// What the user may name instead of the default type.
std::string choices(const column_type& source) {
  switch (source.kind) {
    case value_kind::boolean:
      return "Bool, UInt8, String";
    case value_kind::int2:
    case value_kind::int4:
    case value_kind::int8:
    case value_kind::uint4:
    case value_kind::uint8:
      return "integers, Decimal(P, S) with P - S >= "
             + std::to_string(integer_digits(source.kind)) + ", String";
    case value_kind::float4:
      return "Float32, Float64, String";
    case value_kind::float8:
      return "Float64, String";
    case value_kind::numeric:
      return "Decimal(P, S) that is not smaller, integers for scale 0, String";
    case value_kind::date:
      return "Date32, Date, String";
    case value_kind::timestamp:
      return "DateTime64(P, 'UTC') with P >= "
             + std::to_string(fraction_digits(source)) + ", String";
    case value_kind::timestamptz:
      return "DateTime64(P, 'ZONE') with P >= "
             + std::to_string(fraction_digits(source)) + ", String";
    case value_kind::uuid:
      return "UUID, String";
    case value_kind::json:
      return "String, JSON";
    default:
      return "String, LowCardinality(String)";
  }
}

/// Takes Nullable away everywhere: the source says where it belongs.
clickhouse_type without_nullable(clickhouse_type x) {
  if (x.family == type_family::nullable)
    return x.inner[0];
  for (auto& inner : x.inner)
    inner = without_nullable(std::move(inner));
  return x;
}

} // namespace

clickhouse_type default_type(const column_type& source) {
  auto element = default_element(source);
  return source.array ? make_array(std::move(element)) : element;
}

result<void>
check_type(const column_type& source, const clickhouse_type& type) {
  bool good = false;
  if (type.family == type_family::array)
    good = source.array && fits_element(source, type.inner[0]);
  else
    good = source.array ? is_string(type) : fits_element(source, type);
  if (good)
    return {};
  auto names = choices(source);
  return fail(ec::table_unsuitable,
              to_string(type) + " cannot hold each value of " + source.name
                + " exactly; possible are: "
                + (source.array ? "Array of " + names + ", or String for all"
                                : names));
}

result<clickhouse_type>
choose_type(const column_type& source, std::string_view users_type,
            bool nullable) {
  auto type = default_type(source);
  if (!users_type.empty()) {
    auto parsed = parse_type(users_type);
    if (!parsed)
      return fail(ec::table_unsuitable,
                  "\"" + std::string{users_type} + "\" is no ClickHouse type");
    nullable = nullable || is_nullable(*parsed);
    type = without_nullable(std::move(*parsed));
    if (auto checked = check_type(source, type); !checked)
      return tl::unexpected(checked.error());
  }
  if (type.family == type_family::array) {
    type.inner[0] = make_nullable(std::move(type.inner[0]));
    return type;
  }
  return nullable ? make_nullable(std::move(type)) : type;
}

} // namespace millrace::transform
