#include "transform/clickhouse_type.hpp"

#include "transform/plain_types.hpp"

#include <utility>

namespace millrace::transform {

namespace {

std::string
with_zone(std::string head, const clickhouse_type& x, bool arguments) {
  if (!x.zone.empty())
    head += (arguments ? ", '" : "('") + x.zone + "'";
  if (arguments || !x.zone.empty())
    head += ')';
  return head;
}

} // namespace

std::string to_string(const clickhouse_type& x) {
  switch (x.family) {
    case type_family::decimal:
      return "Decimal(" + std::to_string(x.precision) + ", "
             + std::to_string(x.scale) + ")";
    case type_family::fixed_string:
      return "FixedString(" + std::to_string(x.bits) + ")";
    case type_family::datetime:
      return with_zone("DateTime", x, false);
    case type_family::datetime64:
      return with_zone("DateTime64(" + std::to_string(x.precision), x, true);
    case type_family::json:
      return x.text.empty() ? "JSON" : "JSON(" + x.text + ")";
    case type_family::nullable:
      return "Nullable(" + to_string(x.inner[0]) + ")";
    case type_family::low_cardinality:
      return "LowCardinality(" + to_string(x.inner[0]) + ")";
    case type_family::array:
      return "Array(" + to_string(x.inner[0]) + ")";
    case type_family::other:
      return x.text;
    default:
      break;
  }
  for (const auto& candidate : plain_types)
    if (candidate.family == x.family && candidate.bits == x.bits)
      return std::string{candidate.name};
  return "?";
}

clickhouse_type make_type(type_family family, int bits) {
  clickhouse_type result;
  result.family = family;
  result.bits = bits;
  return result;
}

clickhouse_type make_decimal(int precision, int scale) {
  auto result = make_type(type_family::decimal);
  result.precision = precision;
  result.scale = scale;
  return result;
}

clickhouse_type make_datetime64(int precision, std::string zone) {
  auto result = make_type(type_family::datetime64);
  result.precision = precision;
  result.zone = std::move(zone);
  return result;
}

clickhouse_type make_array(clickhouse_type element) {
  auto result = make_type(type_family::array);
  result.inner.push_back(std::move(element));
  return result;
}

clickhouse_type make_nullable(clickhouse_type x) {
  if (x.family == type_family::nullable || x.family == type_family::array)
    return x;
  if (x.family == type_family::low_cardinality) {
    x.inner[0] = make_nullable(std::move(x.inner[0]));
    return x;
  }
  auto result = make_type(type_family::nullable);
  result.inner.push_back(std::move(x));
  return result;
}

bool is_nullable(const clickhouse_type& x) {
  if (x.family == type_family::low_cardinality)
    return is_nullable(x.inner[0]);
  return x.family == type_family::nullable;
}

const clickhouse_type& bare(const clickhouse_type& x) {
  if (x.family == type_family::nullable
      || x.family == type_family::low_cardinality)
    return bare(x.inner[0]);
  return x;
}

bool widens(const clickhouse_type& from, const clickhouse_type& to) {
  if (is_nullable(from) && !is_nullable(to))
    return false;
  const auto& a = bare(from);
  const auto& b = bare(to);
  if (a == b)
    return true;
  switch (a.family) {
    case type_family::boolean:
      return false;
    case type_family::signed_integer:
      return b.family == a.family && b.bits >= a.bits;
    case type_family::unsigned_integer:
      return (b.family == a.family && b.bits >= a.bits)
             || (b.family == type_family::signed_integer && b.bits > a.bits);
    case type_family::floating:
      return b.family == a.family && b.bits >= a.bits;
    case type_family::decimal:
      return b.family == a.family && b.scale >= a.scale
             && b.precision - b.scale >= a.precision - a.scale;
    case type_family::date:
      return b.family == type_family::date32;
    // A zone is only for display; more digits would narrow the range.
    case type_family::datetime:
      return b.family == a.family;
    case type_family::datetime64:
      return b.family == a.family && b.precision == a.precision;
    case type_family::json:
      return b.family == a.family;
    case type_family::array:
      return b.family == a.family && widens(a.inner[0], b.inner[0]);
    default:
      return false;
  }
}

bool fits(const clickhouse_type& existing, const clickhouse_type& wanted) {
  return widens(wanted, existing);
}

clickhouse_type wire_type(const clickhouse_type& x) {
  switch (x.family) {
    case type_family::low_cardinality:
      return wire_type(x.inner[0]);
    case type_family::json:
      return make_type(type_family::string);
    case type_family::nullable:
    case type_family::array: {
      auto result = make_type(x.family);
      result.inner.push_back(wire_type(x.inner[0]));
      return result;
    }
    default:
      return x;
  }
}

} // namespace millrace::transform
