#include "transform/values.hpp"

#include <algorithm>
#include <array>

namespace millrace::transform {

const char* explain(value_status x) {
  switch (x) {
    case value_status::ok:
      return "stored";
    case value_status::saturated:
      return "stored as the nearest end of the range";
    case value_status::malformed:
      return "the text is not what PostgreSQL prints for this type";
    case value_status::not_a_number:
      return "NaN and infinities cannot be held; ask for String";
    case value_status::overflow:
      return "the value is too large; ask for a wider type or String";
    case value_status::inexact:
      return "the value has more digits after the point than the type; ask "
             "for a larger scale or String";
    case value_status::out_of_range:
      return "the date or time is beyond the range of the type; ask for "
             "String";
    case value_status::nested_array:
      return "the array has more than one dimension; ask for String";
    case value_status::array_bounds:
      return "the array's subscripts do not begin at 1; ask for String";
    case value_status::null_value:
      return "NULL in a column that cannot hold it";
    case value_status::unchanged:
      return "the stream left the value out (unchanged TOAST) and it was not "
             "found elsewhere; take the table again by a snapshot, or set "
             "REPLICA IDENTITY FULL";
    case value_status::bad_patch:
      return "the value stored in the target does not have the expected type";
    case value_status::no_object:
      return "only JSON objects can be held by type JSON; ask for String";
  }
  return "unknown";
}

const uint64_t powers_of_ten[20] = {1ull,
                                    10ull,
                                    100ull,
                                    1000ull,
                                    10000ull,
                                    100000ull,
                                    1000000ull,
                                    10000000ull,
                                    100000000ull,
                                    1000000000ull,
                                    10000000000ull,
                                    100000000000ull,
                                    1000000000000ull,
                                    10000000000000ull,
                                    100000000000000ull,
                                    1000000000000000ull,
                                    10000000000000000ull,
                                    100000000000000000ull,
                                    1000000000000000000ull,
                                    10000000000000000000ull};

void wide_integer::multiply_add(uint64_t factor, uint64_t addend) {
  unsigned __int128 carry = addend;
  for (auto& word : words) {
    carry += static_cast<unsigned __int128>(word) * factor;
    word = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
}

void wide_integer::negate() {
  uint64_t carry = 1;
  for (auto& word : words) {
    word = ~word + carry;
    carry = carry != 0 && word == 0;
  }
}

namespace {

/// Collects decimal digits in groups, so that most need 64-bit arithmetic only.
struct digit_sink {
  wide_integer& out;
  uint64_t group = 0;
  int digits = 0;

  void add(unsigned digit) {
    group = group * 10 + digit;
    if (++digits == 19)
      flush();
  }

  void flush() {
    out.multiply_add(powers_of_ten[digits], group);
    group = 0;
    digits = 0;
  }
};

bool is_special_number(std::string_view x) {
  return x == "NaN" || x == "Infinity" || x == "-Infinity";
}

} // namespace

value_status parse_wide_decimal(const char* p, size_t n, int precision,
                                int scale, wide_integer& out) {
  if (is_special_number({p, n}))
    return value_status::not_a_number;
  const char* end = p + n;
  bool negative = n > 0 && *p == '-';
  p += negative;
  const char* point = std::find(p, end, '.');
  const char* fraction = point == end ? end : point + 1;
  if (point == p || (point != end && fraction == end)
      || !std::all_of(p, point, is_digit)
      || !std::all_of(fraction, end, is_digit))
    return value_status::malformed;
  while (p != point && *p == '0')
    ++p;
  if (point - p > precision - scale)
    return value_status::overflow;
  const char* cut = end - fraction > scale ? fraction + scale : end;
  if (!std::all_of(cut, end, [](char c) { return c == '0'; }))
    return value_status::inexact;
  digit_sink sink{out};
  for (; p != point; ++p)
    sink.add(*p - '0');
  for (p = fraction; p != cut; ++p)
    sink.add(*p - '0');
  for (auto i = cut - fraction; i < scale; ++i)
    sink.add(0);
  sink.flush();
  if (negative)
    out.negate();
  return value_status::ok;
}

namespace {

/// Value of each hexadecimal digit; 255 for anything else.
constexpr auto hex_values = [] {
  std::array<unsigned char, 256> result{};
  result.fill(255);
  for (int i = 0; i < 10; ++i)
    result['0' + i] = static_cast<unsigned char>(i);
  for (int i = 0; i < 6; ++i) {
    result['a' + i] = static_cast<unsigned char>(10 + i);
    result['A' + i] = static_cast<unsigned char>(10 + i);
  }
  return result;
}();

unsigned hex_digit(char c) {
  return hex_values[static_cast<unsigned char>(c)];
}

/// Reads `digits` hexadecimal digits; false when there are others.
bool hex_number(const char* p, int digits, uint64_t& value) {
  unsigned bad = 0;
  for (int i = 0; i < digits; ++i) {
    auto digit = hex_digit(p[i]);
    bad |= digit;
    value = value << 4 | (digit & 15);
  }
  return bad < 16;
}

} // namespace

value_status parse_uuid(const char* p, size_t n, char* out) {
  uint64_t high = 0;
  uint64_t low = 0;
  if (n != 36 || p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-'
      || !hex_number(p, 8, high) || !hex_number(p + 9, 4, high)
      || !hex_number(p + 14, 4, high) || !hex_number(p + 19, 4, low)
      || !hex_number(p + 24, 12, low))
    return value_status::malformed;
  std::memcpy(out, &high, 8);
  std::memcpy(out + 8, &low, 8);
  return value_status::ok;
}

value_status parse_bytea(const char* p, size_t n, char* out) {
  if (n < 2 || n % 2 != 0 || p[0] != '\\' || p[1] != 'x')
    return value_status::malformed;
  unsigned bad = 0;
  for (size_t i = 2; i < n; i += 2) {
    auto high = hex_digit(p[i]);
    auto low = hex_digit(p[i + 1]);
    bad |= high | low;
    *out++ = static_cast<char>(high << 4 | low);
  }
  return bad < 16 ? value_status::ok : value_status::malformed;
}

} // namespace millrace::transform
