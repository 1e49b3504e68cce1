#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

namespace millrace::transform {

/// What became of one value.
enum class value_status : uint8_t {
  ok,
  /// Stored as the nearest end of the range.
  saturated,
  /// Not what PostgreSQL prints for the type.
  malformed,
  /// NaN or an infinity in a type that has none.
  not_a_number,
  /// Too large for the integer or decimal type.
  overflow,
  /// More digits after the point than the decimal type has.
  inexact,
  /// Date or time beyond the range, where that must not be saturated.
  out_of_range,
  /// An array of more than one dimension.
  nested_array,
  /// An array whose subscripts do not begin at 1.
  array_bounds,
  /// NULL in a column that cannot hold it.
  null_value,
  /// An unchanged TOAST value that nobody has filled in.
  unchanged,
  /// The target's stored value is not of the expected form.
  bad_patch,
  /// JSON that is not an object.
  no_object,
};

/// Why the value cannot be stored and what to do, without the value itself.
const char* explain(value_status x);

/// 256-bit two's complement, least significant word first.
struct wide_integer {
  uint64_t words[4] = {0, 0, 0, 0};

  /// `*this = *this * factor + addend`, wrapping.
  void multiply_add(uint64_t factor, uint64_t addend);
  void negate();
};

/// Powers of ten that fit 64 bits: 10^0 to 10^19.
extern const uint64_t powers_of_ten[20];

inline bool is_digit(char c) {
  return static_cast<unsigned char>(c - '0') < 10;
}

/// Reads `[-]digits`, the whole of it.
template <class T>
value_status parse_integer(const char* p, size_t n, T& out) {
  bool negative = n > 0 && *p == '-';
  const char* end = p + n;
  p += negative;
  size_t digits = end - p;
  if (digits == 0 || digits > 20)
    return value_status::malformed;
  uint64_t value = 0;
  if (digits < 20) [[likely]] {
    for (; p != end; ++p) {
      auto digit = static_cast<unsigned char>(*p - '0');
      if (digit > 9)
        return value_status::malformed;
      value = value * 10 + digit;
    }
  } else {
    for (; p != end; ++p) {
      auto digit = static_cast<unsigned char>(*p - '0');
      if (digit > 9)
        return value_status::malformed;
      if (__builtin_mul_overflow(value, uint64_t{10}, &value)
          || __builtin_add_overflow(value, uint64_t{digit}, &value))
        return value_status::overflow;
    }
  }
  constexpr auto max = static_cast<uint64_t>(std::numeric_limits<T>::max());
  if constexpr (std::is_signed_v<T>) {
    if (value > max + (negative ? 1 : 0))
      return value_status::overflow;
    out = static_cast<T>(negative ? 0 - value : value);
  } else {
    if (value > max || (negative && value != 0))
      return value_status::overflow;
    out = static_cast<T>(value);
  }
  return value_status::ok;
}

/// Reads what float4out and float8out print, `NaN` and infinities included.
template <class T>
value_status parse_float(const char* p, size_t n, T& out) {
  const char* digits = p + (n > 0 && *p == '-');
  if (digits < p + n && (is_digit(*digits) || *digits == '.')) [[likely]] {
    auto [end, err] = std::from_chars(p, p + n, out);
    if (end != p + n)
      return value_status::malformed;
    return err == std::errc{} ? value_status::ok : value_status::overflow;
  }
  std::string_view text{p, n};
  if (text == "NaN")
    out = std::numeric_limits<T>::quiet_NaN();
  else if (text == "Infinity")
    out = std::numeric_limits<T>::infinity();
  else if (text == "-Infinity")
    out = -std::numeric_limits<T>::infinity();
  else
    return value_status::malformed;
  return value_status::ok;
}

/// Reads `[-]digits[.digits]` of any length as value * 10^scale; no rounding.
value_status parse_wide_decimal(const char* p, size_t n, int precision,
                                int scale, wide_integer& out);

/// The same for precisions up to 18.
inline value_status
parse_decimal(const char* p, size_t n, int precision, int scale, int64_t& out) {
  const char* begin = p;
  const char* end = p + n;
  bool negative = n > 0 && *p == '-';
  p += negative;
  uint64_t value = 0;
  int fraction = 0;
  // 19 digits cannot overflow; longer texts take the general way.
  if (end - p <= 19 && p != end && is_digit(*p)) [[likely]] {
    for (; p != end && is_digit(*p); ++p)
      value = value * 10 + static_cast<unsigned char>(*p - '0');
    if (p != end && *p == '.') {
      for (++p; p != end && is_digit(*p); ++p, ++fraction)
        value = value * 10 + static_cast<unsigned char>(*p - '0');
      if (fraction == 0)
        return value_status::malformed;
    }
    if (p == end && fraction <= scale) [[likely]] {
      auto limit = powers_of_ten[precision];
      auto factor = powers_of_ten[scale - fraction];
      if (__builtin_mul_overflow(value, factor, &value) || value >= limit)
        return value_status::overflow;
      out = static_cast<int64_t>(negative ? 0 - value : value);
      return value_status::ok;
    }
  }
  wide_integer wide;
  auto status = parse_wide_decimal(begin, n, precision, scale, wide);
  out = static_cast<int64_t>(wide.words[0]);
  return status;
}

/// @name Infinities of dates and timestamps, beyond every range
/// @{
constexpr int64_t plus_infinity = std::numeric_limits<int64_t>::max();
constexpr int64_t minus_infinity = std::numeric_limits<int64_t>::min();
/// @}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; year 0 is 1 BC.
constexpr int64_t days_from_civil(int64_t year, unsigned month, unsigned day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  auto of_era = static_cast<unsigned>(year - era * 400);
  unsigned of_year
    = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  unsigned days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
  return era * 146097 + static_cast<int64_t>(days) - 719468;
}

/// Reads a date in ISO form, `infinity` and BC included, as days since 1970.
value_status parse_date(const char* p, size_t n, int64_t& days);

/// Reads a timestamp with or without time zone in ISO form, `infinity` and BC
/// included, as microseconds since 1970-01-01 UTC. What 64 bits cannot hold
/// becomes an infinity.
value_status parse_timestamp(const char* p, size_t n, int64_t& micros);

/// Reads a UUID as ClickHouse stores it: two little-endian halves.
value_status parse_uuid(const char* p, size_t n, char* out);

/// Reads `\x` and hexadecimal digits; writes (n - 2) / 2 bytes.
value_status parse_bytea(const char* p, size_t n, char* out);

} // namespace millrace::transform
