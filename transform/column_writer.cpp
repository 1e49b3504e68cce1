#include "transform/column_writer.hpp"

#include "transform/array_column.hpp"
#include "transform/scalar_column.hpp"

#include <algorithm>
#include <limits>

namespace millrace::transform {

namespace {

using writer_ptr = std::unique_ptr<column_writer>;

/// What the choice of a writer depends on.
struct writer_choice {
  clickhouse_type element;
  value_kind kind = value_kind::text;
  bool array = false;
  bool nullable = false;
  bool refuse = false;
  column_rules rules;
  server_limits limits;

  template <class Codec>
  writer_ptr with(const Codec& codec) const {
    if (array)
      return std::make_unique<array_column<Codec>>(codec, rules);
    if (nullable)
      return std::make_unique<scalar_column<Codec, true>>(codec, rules);
    return std::make_unique<scalar_column<Codec, false>>(codec, rules);
  }
};

template <class T>
writer_ptr make_decimal_writer(const writer_choice& x) {
  decimal_codec<T> codec;
  codec.precision = x.element.precision;
  codec.scale = x.element.scale;
  return x.with(codec);
}

template <size_t Words>
writer_ptr make_wide_writer(const writer_choice& x) {
  wide_codec<Words> codec;
  codec.scale = x.element.scale;
  codec.precision = x.element.precision;
  if (x.element.family != type_family::decimal)
    codec.precision = Words == 2 ? 38 : 76;
  codec.is_signed = x.element.family != type_family::unsigned_integer;
  return x.with(codec);
}

template <class T, class U>
writer_ptr make_integer_writer(const writer_choice& x) {
  if (x.element.family == type_family::signed_integer)
    return x.with(integer_codec<T>{});
  return x.with(integer_codec<U>{});
}

writer_ptr make_number_writer(const writer_choice& x) {
  if (x.element.family == type_family::decimal) {
    auto precision = x.element.precision;
    return precision <= 9    ? make_decimal_writer<int32_t>(x)
           : precision <= 18 ? make_decimal_writer<int64_t>(x)
           : precision <= 38 ? make_wide_writer<2>(x)
                             : make_wide_writer<4>(x);
  }
  switch (x.element.bits) {
    case 8:
      return make_integer_writer<int8_t, uint8_t>(x);
    case 16:
      return make_integer_writer<int16_t, uint16_t>(x);
    case 32:
      return make_integer_writer<int32_t, uint32_t>(x);
    case 64:
      return make_integer_writer<int64_t, uint64_t>(x);
    case 128:
      return make_wide_writer<2>(x);
    default:
      return make_wide_writer<4>(x);
  }
}

writer_ptr make_float_writer(const writer_choice& x) {
  if (x.element.bits == 32)
    return x.with(float_codec<float>{});
  if (x.kind == value_kind::float4)
    return x.with(float_codec<double, float>{});
  return x.with(float_codec<double>{});
}

template <class T>
writer_ptr make_date_writer(const writer_choice& x, int64_t min, int64_t max) {
  date_codec<T> codec;
  codec.range = {min, max, x.refuse};
  return x.with(codec);
}

writer_ptr make_datetime_writer(const writer_choice& x) {
  timestamp_codec<uint32_t> codec;
  codec.range = {0, int64_t{UINT32_MAX} * 1'000'000, x.refuse};
  codec.divisor = 1'000'000;
  return x.with(codec);
}

writer_ptr make_datetime64_writer(const writer_choice& x) {
  timestamp_codec<int64_t> codec;
  codec.range = {x.limits.timestamp_min, x.limits.timestamp_max, x.refuse};
  auto precision = x.element.precision;
  if (precision < 6)
    codec.divisor = static_cast<int64_t>(powers_of_ten[6 - precision]);
  else
    codec.multiplier = static_cast<int64_t>(powers_of_ten[precision - 6]);
  // One off the ends, which are the marks of the infinities.
  auto most = std::numeric_limits<int64_t>::max() / codec.multiplier - 1;
  codec.range.min = std::max(codec.range.min, -most);
  codec.range.max = std::min(codec.range.max, most);
  return x.with(codec);
}

writer_ptr make_writer(const writer_choice& x) {
  switch (x.element.family) {
    case type_family::boolean:
      return x.with(bool_codec{});
    case type_family::signed_integer:
    case type_family::unsigned_integer:
      if (x.kind == value_kind::boolean)
        return x.with(bool_codec{});
      return make_number_writer(x);
    case type_family::decimal:
      return make_number_writer(x);
    case type_family::floating:
      return make_float_writer(x);
    case type_family::date:
      return make_date_writer<uint16_t>(x, 0, UINT16_MAX);
    case type_family::date32:
      return make_date_writer<int32_t>(x, x.limits.date_min, x.limits.date_max);
    case type_family::datetime:
      return make_datetime_writer(x);
    case type_family::datetime64:
      return make_datetime64_writer(x);
    case type_family::uuid:
      return x.with(uuid_codec{});
    case type_family::json:
      return x.with(json_codec{});
    default:
      return x.kind == value_kind::bytea ? x.with(bytea_codec{})
                                         : x.with(text_codec{});
  }
}

} // namespace

std::unique_ptr<column_writer>
make_column_writer(const target_table& table, const target_column& column,
                   const server_limits& limits) {
  const auto& source = table.source->columns[column.source];
  auto type = parse_type(column.type).value_or(clickhouse_type{});
  writer_choice choice;
  choice.limits = limits;
  choice.kind = source.type.kind;
  choice.array = type.family == type_family::array;
  choice.nullable = is_nullable(type);
  choice.element = bare(choice.array ? type.inner[0] : type);
  // A whole array as text, of bytes too, is PostgreSQL's text.
  if (source.type.array && !choice.array)
    choice.kind = value_kind::text;
  choice.refuse = column.key || column.refuse_out_of_range;
  choice.rules.source = column.source;
  choice.rules.key = column.key;
  choice.rules.null_as_default
    = choice.array ? !column.key : source.nullable && !column.key;
  // The only type of PostgreSQL with another delimiter.
  if (source.type.name == "box[]")
    choice.rules.delimiter = ';';
  return make_writer(choice);
}

} // namespace millrace::transform
