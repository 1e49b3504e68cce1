#define CAF_SUITE mapping

#include "test/unit/table_fixture.hpp"
#include "transform/mapping.hpp"
#include "transform/names.hpp"
#include "transform/type_choice.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::test;
using namespace millrace::transform;

namespace {

using choice = mapping_options::column_choice;

column_description with_modifier(column_description x, int32_t modifier) {
  x.type.modifier = modifier;
  return x;
}

/// Target type of a column under the options, or the error.
std::string type_of(column_description x, mapping_options options = {}) {
  auto mapped = map_table(
    table("t", {column("id", value_kind::int8, false, 0), std::move(x)}),
    options);
  return mapped ? (*mapped)->columns[1].type : mapped.error().text;
}

/// The same with the type that a user names.
std::string chosen(column_description x, std::string type) {
  mapping_options options;
  options.columns["public.t." + x.name] = {std::move(type), ""};
  return type_of(std::move(x), options);
}

std::string
error_of(const table_description_ptr& x, const mapping_options& options = {}) {
  auto mapped = map_table(x, options);
  return mapped ? "" : mapped.error().text;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

target_table_ptr
map(const table_description_ptr& x, const mapping_options& options = {}) {
  auto mapped = map_table(x, options);
  if (!mapped)
    CAF_FAIL(mapped.error().text);
  return *mapped;
}

/// Copies: CAF_CHECK_EQUAL keeps references into temporaries.
std::string
name_of(const table_description_ptr& x, const mapping_options& options = {}) {
  return map(x, options)->name;
}

std::shared_ptr<table_description> named(std::string schema, std::string name) {
  auto result
    = table(std::move(name), {column("id", value_kind::int8, false, 0)});
  result->schema = std::move(schema);
  return result;
}

} // namespace

CAF_TEST(each kind of value has its type) {
  auto type = [](value_kind x) { return type_of(column("c", x, false)); };
  CAF_CHECK_EQUAL(type(value_kind::boolean), "Bool");
  CAF_CHECK_EQUAL(type(value_kind::int2), "Int16");
  CAF_CHECK_EQUAL(type(value_kind::int4), "Int32");
  CAF_CHECK_EQUAL(type(value_kind::int8), "Int64");
  CAF_CHECK_EQUAL(type(value_kind::uint4), "UInt32");
  CAF_CHECK_EQUAL(type(value_kind::uint8), "UInt64");
  CAF_CHECK_EQUAL(type(value_kind::float4), "Float32");
  CAF_CHECK_EQUAL(type(value_kind::float8), "Float64");
  CAF_CHECK_EQUAL(type(value_kind::date), "Date32");
  CAF_CHECK_EQUAL(type(value_kind::timestamp), "DateTime64(6, 'UTC')");
  CAF_CHECK_EQUAL(type(value_kind::timestamptz), "DateTime64(6, 'UTC')");
  CAF_CHECK_EQUAL(type(value_kind::uuid), "UUID");
  CAF_CHECK_EQUAL(type(value_kind::bytea), "String");
  CAF_CHECK_EQUAL(type(value_kind::enumeration), "LowCardinality(String)");
  CAF_CHECK_EQUAL(type(value_kind::json), "String");
  CAF_CHECK_EQUAL(type(value_kind::text), "String");
  CAF_CHECK_EQUAL(type(value_kind::numeric), "String");
}

CAF_TEST(numerics are decimals where a decimal can hold them) {
  auto type = [](int p, int s) { return type_of(numeric("c", p, s, false)); };
  CAF_CHECK_EQUAL(type(12, 2), "Decimal(12, 2)");
  CAF_CHECK_EQUAL(type(76, 76), "Decimal(76, 76)");
  CAF_CHECK_EQUAL(type(1, 0), "Decimal(1, 0)");
  CAF_CHECK_EQUAL(type(77, 0), "String");
  CAF_CHECK_EQUAL(type(3, -2), "String");
  CAF_CHECK_EQUAL(type(3, 5), "String");
}

CAF_TEST(columns are nullable exactly when the source is) {
  CAF_CHECK_EQUAL(type_of(column("c", value_kind::int4)), "Nullable(Int32)");
  CAF_CHECK_EQUAL(type_of(column("c", value_kind::enumeration)),
                  "LowCardinality(Nullable(String))");
  CAF_CHECK_EQUAL(type_of(array(column("c", value_kind::int4))),
                  "Array(Nullable(Int32))");
  CAF_CHECK_EQUAL(type_of(array(column("c", value_kind::int4, false))),
                  "Array(Nullable(Int32))");
  CAF_CHECK_EQUAL(type_of(array(column("c", value_kind::enumeration))),
                  "Array(Nullable(String))");
  // A key is not, whatever the catalogue says.
  CAF_CHECK_EQUAL(type_of(column("c", value_kind::int4, true, 1)), "Int32");
}

CAF_TEST(users may ask for defaults instead of nulls) {
  mapping_options options;
  options.null_as_default = true;
  CAF_CHECK_EQUAL(type_of(column("c", value_kind::int4), options), "Int32");
  CAF_CHECK_EQUAL(type_of(column("c", value_kind::enumeration), options),
                  "LowCardinality(String)");
  options.null_as_default_of["public.t"] = false;
  CAF_CHECK_EQUAL(type_of(column("c", value_kind::int4), options),
                  "Nullable(Int32)");
  options.null_as_default = false;
  options.null_as_default_of["public.t"] = true;
  CAF_CHECK_EQUAL(type_of(column("c", value_kind::int4), options), "Int32");
}

CAF_TEST(users may name types that hold each value) {
  auto text = [](value_kind x) { return column("c", x, false); };
  CAF_CHECK_EQUAL(chosen(text(value_kind::int4), "Int64"), "Int64");
  CAF_CHECK_EQUAL(chosen(text(value_kind::int4), "UInt8"), "UInt8");
  CAF_CHECK_EQUAL(chosen(text(value_kind::int8), "Decimal(19,0)"),
                  "Decimal(19, 0)");
  CAF_CHECK_EQUAL(chosen(text(value_kind::float4), "Float64"), "Float64");
  CAF_CHECK_EQUAL(chosen(text(value_kind::numeric), "Decimal(38,10)"),
                  "Decimal(38, 10)");
  CAF_CHECK_EQUAL(chosen(numeric("c", 12, 2, false), "Decimal(18,4)"),
                  "Decimal(18, 4)");
  CAF_CHECK_EQUAL(chosen(numeric("c", 12, 0, false), "Int64"), "Int64");
  CAF_CHECK_EQUAL(chosen(text(value_kind::date), "Date"), "Date");
  CAF_CHECK_EQUAL(chosen(text(value_kind::timestamptz),
                         "DateTime64(9, 'Europe/Berlin')"),
                  "DateTime64(9, 'Europe/Berlin')");
  CAF_CHECK_EQUAL(chosen(with_modifier(text(value_kind::timestamp), 3),
                         "DateTime64(3,'UTC')"),
                  "DateTime64(3, 'UTC')");
  CAF_CHECK_EQUAL(chosen(with_modifier(text(value_kind::timestamptz), 0),
                         "DateTime"),
                  "DateTime");
  CAF_CHECK_EQUAL(chosen(text(value_kind::json), "JSON"), "JSON");
  CAF_CHECK_EQUAL(chosen(text(value_kind::text), "LowCardinality(String)"),
                  "LowCardinality(String)");
  for (auto kind : {value_kind::boolean, value_kind::int8, value_kind::float8,
                    value_kind::numeric, value_kind::date, value_kind::uuid,
                    value_kind::timestamp, value_kind::bytea})
    CAF_CHECK_EQUAL(chosen(text(kind), "String"), "String");
}

CAF_TEST(a named type gets its null from the source) {
  CAF_CHECK_EQUAL(chosen(column("c", value_kind::int4), "Int64"),
                  "Nullable(Int64)");
  CAF_CHECK_EQUAL(chosen(column("c", value_kind::text),
                         "LowCardinality(String)"),
                  "LowCardinality(Nullable(String))");
  CAF_CHECK_EQUAL(chosen(column("c", value_kind::int4, false),
                         "Nullable(Int64)"),
                  "Nullable(Int64)");
  CAF_CHECK_EQUAL(chosen(array(column("c", value_kind::int4)), "Array(Int64)"),
                  "Array(Nullable(Int64))");
  CAF_CHECK_EQUAL(chosen(array(column("c", value_kind::int4)), "String"),
                  "Nullable(String)");
  CAF_CHECK_EQUAL(chosen(array(column("c", value_kind::text)),
                         "Array(LowCardinality(String))"),
                  "Array(LowCardinality(Nullable(String)))");
}

CAF_TEST(types that could lose a value are refused with those that cannot) {
  auto refused = [](column_description x, const char* type) {
    auto text = chosen(std::move(x), type);
    return contains(text, "cannot hold each value of")
           && contains(text, "possible are: ");
  };
  auto text = [](value_kind x) { return column("c", x); };
  CAF_CHECK(refused(text(value_kind::int8), "Float64"));
  CAF_CHECK(refused(text(value_kind::int8), "Decimal(18,0)"));
  CAF_CHECK(refused(text(value_kind::int4), "Bool"));
  CAF_CHECK(refused(text(value_kind::float8), "Float32"));
  CAF_CHECK(refused(text(value_kind::float8), "Decimal(38,10)"));
  CAF_CHECK(refused(numeric("c", 12, 2), "Decimal(12,3)"));
  CAF_CHECK(refused(numeric("c", 12, 2), "Decimal(11,2)"));
  CAF_CHECK(refused(numeric("c", 12, 2), "Int64"));
  CAF_CHECK(refused(text(value_kind::numeric), "Float64"));
  CAF_CHECK(refused(text(value_kind::timestamp), "DateTime64(3, 'UTC')"));
  CAF_CHECK(refused(text(value_kind::timestamp), "DateTime64(6)"));
  CAF_CHECK(
    refused(text(value_kind::timestamp), "DateTime64(6, 'Europe/Berlin')"));
  CAF_CHECK(refused(text(value_kind::timestamptz), "DateTime"));
  CAF_CHECK(refused(text(value_kind::timestamptz), "Date32"));
  CAF_CHECK(refused(text(value_kind::text), "UUID"));
  CAF_CHECK(refused(text(value_kind::text), "JSON"));
  CAF_CHECK(refused(text(value_kind::text), "FixedString(4)"));
  CAF_CHECK(refused(text(value_kind::int4), "LowCardinality(Int32)"));
  CAF_CHECK(refused(text(value_kind::int4), "Array(Int32)"));
  CAF_CHECK(refused(text(value_kind::enumeration), "Enum8('a' = 1)"));
  CAF_CHECK(refused(array(text(value_kind::int4)), "Int32"));
  CAF_CHECK(refused(array(text(value_kind::int4)), "Array(Array(Int32))"));
  CAF_CHECK(contains(chosen(text(value_kind::text), "String)"),
                     "\"String)\" is no ClickHouse type"));
}

CAF_TEST(keys are neither nullable nor JSON) {
  mapping_options options;
  auto key = column("id", value_kind::json, false, 0);
  options.columns["public.t.id"] = {"JSON", ""};
  CAF_CHECK(contains(error_of(table("t", {key}), options),
                     "key column \"public.t.id\" cannot be JSON"));
  options.columns["public.t.id"] = {"Nullable(String)", ""};
  CAF_CHECK(contains(error_of(table("t", {key}), options), "without Nullable"));
}

CAF_TEST(tables are named after schema and table) {
  CAF_CHECK_EQUAL(name_of(named("public", "orders")), "orders");
  CAF_CHECK_EQUAL(name_of(named("sales", "orders")), "sales_orders");
  CAF_CHECK_EQUAL(name_of(named("public", "a.b \"c\"")), "a.b \"c\"");
  mapping_options options;
  options.table_names["sales.orders"] = "x";
  CAF_CHECK_EQUAL(name_of(named("sales", "orders"), options), "x");
  CAF_CHECK_EQUAL(name_of(named("public", "orders"), options), "orders");
}

CAF_TEST(table names that cannot be are refused with the remedy) {
  std::string letters;
  for (int i = 0; i < 31; ++i)
    letters += "é";
  // 2 bytes a letter, 3 a byte: "sales_" and 186.
  CAF_CHECK_EQUAL(escaped_size(letters), 186u);
  CAF_CHECK_EQUAL(max_table_name("n"), 212u);
  CAF_CHECK_EQUAL(max_table_name("millrace"), 205u);
  CAF_CHECK_EQUAL(error_of(named("sales", letters)), "");
  auto error = error_of(named("longer-schema-name", letters));
  CAF_CHECK(contains(error, "205"));
  CAF_CHECK(contains(error, "[target] names = [ { table = "));
  mapping_options options;
  options.database = "a-much-longer-database";
  CAF_CHECK(contains(error_of(named("sales", letters), options), "allows 185"));
  options.table_names["public.t"] = "";
  CAF_CHECK(contains(error_of(named("public", "t"), options), "empty"));
  CAF_CHECK(
    contains(error_of(named("public", "_dead_letters")), "one of millrace's"));
}

CAF_TEST(columns keep their names but for dots) {
  auto t = map(table("t", {column("i.d", value_kind::int8, false, 0),
                           column("sel`ect \"x\"", value_kind::text)}));
  CAF_CHECK_EQUAL(t->columns[0].name, "i_d");
  CAF_CHECK_EQUAL(t->columns[1].name, "sel`ect \"x\"");
}

CAF_TEST(names that are taken are refused with the remedy) {
  for (auto name : {"_version", "_deleted", "_committed_at", "_lsn",
                    "_partition", "_row_hash", "_row_number", "_row_exists",
                    "_block_number", "_block_offset"}) {
    auto t = table("t", {column("id", value_kind::int8, false, 0),
                         column(name, value_kind::text)});
    auto error = error_of(t);
    CAF_CHECK(contains(error, "\"" + std::string{name} + "\" has a name"));
    CAF_CHECK(contains(error, "[target] columns = [ { column = \"public.t."));
    mapping_options options;
    options.columns["public.t." + std::string{name}] = {"", "other"};
    auto mapped = map(t, options);
    CAF_CHECK_EQUAL(mapped->columns[1].name, "other");
  }
  auto two = table("t", {column("a.b", value_kind::int8, false, 0),
                         column("a_b", value_kind::text)});
  CAF_CHECK(contains(error_of(two), "two columns would be named \"a_b\""));
  mapping_options options;
  options.columns["public.t.a_b"] = {"", "a.b"};
  CAF_CHECK(contains(error_of(two, options), "dot"));
}

CAF_TEST(all that cannot be is said at once) {
  auto t = table("t", {column("_lsn", value_kind::int8, false, 0),
                       column("_version", value_kind::text)});
  auto error = error_of(t);
  CAF_CHECK(contains(error, "table public.t cannot be mapped: "));
  CAF_CHECK(contains(error, "\"_lsn\""));
  CAF_CHECK(contains(error, "\"_version\""));
}

CAF_TEST(the order is that of the key) {
  auto t = map(table("t", {column("b", value_kind::int8, false, 1),
                           column("x", value_kind::text),
                           column("a", value_kind::int8, false, 0)}));
  CAF_CHECK_EQUAL(t->order_by, std::vector<uint32_t>({2, 0}));
  CAF_CHECK(t->columns[0].key);
  CAF_CHECK(!t->columns[1].key);
  CAF_CHECK_EQUAL(t->columns[2].source, 2u);
}

CAF_TEST(tables without key have no order of their own) {
  auto log = table("log", {column("line", value_kind::text)});
  CAF_CHECK(contains(error_of(log), "key"));
  log->identity = table_identity::append_only;
  CAF_CHECK(map(log)->order_by.empty());
}

CAF_TEST(comments and range rules are carried over) {
  auto c = column("d", value_kind::date);
  c.comment = "it's";
  mapping_options options;
  options.refuse_out_of_range = true;
  auto t
    = map(table("t", {column("id", value_kind::int8, false, 0), c}), options);
  CAF_CHECK_EQUAL(t->columns[1].comment, "it's");
  CAF_CHECK(t->columns[1].refuse_out_of_range);
}

CAF_TEST(tables that would meet are named) {
  auto lines = name_clashes({map(named("public", "sales_orders")),
                             map(named("sales", "orders")),
                             map(named("public", "orders"))});
  CAF_REQUIRE_EQUAL(lines.size(), 1u);
  CAF_CHECK(contains(lines[0], "public.sales_orders and sales.orders"));
  CAF_CHECK(contains(lines[0], "\"sales_orders\""));
}

CAF_TEST(choices for what is not there are named) {
  mapping_options options;
  options.table_names["public.nope"] = "x";
  options.null_as_default_of["public.gone"] = true;
  options.columns["public.t.nope"] = {"String", ""};
  options.columns["public.t.id"] = {"String", ""};
  auto lines = unused_choices({map(named("public", "t"))}, options);
  CAF_REQUIRE_EQUAL(lines.size(), 3u);
  CAF_CHECK(contains(lines[0], "names: there is no table \"public.nope\""));
  CAF_CHECK(contains(lines[1], "table-nulls: there is no table"));
  CAF_CHECK(contains(lines[2], "no column \"public.t.nope\""));
}

CAF_TEST(remarks name what is not exact) {
  auto t = table("t", {column("id", value_kind::int8, false, 0),
                       column("until", value_kind::date, false, 1),
                       column("at", value_kind::timestamptz),
                       numeric("price", 12, 2),
                       array(column("tags", value_kind::text)),
                       column("note", value_kind::text)});
  auto lines = remarks(*map(t), {});
  CAF_REQUIRE_EQUAL(lines.size(), 4u);
  CAF_CHECK_EQUAL(lines[0],
                  "public.t.until (Date32): holds 1900-01-01 to 2299-12-31; "
                  "rows with other values go to the dead letters; ask for "
                  "String to keep them");
  CAF_CHECK(contains(lines[1], "1900-01-01 to 2299-12-31; other values are "
                               "stored as the nearest end"));
  CAF_CHECK(contains(lines[2], "NaN"));
  CAF_CHECK(contains(lines[3], "empty array"));
  mapping_options options;
  options.null_as_default = true;
  CAF_CHECK(contains(remarks(*map(t, options), {}).back(),
                     "public.t.note (String): NULL is stored as the type's "
                     "default"));
  auto log = table("log", {column("line", value_kind::text)});
  log->identity = table_identity::append_only;
  CAF_CHECK(contains(remarks(*map(log), {}).front(), "inserts only"));
}
