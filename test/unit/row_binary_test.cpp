#define CAF_SUITE row_binary

#include "clickhouse/row_binary.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::clickhouse;

namespace {

/// Bytes that a value of the type takes at the beginning of `bytes`; -1 when
/// they are too few.
int size_of(const char* type, std::string_view bytes) {
  row_binary_reader in{bytes};
  auto out = in.value(*transform::parse_type(type));
  return in.failed() ? -1 : static_cast<int>(out.size());
}

} // namespace

CAF_TEST(values are cut at their type) {
  std::string zeros(64, '\0');
  std::pair<const char*, int> fixed[] = {
    {"Bool", 1},
    {"Int16", 2},
    {"UInt32", 4},
    {"Int64", 8},
    {"UInt128", 16},
    {"Int256", 32},
    {"Float32", 4},
    {"Float64", 8},
    {"Decimal(9, 2)", 4},
    {"Decimal(18, 2)", 8},
    {"Decimal(38, 2)", 16},
    {"Decimal(76, 2)", 32},
    {"Date", 2},
    {"Date32", 4},
    {"DateTime", 4},
    {"DateTime64(6, 'UTC')", 8},
    {"UUID", 16},
    {"FixedString(7)", 7},
    {"String", 1},
    {"Array(Int64)", 1},
    {"Nullable(Int64)", 9},
  };
  for (auto& [type, size] : fixed) {
    CAF_CHECK_EQUAL(size_of(type, zeros), size);
    CAF_CHECK_EQUAL(size_of(type, std::string_view{zeros}.substr(0, size - 1)),
                    -1);
  }
}

CAF_TEST(strings and arrays may have any length) {
  std::string x;
  put_string(x, std::string(300, 'a'));
  CAF_CHECK_EQUAL(size_of("String", x + "rest"), 302);
  CAF_CHECK_EQUAL(size_of("LowCardinality(Nullable(String))",
                          std::string(1, '\0') + x + "rest"),
                  303);
  CAF_CHECK_EQUAL(size_of("Nullable(String)", "\x01rest"), 1);
  std::string array{"\x03\x00\x01z\x01\x00\x00", 7};
  CAF_CHECK_EQUAL(size_of("Array(Nullable(String))", array + "rest"), 7);
  for (size_t n = 0; n < array.size(); ++n)
    CAF_CHECK_EQUAL(size_of("Array(Nullable(String))", array.substr(0, n)), -1);
}

CAF_TEST(a length beyond all bounds is a failure) {
  CAF_CHECK_EQUAL(size_of("String", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                  -1);
  CAF_CHECK_EQUAL(size_of("Array(String)",
                          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                  -1);
}

CAF_TEST(types without a known length are known as such) {
  CAF_CHECK(has_known_layout(*transform::parse_type("Array(Nullable(UUID))")));
  CAF_CHECK(!has_known_layout(*transform::parse_type("Map(String, Int8)")));
  CAF_CHECK(
    !has_known_layout(*transform::parse_type("Array(Tuple(Int8, Int8))")));
}
