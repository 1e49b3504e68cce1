#include "transform/values.hpp"

namespace millrace::transform {

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

} // namespace millrace::transform
