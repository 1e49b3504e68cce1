#define CAF_SUITE clickhouse_type

#include "transform/clickhouse_type.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace::transform;

namespace {

/// What the text looks like after it was read; "-" when it cannot be read.
std::string canonical(std::string_view text) {
  auto x = parse_type(text);
  return x ? to_string(*x) : "-";
}

clickhouse_type type(std::string_view text) {
  auto x = parse_type(text);
  if (!x)
    CAF_FAIL("not a type: " << std::string{text});
  return *x;
}

bool widens(std::string_view from, std::string_view to) {
  return millrace::transform::widens(type(from), type(to));
}

bool fits(std::string_view existing, std::string_view wanted) {
  return millrace::transform::fits(type(existing), type(wanted));
}

std::string wire(std::string_view text) {
  return to_string(wire_type(type(text)));
}

} // namespace

CAF_TEST(prints types as ClickHouse does) {
  for (std::string x : {"Bool",
                        "Int8",
                        "UInt256",
                        "Float32",
                        "String",
                        "FixedString(16)",
                        "Date",
                        "Date32",
                        "DateTime",
                        "DateTime('Europe/Berlin')",
                        "DateTime64(6)",
                        "DateTime64(6, 'UTC')",
                        "UUID",
                        "Decimal(76, 0)",
                        "Nullable(Decimal(12, 2))",
                        "LowCardinality(Nullable(String))",
                        "Array(Array(Nullable(Int32)))",
                        "JSON",
                        "JSON(max_dynamic_paths=8, a.b UInt32)",
                        "Enum8('a' = 1, 'b,)' = 2)",
                        "Tuple(a Int8, b String)"})
    CAF_CHECK_EQUAL(canonical(x), x);
}

CAF_TEST(reads what users write) {
  CAF_CHECK_EQUAL(canonical(" Nullable( DateTime64(3,'UTC') ) "),
                  "Nullable(DateTime64(3, 'UTC'))");
  CAF_CHECK_EQUAL(canonical("Decimal(12,2)"), "Decimal(12, 2)");
  CAF_CHECK_EQUAL(canonical("Decimal (12,2)"), "Decimal(12, 2)");
  CAF_CHECK_EQUAL(canonical("Decimal(12)"), "Decimal(12, 0)");
  CAF_CHECK_EQUAL(canonical("Decimal64(4)"), "Decimal(18, 4)");
  CAF_CHECK_EQUAL(canonical("Array(LowCardinality(String))"),
                  "Array(LowCardinality(String))");
}

CAF_TEST(refuses what cannot be a type) {
  for (auto x : {"",
                 " ",
                 "(",
                 ")",
                 "Nullable()",
                 "Nullable(String",
                 "Nullable(String))",
                 "Nullable(Nullable(String))",
                 "Nullable(Array(String))",
                 "Nullable(LowCardinality(String))",
                 "LowCardinality(Array(String))",
                 "Array(String, String)",
                 "Array(,)",
                 "Decimal(0, 0)",
                 "Decimal(77, 0)",
                 "Decimal(5, 6)",
                 "Decimal(5, -1)",
                 "Decimal(a)",
                 "Decimal32(1, 2)",
                 "DateTime64(10)",
                 "DateTime64(6, UTC)",
                 "DateTime64('UTC')",
                 "FixedString(0)",
                 "FixedString(x)",
                 "Int 32",
                 "String; DROP TABLE t",
                 "Enum8('a)",
                 "'x'"})

    CAF_CHECK_EQUAL(std::make_pair(std::string{x}, canonical(x)),
                    std::make_pair(std::string{x}, std::string{"-"}));
}

CAF_TEST(widening keeps each value) {
  CAF_CHECK(widens("Int16", "Int32"));
  CAF_CHECK(widens("Int16", "Nullable(Int64)"));
  CAF_CHECK(widens("UInt32", "Int64"));
  CAF_CHECK(widens("Float32", "Float64"));
  CAF_CHECK(widens("Decimal(12, 2)", "Decimal(18, 2)"));
  CAF_CHECK(widens("Decimal(12, 2)", "Decimal(14, 4)"));
  CAF_CHECK(widens("Date", "Date32"));
  CAF_CHECK(widens("String", "LowCardinality(Nullable(String))"));
  CAF_CHECK(widens("LowCardinality(String)", "String"));
  CAF_CHECK(widens("DateTime64(6, 'UTC')", "DateTime64(6)"));
  CAF_CHECK(widens("Array(Nullable(Int16))", "Array(Nullable(Int32))"));
}

CAF_TEST(what could lose a value does not widen) {
  CAF_CHECK(!widens("Int32", "Int16"));
  CAF_CHECK(!widens("Int32", "UInt64"));
  CAF_CHECK(!widens("UInt32", "Int32"));
  CAF_CHECK(!widens("Nullable(Int32)", "Int32"));
  CAF_CHECK(!widens("LowCardinality(Nullable(String))", "String"));
  CAF_CHECK(!widens("Int32", "String"));
  CAF_CHECK(!widens("Float64", "Float32"));
  CAF_CHECK(!widens("Int32", "Float64"));
  CAF_CHECK(!widens("Decimal(12, 2)", "Decimal(12, 4)"));
  CAF_CHECK(!widens("Decimal(12, 2)", "Decimal(18, 1)"));
  CAF_CHECK(!widens("Date32", "Date"));
  CAF_CHECK(!widens("DateTime64(6)", "DateTime64(9)"));
  CAF_CHECK(!widens("DateTime64(6)", "DateTime64(3)"));
  CAF_CHECK(!widens("String", "UUID"));
  CAF_CHECK(!widens("Array(Nullable(Int32))", "Array(Int32)"));
  CAF_CHECK(!widens("Enum8('a' = 1)", "Enum8('a' = 1, 'b' = 2)"));
}

CAF_TEST(an existing column fits when it is as wide as what is wanted) {
  CAF_CHECK(fits("Int64", "Int32"));
  CAF_CHECK(fits("Nullable(String)", "String"));
  CAF_CHECK(fits("String", "LowCardinality(String)"));
  CAF_CHECK(!fits("Int32", "Int64"));
  CAF_CHECK(!fits("String", "Nullable(String)"));
  CAF_CHECK(!fits("String", "Int32"));
}

CAF_TEST(blocks name types that the server converts from) {
  CAF_CHECK_EQUAL(wire("LowCardinality(Nullable(String))"), "Nullable(String)");
  CAF_CHECK_EQUAL(wire("Array(LowCardinality(Nullable(String)))"),
                  "Array(Nullable(String))");
  CAF_CHECK_EQUAL(wire("Nullable(JSON)"), "Nullable(String)");
  CAF_CHECK_EQUAL(wire("Nullable(DateTime64(6, 'UTC'))"),
                  "Nullable(DateTime64(6, 'UTC'))");
}
