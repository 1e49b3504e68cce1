#define CAF_SUITE values

#include "transform/array_text.hpp"
#include "transform/values.hpp"

#include <caf/test/dsl.hpp>

#include <cmath>
#include <string>
#include <vector>

using namespace millrace::transform;

namespace {

constexpr auto day = int64_t{86'400'000'000};

/// The status as the number that a failed check prints.
int code(value_status x) {
  return static_cast<int>(x);
}

template <class T>
value_status integer(std::string_view text, T& out) {
  return parse_integer(text.data(), text.size(), out);
}

template <class T>
bool is_integer(std::string_view text, T expected) {
  T value{};
  return integer(text, value) == value_status::ok && value == expected;
}

template <class T>
value_status integer_status(std::string_view text) {
  T value{};
  return integer(text, value);
}

/// Unscaled value of a decimal of up to 18 digits; the status when it failed.
std::string small(std::string_view text, int precision, int scale) {
  int64_t value = 0;
  auto status
    = parse_decimal(text.data(), text.size(), precision, scale, value);
  return status == value_status::ok ? std::to_string(value) : explain(status);
}

/// The same by the general way, in decimal digits.
std::string wide(std::string_view text, int precision, int scale) {
  wide_integer value;
  auto status
    = parse_wide_decimal(text.data(), text.size(), precision, scale, value);
  if (status != value_status::ok)
    return explain(status);
  bool negative = value.words[3] >> 63 != 0;
  if (negative)
    value.negate();
  std::string digits;
  while ((value.words[0] | value.words[1] | value.words[2] | value.words[3])
         != 0) {
    unsigned __int128 rest = 0;
    for (int i = 3; i >= 0; --i) {
      rest = rest << 64 | value.words[i];
      value.words[i] = static_cast<uint64_t>(rest / 10);
      rest %= 10;
    }
    digits.insert(digits.begin(), static_cast<char>('0' + int(rest)));
  }
  return (negative ? "-" : "") + (digits.empty() ? "0" : digits);
}

int64_t date(std::string_view text) {
  int64_t days = 0;
  if (parse_date(text.data(), text.size(), days) != value_status::ok)
    CAF_FAIL("no date: " << std::string{text});
  return days;
}

bool is_date(std::string_view text) {
  int64_t days = 0;
  return parse_date(text.data(), text.size(), days) == value_status::ok;
}

int64_t timestamp(std::string_view text) {
  int64_t micros = 0;
  if (parse_timestamp(text.data(), text.size(), micros) != value_status::ok)
    CAF_FAIL("no timestamp: " << std::string{text});
  return micros;
}

bool is_timestamp(std::string_view text) {
  int64_t micros = 0;
  return parse_timestamp(text.data(), text.size(), micros) == value_status::ok;
}

double number(std::string_view text) {
  double result = 0;
  if (parse_float(text.data(), text.size(), result) != value_status::ok)
    CAF_FAIL("no number: " << std::string{text});
  return result;
}

/// The elements of an array joined by `|`, or why it cannot be read.
std::string elements(std::string_view text, char delimiter = ',') {
  std::string scratch;
  std::string result;
  auto status = for_each_element(
    text.data(), text.size(), delimiter, scratch, [&](const char* p, size_t n) {
      result += p == nullptr ? "<null>" : std::string(p, n);
      result += '|';
      return value_status::ok;
    });
  return status == value_status::ok ? result : explain(status);
}

} // namespace

CAF_TEST(integers keep their ends and nothing beyond) {
  CAF_CHECK(is_integer<int64_t>("-9223372036854775808", INT64_MIN));
  CAF_CHECK(is_integer<int64_t>("9223372036854775807", INT64_MAX));
  CAF_CHECK(is_integer<uint64_t>("18446744073709551615", UINT64_MAX));
  CAF_CHECK(is_integer<int16_t>("-32768", INT16_MIN));
  CAF_CHECK(is_integer<uint32_t>("4294967295", UINT32_MAX));
  CAF_CHECK(is_integer<int32_t>("0", 0));
  auto overflow = code(value_status::overflow);
  CAF_CHECK_EQUAL(code(integer_status<int64_t>("9223372036854775808")),
                  overflow);
  CAF_CHECK_EQUAL(code(integer_status<int64_t>("-9223372036854775809")),
                  overflow);
  CAF_CHECK_EQUAL(code(integer_status<uint64_t>("18446744073709551616")),
                  overflow);
  CAF_CHECK_EQUAL(code(integer_status<uint64_t>("99999999999999999999")),
                  overflow);
  CAF_CHECK_EQUAL(code(integer_status<int8_t>("128")), overflow);
  CAF_CHECK_EQUAL(code(integer_status<uint8_t>("-1")), overflow);
}

CAF_TEST(what is no integer is refused) {
  for (auto x : {"", "-", "+1", "1 ", " 1", "1.0", "1e3", "0x1", "--1",
                 "123456789012345678901"})
    CAF_CHECK_EQUAL(code(integer_status<int64_t>(x)),
                    code(value_status::malformed));
}

CAF_TEST(floats keep signs of zeros and what is no number) {
  CAF_CHECK(std::isnan(number("NaN")));
  CAF_CHECK(number("Infinity") == HUGE_VAL);
  CAF_CHECK(number("-Infinity") == -HUGE_VAL);
  CAF_CHECK(number("-0") == 0 && std::signbit(number("-0")));
  CAF_CHECK(!std::signbit(number("0")));
  // CAF_CHECK_EQUAL takes doubles for equal that are not.
  CAF_CHECK(number("5e-324") == 5e-324);
  CAF_CHECK(number("1.7976931348623157e+308") == 1.7976931348623157e308);
  float tiny = 0;
  CAF_CHECK_EQUAL(code(parse_float("1e-45", 5, tiny)), 0);
  CAF_CHECK(tiny == 1e-45f);
  for (std::string_view x :
       {"", "-", "inf", "nan", "infinity", "1,5", "1 ", "-nan", "+1", "0x10"}) {
    double value = 0;
    CAF_CHECK_EQUAL(code(parse_float(x.data(), x.size(), value)),
                    code(value_status::malformed));
  }
}

CAF_TEST(decimals are exact) {
  CAF_CHECK_EQUAL(small("12.50", 12, 2), "1250");
  CAF_CHECK_EQUAL(small("-0.01", 12, 2), "-1");
  CAF_CHECK_EQUAL(small("7", 12, 2), "700");
  CAF_CHECK_EQUAL(small("0", 1, 1), "0");
  CAF_CHECK_EQUAL(small("-0.00", 12, 2), "0");
  CAF_CHECK_EQUAL(small("999999999999999999", 18, 0), "999999999999999999");
  CAF_CHECK_EQUAL(small("-0.999999999999999999", 18, 18),
                  "-999999999999999999");
  CAF_CHECK_EQUAL(small("0000000000000000000012.5", 4, 2), "1250");
  CAF_CHECK_EQUAL(small("1.5000000000000000000000000", 4, 2), "150");
}

CAF_TEST(both ways through decimals agree) {
  for (auto x : {"0", "1", "-1", "12.34", "-99999.99", "0.1", "100000", "1.239",
                 "NaN", "Infinity", "", ".", "1.", ".5", "-", "1e5", "1..2",
                 "99999.995", "99999.990"})
    CAF_CHECK_EQUAL(small(x, 7, 2), wide(x, 7, 2));
}

CAF_TEST(wide decimals reach 76 digits) {
  std::string nines(76, '9');
  CAF_CHECK_EQUAL(wide(nines, 76, 0), nines);
  CAF_CHECK_EQUAL(wide("-" + nines, 76, 0), "-" + nines);
  CAF_CHECK_EQUAL(wide("-0." + nines, 76, 76), "-" + nines);
  CAF_CHECK_EQUAL(wide("170141183460469231731687303715884105728", 39, 0),
                  "170141183460469231731687303715884105728");
  CAF_CHECK_EQUAL(wide("0.5", 76, 76), "5" + std::string(75, '0'));
  CAF_CHECK_EQUAL(wide("9" + nines, 76, 0), explain(value_status::overflow));
}

CAF_TEST(decimals that cannot be held are refused with the reason) {
  auto special = explain(value_status::not_a_number);
  CAF_CHECK_EQUAL(small("NaN", 12, 2), special);
  CAF_CHECK_EQUAL(small("Infinity", 12, 2), special);
  CAF_CHECK_EQUAL(wide("-Infinity", 40, 2), special);
  CAF_CHECK_EQUAL(small("10000000000.00", 12, 2),
                  explain(value_status::overflow));
  CAF_CHECK_EQUAL(small("10", 1, 0), explain(value_status::overflow));
  CAF_CHECK_EQUAL(small("1.005", 12, 2), explain(value_status::inexact));
  CAF_CHECK_EQUAL(small("1.2x", 12, 2), explain(value_status::malformed));
}

CAF_TEST(dates of all ages are days) {
  CAF_CHECK_EQUAL(date("1970-01-01"), 0);
  CAF_CHECK_EQUAL(date("1969-12-31"), -1);
  CAF_CHECK_EQUAL(date("2000-02-29"), 11016);
  CAF_CHECK_EQUAL(date("0001-01-01"), -719162);
  CAF_CHECK_EQUAL(date("0001-12-31 BC"), -719163);
  CAF_CHECK_EQUAL(date("0005-02-28 BC") + 1, date("0005-02-29 BC"));
  // select '4714-11-24 BC'::date - '1970-01-01', '5874897-12-31'::date - ...
  CAF_CHECK_EQUAL(date("4714-11-24 BC"), -2440588);
  CAF_CHECK_EQUAL(date("5874897-12-31"), 2145042905);
  CAF_CHECK_EQUAL(date("9999-12-31"), 2932896);
  CAF_CHECK_EQUAL(date("infinity"), plus_infinity);
  CAF_CHECK_EQUAL(date("-infinity"), minus_infinity);
}

CAF_TEST(what is no date is refused) {
  for (auto x : {"",
                 "2024",
                 "2024-1-1",
                 "2024-13-01",
                 "2024-00-01",
                 "2024-01-00",
                 "2024-01-32",
                 "2023-02-29",
                 "1900-02-29",
                 "2024-04-31",
                 "24-01-01",
                 "12345678-01-01",
                 "2024-01-01 ",
                 "2024-01-01 AD",
                 "-2024-01-01",
                 "2024/01/01",
                 " BC",
                 "infinity BC",
                 "2024-0a-01",
                 "Infinity"})
    CAF_CHECK(!is_date(x));
}

CAF_TEST(timestamps are microseconds) {
  CAF_CHECK_EQUAL(timestamp("1970-01-01 00:00:00"), 0);
  CAF_CHECK_EQUAL(timestamp("1970-01-01 00:00:00+00"), 0);
  CAF_CHECK_EQUAL(timestamp("1969-12-31 23:59:59.999999"), -1);
  CAF_CHECK_EQUAL(timestamp("1970-01-02 00:00:00.1"), day + 100'000);
  CAF_CHECK_EQUAL(timestamp("1970-01-01 00:00:00.000001+00"), 1);
  CAF_CHECK_EQUAL(timestamp("1970-01-01 05:30:00+05:30"), 0);
  CAF_CHECK_EQUAL(timestamp("1969-12-31 16:07:02-07:52:58"), 0);
  CAF_CHECK_EQUAL(timestamp("0001-12-31 23:59:59.999999 BC"),
                  -719162 * day - 1);
  CAF_CHECK_EQUAL(timestamp("0044-03-15 12:00:00+00 BC"),
                  date("0044-03-15 BC") * day + day / 2);
  CAF_CHECK_EQUAL(timestamp("10000-01-01 00:00:00+00"), 2932897 * day);
  CAF_CHECK_EQUAL(timestamp("infinity"), plus_infinity);
  CAF_CHECK_EQUAL(timestamp("-infinity"), minus_infinity);
}

CAF_TEST(the last timestamps of PostgreSQL do not wrap) {
  CAF_CHECK_EQUAL(timestamp("294276-12-31 23:59:59.999999"), plus_infinity);
  CAF_CHECK(timestamp("4714-11-24 00:00:00 BC") < -719162 * day);
}

CAF_TEST(what is no timestamp is refused) {
  for (auto x : {"", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01 24:00:00",
                 "2024-01-01 00:60:00", "2024-01-01 00:00:60",
                 "2024-01-01 0:00:00", "2024-01-01 00:00:00.",
                 "2024-01-01 00:00:00.1234567", "2024-01-01 00:00:00+0",
                 "2024-01-01 00:00:00+00:", "2024-01-01 00:00:00Z",
                 "2024-01-01 00:00:00+00 AD", "2024-01-01 00:00", "Infinity",
                 "infinity BC"})
    CAF_CHECK(!is_timestamp(x));
}

CAF_TEST(a UUID is two little endian halves) {
  std::string_view text = "00112233-4455-6677-8899-aabbccddeeff";
  char out[16];
  CAF_CHECK_EQUAL(code(parse_uuid(text.data(), text.size(), out)), 0);
  CAF_CHECK_EQUAL(std::string(out, 16),
                  std::string("\x77\x66\x55\x44\x33\x22\x11\x00"
                              "\xff\xee\xdd\xcc\xbb\xaa\x99\x88",
                              16));
  for (std::string_view x : {"", "00112233-4455-6677-8899-aabbccddeef",
                             "00112233-4455-6677-8899-aabbccddeefg",
                             "0011223344556677-8899-aabbccddeeff00",
                             "{0112233-4455-6677-8899-aabb}"})
    CAF_CHECK_EQUAL(code(parse_uuid(x.data(), x.size(), out)),
                    code(value_status::malformed));
}

CAF_TEST(bytea is its bytes) {
  char out[8];
  CAF_CHECK_EQUAL(code(parse_bytea("\\x00ffAb", 8, out)), 0);
  CAF_CHECK_EQUAL(std::string(out, 3), std::string("\x00\xff\xab", 3));
  CAF_CHECK_EQUAL(code(parse_bytea("\\x", 2, out)), 0);
  for (std::string_view x : {"", "\\", "abc", "\\x0", "\\x0g", "\\\\x00"})
    CAF_CHECK_EQUAL(code(parse_bytea(x.data(), x.size(), out)),
                    code(value_status::malformed));
}

CAF_TEST(arrays are read with quotes and NULLs) {
  CAF_CHECK_EQUAL(elements("{}"), "");
  CAF_CHECK_EQUAL(elements("{1,2,3}"), "1|2|3|");
  CAF_CHECK_EQUAL(elements("{NULL,\"NULL\",null}"), "<null>|NULL|null|");
  CAF_CHECK_EQUAL(elements(R"({"a,b","c\"d","e\\f","{}",""})"),
                  "a,b|c\"d|e\\f|{}||");
  CAF_CHECK_EQUAL(elements("{(1,2),(0,0);(3,4),(1,1)}", ';'),
                  "(1,2),(0,0)|(3,4),(1,1)|");
}

CAF_TEST(other arrays are refused with the reason) {
  CAF_CHECK_EQUAL(elements("{{1,2},{3,4}}"),
                  explain(value_status::nested_array));
  CAF_CHECK_EQUAL(elements("[0:1]={1,2}"), explain(value_status::array_bounds));
  for (auto x : {"", "{", "}", "1,2", "{1,2", "{1,}", "{,1}", "{1,,2}", "{\"a}",
                 "{\"a\"b}", "{a\"b\"}", "{\"a\\}", "{\"a\\\"}"})
    CAF_CHECK_EQUAL(elements(x), explain(value_status::malformed));
}
