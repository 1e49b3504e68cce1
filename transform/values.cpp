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

constexpr int64_t day_micros = 86'400'000'000;

unsigned days_of_month(int64_t year, unsigned month) {
  constexpr unsigned char days[]
    = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month == 2 && leap ? 29 : days[month - 1];
}

/// Reads two digits; a value above 99 marks anything else.
unsigned two_digits(const char* p) {
  auto a = static_cast<unsigned char>(p[0] - '0');
  auto b = static_cast<unsigned char>(p[1] - '0');
  return (a | b) > 15 || a > 9 || b > 9 ? 100u : a * 10u + b;
}

/// Takes `x` from the end of the text.
bool drop_suffix(const char* p, const char*& end, std::string_view x) {
  auto size = static_cast<ptrdiff_t>(x.size());
  if (end - p < size || std::string_view{end - size, x.size()} != x)
    return false;
  end -= size;
  return true;
}

bool parse_infinity(std::string_view text, int64_t& out) {
  if (text == "infinity")
    out = plus_infinity;
  else if (text == "-infinity")
    out = minus_infinity;
  else
    return false;
  return true;
}

/// Reads `YYYY-MM-DD` with 4 to 7 digits of year from the front.
bool take_date(const char*& p, const char* end, bool bc, int64_t& days) {
  int64_t year = 0;
  const char* begin = p;
  for (; p != end && is_digit(*p) && p - begin < 8; ++p)
    year = year * 10 + (*p - '0');
  if (p - begin < 4 || p - begin > 7 || end - p < 6 || p[0] != '-'
      || p[3] != '-')
    return false;
  auto month = two_digits(p + 1);
  auto day = two_digits(p + 4);
  p += 6;
  if (bc)
    year = 1 - year;
  if (month < 1 || month > 12 || day < 1
      || (day > 28 && day > days_of_month(year, month)))
    return false;
  days = days_from_civil(year, month, day);
  return true;
}

/// Reads `HH:MM:SS[.ffffff]` from the front.
bool take_time(const char*& p, const char* end, int64_t& micros) {
  if (end - p < 8 || p[2] != ':' || p[5] != ':')
    return false;
  auto hour = two_digits(p);
  auto minute = two_digits(p + 3);
  auto second = two_digits(p + 6);
  if (hour > 23 || minute > 59 || second > 59)
    return false;
  p += 8;
  int64_t fraction = 0;
  if (p != end && *p == '.') {
    const char* begin = ++p;
    for (; p != end && is_digit(*p) && p - begin < 6; ++p)
      fraction = fraction * 10 + (*p - '0');
    if (p == begin)
      return false;
    fraction *= static_cast<int64_t>(powers_of_ten[6 - (p - begin)]);
  }
  micros = ((hour * 60 + minute) * 60 + second) * int64_t{1'000'000} + fraction;
  return true;
}

/// Reads `+HH[:MM[:SS]]`, east of Greenwich positive.
bool take_offset(const char*& p, const char* end, int64_t& seconds) {
  bool west = *p == '-';
  unsigned parts[3] = {0, 0, 0};
  ++p;
  for (int i = 0; i < 3; ++i) {
    if (i > 0) {
      if (p == end || *p != ':')
        break;
      ++p;
    }
    if (end - p < 2 || (parts[i] = two_digits(p)) > 59)
      return false;
    p += 2;
  }
  seconds = (parts[0] * 60 + parts[1]) * 60 + parts[2];
  if (west)
    seconds = -seconds;
  return true;
}

} // namespace

value_status parse_date(const char* p, size_t n, int64_t& days) {
  if (parse_infinity({p, n}, days))
    return value_status::ok;
  const char* end = p + n;
  bool bc = drop_suffix(p, end, " BC");
  return take_date(p, end, bc, days) && p == end ? value_status::ok
                                                 : value_status::malformed;
}

value_status parse_timestamp(const char* p, size_t n, int64_t& micros) {
  const char* end = p + n;
  if (parse_infinity({p, n}, micros))
    return value_status::ok;
  bool bc = drop_suffix(p, end, " BC");
  int64_t days = 0;
  int64_t time = 0;
  int64_t offset = 0;
  if (!take_date(p, end, bc, days) || p == end || *p != ' '
      || !take_time(++p, end, time))
    return value_status::malformed;
  if (p != end && (*p == '+' || *p == '-') && !take_offset(p, end, offset))
    return value_status::malformed;
  if (p != end)
    return value_status::malformed;
  time -= offset * 1'000'000;
  if (__builtin_mul_overflow(days, day_micros, &micros)
      || __builtin_add_overflow(micros, time, &micros))
    micros = days > 0 ? plus_infinity : minus_infinity;
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
