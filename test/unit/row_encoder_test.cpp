#define CAF_SUITE row_encoder

#include "test/unit/native_reader.hpp"
#include "test/unit/table_fixture.hpp"
#include "transform/row_encoder.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::test;

namespace {

using strings = std::vector<std::string>;

/// An encoder for a table, and what it made of a batch.
struct encoding {
  explicit encoding(const table_description_ptr& table,
                    transform::mapping_options options = {})
    : options(std::move(options)), builder(table) {
    auto mapped = transform::map_table(table, this->options);
    if (!mapped)
      CAF_FAIL(mapped.error().text);
    target = *mapped;
    encoder = std::make_unique<transform::row_encoder>(
      target, transform::server_limits{});
  }

  void run(const std::vector<std::string_view>& patches = {}) {
    out = encoder->encode(builder.batch, builder.changes, builder.batch.cells,
                          patches);
  }

  native_reader block() const {
    if (!out.block)
      CAF_FAIL("no block");
    native_reader result{out.block->native.text()};
    CAF_CHECK_EQUAL(result.rows, out.block->rows);
    return result;
  }

  strings values(const char* column) const {
    return block().values[column];
  }

  std::string error(size_t i = 0) const {
    return i < out.rejects.size() ? out.rejects[i].error : "";
  }

  transform::mapping_options options;
  batch_builder builder;
  target_table_ptr target;
  std::unique_ptr<transform::row_encoder> encoder;
  transform::row_encoder::outcome out;
};

table_description_ptr orders() {
  return table("orders",
               {column("id", value_kind::int8, false, 0),
                column("note", value_kind::text), numeric("price", 12, 2)});
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

} // namespace

CAF_TEST(rows become columns and three more) {
  encoding x{orders()};
  x.builder.insert({"1", "a", "12.50"});
  x.builder.begin(200, 1'600'000'000'000'001);
  x.builder.insert({"-2", std::nullopt, std::nullopt});
  x.builder.batch.changes[1].op = operation::read;
  x.builder.batch.changes[1].minor = 0;
  x.run();
  auto block = x.block();
  CAF_CHECK_EQUAL(block.names, strings({"id", "note", "price", "_version",
                                        "_deleted", "_committed_at"}));
  CAF_CHECK_EQUAL(block.types["price"], "Nullable(Decimal(12, 2))");
  CAF_CHECK_EQUAL(block.types["_committed_at"], "DateTime64(6, 'UTC')");
  CAF_CHECK_EQUAL(block.values["id"], strings({"1", "-2"}));
  CAF_CHECK_EQUAL(block.values["note"], strings({"a", "\\N"}));
  CAF_CHECK_EQUAL(block.values["price"], strings({"1250", "\\N"}));
  CAF_CHECK_EQUAL(block.values["_version"], strings({"100:1", "200:0"}));
  CAF_CHECK_EQUAL(block.values["_deleted"], strings({"0", "0"}));
  CAF_CHECK_EQUAL(block.values["_committed_at"],
                  strings({"1700000000000000", "1600000000000001"}));
  CAF_CHECK_EQUAL(x.out.upserts, 2u);
  // Rows of a snapshot say nothing about lag.
  CAF_CHECK_EQUAL(x.out.block->oldest_commit, 1'700'000'000'000'000);
}

CAF_TEST(texts of all lengths keep each byte) {
  encoding x{orders()};
  strings expected;
  for (size_t n : {0, 1, 30, 31, 32, 33, 63, 64, 127, 128, 129, 5000, 70000}) {
    expected.push_back(std::string(n, static_cast<char>('a' + n % 26)));
    x.builder.insert({"1", expected.back(), std::nullopt});
  }
  expected.push_back(std::string("\0\xff\"", 3));
  x.builder.insert({"1", expected.back(), std::nullopt});
  x.run();
  CAF_CHECK_EQUAL(x.values("note"), expected);
}

CAF_TEST(large texts stay where they are) {
  encoding x{table("t", {column("id", value_kind::int8, false, 0),
                         column("a", value_kind::text, false),
                         column("b", value_kind::text)})};
  std::string large(100'000, 'x');
  std::string larger(200'000, 'y');
  x.builder.insert({"1", large, std::nullopt});
  x.builder.insert({"2", "small", larger});
  x.builder.insert({"3", large, larger});
  x.run();
  CAF_CHECK_EQUAL(x.values("id"), (strings{"1", "2", "3"}));
  CAF_CHECK_EQUAL(x.values("a"), (strings{large, "small", large}));
  CAF_CHECK_EQUAL(x.values("b"), (strings{"\\N", larger, larger}));
  const auto& native = x.out.block->native;
  CAF_CHECK_EQUAL(native.large.size(), 4u);
  CAF_CHECK(native.large[0].bytes.data() == x.builder.batch.text.data() + 1);
  CAF_CHECK(native.own.size() < 1'000);
  CAF_CHECK_EQUAL(native.size(), native.text().size());
  CAF_MESSAGE("so do patches");
  batch_builder b{x.builder.batch.tables[0]};
  b.insert({"4", unchanged_mark, unchanged_mark});
  b.batch.cells[1] = {0, cell::patched};
  b.batch.cells[2] = {1, cell::patched};
  x.builder = b;
  // 100,000 and 200,000 as lengths.
  std::string first = "\xa0\x8d\x06" + large;
  std::string second = std::string(1, '\0') + "\xc0\x9a\x0c" + larger;
  x.run({first, second});
  CAF_CHECK_EQUAL(x.values("a"), strings{large});
  CAF_CHECK_EQUAL(x.values("b"), strings{larger});
  CAF_CHECK_EQUAL(x.out.block->native.large.size(), 2u);
}

CAF_TEST(a block may be longer than one run of rows) {
  encoding x{orders()};
  strings expected;
  for (int i = 0; i < 3000; ++i) {
    expected.push_back(std::to_string(i));
    x.builder.insert({expected.back(), expected.back(), "1.00"});
  }
  for (int round = 0; round < 2; ++round) {
    x.run();
    CAF_CHECK_EQUAL(x.values("id"), expected);
    CAF_CHECK_EQUAL(x.values("note"), expected);
  }
}

CAF_TEST(a delete is a tombstone with the key and defaults) {
  encoding x{table("t", {column("id", value_kind::int8, false, 0),
                         column("s", value_kind::text, false),
                         column("n", value_kind::int4),
                         array(column("a", value_kind::int4)),
                         column("d", value_kind::date, false)})};
  x.builder.insert({"6", "b", "9", "{4}", "1970-01-03"});
  x.builder.remove(old_row::key, {"5", std::nullopt, std::nullopt, std::nullopt,
                                  std::nullopt});
  x.builder.remove(old_row::full, {"6", "b", "9", "{4}", "1970-01-03"});
  x.run();
  auto block = x.block();
  CAF_CHECK_EQUAL(block.values["id"], strings({"6", "5", "6"}));
  CAF_CHECK_EQUAL(block.values["s"], strings({"b", "", ""}));
  CAF_CHECK_EQUAL(block.values["n"], strings({"9", "\\N", "\\N"}));
  CAF_CHECK_EQUAL(block.values["a"], strings({"[4]", "[]", "[]"}));
  CAF_CHECK_EQUAL(block.values["d"], strings({"2", "0", "0"}));
  CAF_CHECK_EQUAL(block.values["_deleted"], strings({"0", "1", "1"}));
  CAF_CHECK_EQUAL(x.out.tombstones, 2u);
  CAF_CHECK_EQUAL(x.out.upserts, 1u);
  CAF_CHECK(x.out.rejects.empty());
}

CAF_TEST(a changed key is a tombstone and a row of one version) {
  encoding x{orders()};
  x.builder.update(old_row::key, {"1", std::nullopt, std::nullopt},
                   {"2", "a", "1.00"});
  x.run();
  CAF_CHECK_EQUAL(x.values("id"), strings({"1", "2"}));
  CAF_CHECK_EQUAL(x.values("_deleted"), strings({"1", "0"}));
  CAF_CHECK_EQUAL(x.values("_version"), strings({"100:1", "100:1"}));
}

CAF_TEST(an update that keeps the key is one row) {
  encoding x{orders()};
  x.builder.update({"1", "a", "1.00"});
  x.builder.update(old_row::full, {"1", "a", "1.00"}, {"1", "b", "1.00"});
  x.run();
  CAF_CHECK_EQUAL(x.values("id"), strings({"1", "1"}));
  CAF_CHECK_EQUAL(x.out.tombstones, 0u);
}

CAF_TEST(float keys of 0 and -0 are one key) {
  encoding x{table("t", {column("k", value_kind::float8, false, 0),
                         column("s", value_kind::text)})};
  x.builder.update(old_row::key, {"0", std::nullopt}, {"-0", "a"});
  x.builder.update(old_row::key, {"-0", std::nullopt}, {"0", "b"});
  x.builder.update(old_row::key, {"0", std::nullopt}, {"1", "c"});
  x.run();
  CAF_CHECK_EQUAL(x.values("_deleted"), strings({"0", "0", "1", "0"}));
  CAF_CHECK_EQUAL(x.values("k"),
                  strings({"-0.000000", "0.000000", "0.000000", "1.000000"}));
  // And they find the same row when the target is read.
  x.builder.insert({"-0", "d"});
  x.builder.insert({"0", "d"});
  auto& cells = x.builder.batch.cells;
  auto n = cells.size();
  auto minus = x.encoder->key_of(x.builder.batch, &cells[n - 4]);
  auto plus = x.encoder->key_of(x.builder.batch, &cells[n - 2]);
  CAF_REQUIRE(minus && plus);
  CAF_CHECK_EQUAL(*minus, *plus);
}

CAF_TEST(a key column left out as unchanged comes from the old row) {
  encoding x{table("t", {column("k", value_kind::text, false, 0),
                         column("l", value_kind::int4, false, 1),
                         column("s", value_kind::text)})};
  x.builder.update(old_row::key, {"long", "1", std::nullopt},
                   {unchanged_mark, "1", "a"});
  x.builder.update(old_row::key, {"long", "1", std::nullopt},
                   {unchanged_mark, "2", "b"});
  x.run();
  CAF_CHECK_EQUAL(x.values("k"), strings({"long", "long", "long"}));
  CAF_CHECK_EQUAL(x.values("l"), strings({"1", "1", "2"}));
  CAF_CHECK_EQUAL(x.values("_deleted"), strings({"0", "1", "0"}));
}

CAF_TEST(unchanged values come from a full old row and from nowhere else) {
  encoding x{orders()};
  x.builder.update(old_row::full, {"1", "old", "1.00"},
                   {"1", unchanged_mark, "2.00"});
  x.builder.update(old_row::key, {"2", std::nullopt, std::nullopt},
                   {"3", unchanged_mark, "2.00"});
  x.builder.update({"4", unchanged_mark, "2.00"});
  x.run();
  CAF_CHECK_EQUAL(x.values("note"), strings({"old"}));
  CAF_REQUIRE_EQUAL(x.out.rejects.size(), 2u);
  CAF_CHECK_EQUAL(x.out.rejects[0].change, 1u);
  CAF_CHECK_EQUAL(x.out.rejects[1].change, 2u);
  CAF_CHECK(contains(x.error(), "unchanged TOAST"));
}

CAF_TEST(patches stand in for unchanged values) {
  encoding x{table("t", {column("id", value_kind::int8, false, 0),
                         column("s", value_kind::text),
                         column("z", value_kind::text, false),
                         array(column("a", value_kind::text))})};
  for (int i = 0; i < 2; ++i)
    x.builder.update({"1", unchanged_mark, unchanged_mark, unchanged_mark});
  auto& cells = x.builder.batch.cells;
  auto patch = [&](size_t at, uint32_t i) { cells[at] = {i, cell::patched}; };
  patch(1, 0), patch(2, 1), patch(3, 2);
  patch(5, 3), patch(6, 1), patch(7, 4);
  using namespace std::string_literals;
  x.run({"\0\3abc"s, "\2zz"s, "\2\0\1x\1"s, "\1"s, "\0"s});
  CAF_CHECK_EQUAL(x.values("s"), strings({"abc", "\\N"}));
  CAF_CHECK_EQUAL(x.values("z"), strings({"zz", "zz"}));
  CAF_CHECK_EQUAL(x.values("a"), strings({"[x,\\N]", "[]"}));
  CAF_CHECK_EQUAL(x.error(), "");
}

CAF_TEST(a patch of another form is refused) {
  using namespace std::string_literals;
  for (const auto& patch : {""s, "\3ab"s, "\2abc"s, "\x80"s}) {
    encoding x{table("t", {column("id", value_kind::int8, false, 0),
                           column("s", value_kind::text, false)})};
    x.builder.update({"1", unchanged_mark});
    x.builder.batch.cells[1] = {0, cell::patched};
    x.run({patch});
    CAF_CHECK(x.out.block == nullptr);
    CAF_CHECK(contains(x.error(), "expected type"));
  }
  for (const auto& patch : {""s, "\1"s, "\2\0\1x"s, "\1\0\1xy"s,
                            "\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s}) {
    encoding x{table("t", {column("id", value_kind::int8, false, 0),
                           array(column("a", value_kind::text))})};
    x.builder.update({"1", unchanged_mark});
    x.builder.batch.cells[1] = {0, cell::patched};
    x.run({patch});
    CAF_CHECK(x.out.block == nullptr);
    CAF_CHECK(contains(x.error(), "expected type"));
  }
}

CAF_TEST(rejected changes are left out of every column) {
  encoding x{orders()};
  x.builder.insert({"1", "a", "1.00"});
  x.builder.insert({"2", "b", "NaN"});
  x.builder.insert({"x", "c", "NaN"});
  x.builder.update(old_row::key, {"4", std::nullopt, std::nullopt},
                   {"5", "d", "99999999999.00"});
  x.builder.insert({"6", "e", "-1.00"});
  x.run();
  auto block = x.block();
  CAF_CHECK_EQUAL(block.values["id"], strings({"1", "6"}));
  CAF_CHECK_EQUAL(block.values["note"], strings({"a", "e"}));
  CAF_CHECK_EQUAL(block.values["price"], strings({"100", "-100"}));
  CAF_CHECK_EQUAL(block.values["_version"], strings({"100:1", "100:5"}));
  CAF_REQUIRE_EQUAL(x.out.rejects.size(), 3u);
  CAF_CHECK_EQUAL(x.out.rejects[0].change, 1u);
  CAF_CHECK_EQUAL(x.out.rejects[1].change, 2u);
  CAF_CHECK_EQUAL(x.out.rejects[2].change, 3u);
  CAF_CHECK_EQUAL(x.error(0),
                  "column \"price\" (numeric(12,2)) of public.orders as "
                  "Nullable(Decimal(12, 2)): NaN and infinities cannot be "
                  "held; ask for String");
  CAF_CHECK(contains(x.error(1), "\"id\""));
  CAF_CHECK(contains(x.error(2), "too large"));
}

CAF_TEST(there is no block when nothing is left) {
  encoding x{orders()};
  x.builder.insert({"x", "c", "1.00"});
  x.run();
  CAF_CHECK(x.out.block == nullptr);
  CAF_CHECK_EQUAL(x.out.rejects.size(), 1u);
  x.builder.changes.clear();
  x.run();
  CAF_CHECK(x.out.block == nullptr);
  CAF_CHECK(x.out.rejects.empty());
}

CAF_TEST(values beyond the range go to its nearest end and are counted) {
  encoding x{table("t", {column("id", value_kind::int8, false, 0),
                         column("d", value_kind::date),
                         column("t", value_kind::timestamptz),
                         array(column("a", value_kind::date))})};
  x.builder.insert({"1", "infinity", "-infinity", "{2300-01-01,1899-12-31}"});
  x.builder.insert({"2", "0044-03-15 BC", "2300-01-01 00:00:00+00", "{}"});
  x.builder.insert(
    {"3", "2299-12-31", "2299-12-31 23:59:59.999999+00", "{1900-01-01}"});
  x.run();
  transform::server_limits limits;
  auto text = [](int64_t x) { return std::to_string(x); };
  CAF_CHECK_EQUAL(x.values("d"),
                  strings({text(limits.date_max), text(limits.date_min),
                           text(limits.date_max)}));
  CAF_CHECK_EQUAL(x.values("t"), strings({text(limits.timestamp_min),
                                          text(limits.timestamp_max),
                                          text(limits.timestamp_max)}));
  CAF_CHECK_EQUAL(
    x.values("a"),
    strings({"[" + text(limits.date_max) + "," + text(limits.date_min) + "]",
             "[]", "[" + text(limits.date_min) + "]"}));
  CAF_CHECK_EQUAL(x.out.saturated, std::vector<uint64_t>({0, 2, 2, 1}));
  CAF_CHECK(x.out.rejects.empty());
}

CAF_TEST(saturated values of rejected changes are not counted) {
  encoding x{
    table("t", {column("id", value_kind::int8, false, 0),
                column("d", value_kind::date), column("n", value_kind::int4)})};
  x.builder.insert({"1", "infinity", "a"});
  x.builder.insert({"2", "infinity", "1"});
  x.run();
  CAF_CHECK_EQUAL(x.out.saturated, std::vector<uint64_t>({0, 1, 0}));
}

CAF_TEST(keys are never saturated) {
  encoding x{table("t", {column("id", value_kind::int8, false, 0),
                         column("until", value_kind::date, false, 1)})};
  x.builder.insert({"1", "infinity"});
  x.builder.insert({"1", "3000-01-01"});
  x.builder.insert({"1", "2000-01-01"});
  x.builder.remove(old_row::key, {"1", "3000-01-01"});
  x.run();
  CAF_CHECK_EQUAL(x.out.block->rows, 1u);
  CAF_CHECK_EQUAL(x.out.rejects.size(), 3u);
  CAF_CHECK(contains(x.error(), "beyond the range"));
}

CAF_TEST(ranges are refused where the user wants that) {
  transform::mapping_options options;
  options.refuse_out_of_range = true;
  encoding x{table("t", {column("id", value_kind::int8, false, 0),
                         column("d", value_kind::date)}),
             options};
  x.builder.insert({"1", "infinity"});
  x.run();
  CAF_CHECK(x.out.block == nullptr);
  CAF_CHECK(contains(x.error(), "beyond the range"));
}

CAF_TEST(a null is stored only where it can be) {
  encoding strict{table("t", {column("id", value_kind::int8, false, 0),
                              column("n", value_kind::int4, false)})};
  strict.builder.insert({"1", std::nullopt});
  strict.builder.insert({std::nullopt, "1"});
  strict.run();
  CAF_CHECK(strict.out.block == nullptr);
  CAF_CHECK_EQUAL(strict.out.rejects.size(), 2u);
  CAF_CHECK(contains(strict.error(), "NULL"));
  transform::mapping_options options;
  options.null_as_default = true;
  encoding lenient{table("t", {column("id", value_kind::int8, false, 0),
                               column("n", value_kind::int4),
                               array(column("a", value_kind::int4))}),
                   options};
  lenient.builder.insert({"1", std::nullopt, std::nullopt});
  lenient.run();
  CAF_CHECK_EQUAL(lenient.values("n"), strings({"0"}));
  CAF_CHECK_EQUAL(lenient.values("a"), strings({"[]"}));
}

CAF_TEST(arrays are rejected with the advice that helps) {
  encoding x{table("t", {column("id", value_kind::int8, false, 0),
                         array(column("a", value_kind::int4))})};
  x.builder.insert({"1", "{1,NULL,-3}"});
  x.builder.insert({"2", "{{1},{2}}"});
  x.builder.insert({"3", "[2:3]={1,2}"});
  x.builder.insert({"4", "{1,x}"});
  x.builder.insert({"5", "{}"});
  x.run();
  CAF_CHECK_EQUAL(x.values("a"), strings({"[1,\\N,-3]", "[]"}));
  CAF_REQUIRE_EQUAL(x.out.rejects.size(), 3u);
  CAF_CHECK(contains(x.error(0), "more than one dimension; ask for String"));
  CAF_CHECK(contains(x.error(1), "subscripts"));
}

CAF_TEST(a table without key takes inserts only) {
  auto log = table("log", {column("line", value_kind::text)});
  log->identity = table_identity::append_only;
  encoding x{log};
  x.builder.insert({"a"});
  x.builder.update({"b"});
  x.builder.remove(old_row::full, {"a"});
  x.run();
  CAF_CHECK_EQUAL(x.values("line"), strings({"a"}));
  CAF_CHECK_EQUAL(x.out.rejects.size(), 2u);
}

CAF_TEST(a delete that names no row is rejected) {
  encoding x{orders()};
  x.builder.add(operation::remove);
  x.builder.add(operation::truncate);
  x.run();
  CAF_CHECK_EQUAL(x.out.rejects.size(), 2u);
}

CAF_TEST(the key is the key columns in the order of the key) {
  encoding x{table("t", {column("b", value_kind::text, false, 1),
                         column("x", value_kind::text),
                         column("a", value_kind::int4, false, 0)})};
  x.builder.insert({"bb", "x", "7"});
  x.builder.insert({std::nullopt, "x", "7"});
  auto& cells = x.builder.batch.cells;
  auto key = x.encoder->key_of(x.builder.batch, cells.data());
  CAF_REQUIRE(key);
  CAF_CHECK_EQUAL(*key, std::string("\7\0\0\0\2bb", 7));
  auto bad = x.encoder->key_of(x.builder.batch, cells.data() + 3);
  CAF_CHECK(!bad);
}

CAF_TEST(array keys are written with their NULLs) {
  encoding x{table("t", {array(column("a", value_kind::int2, false, 0))})};
  x.builder.insert({"{1,NULL}"});
  auto key = x.encoder->key_of(x.builder.batch, x.builder.batch.cells.data());
  CAF_REQUIRE(key);
  CAF_CHECK_EQUAL(*key, std::string("\2\0\1\0\1", 5));
}

CAF_TEST(dead letters hold the event as JSON) {
  auto t = table("t", {column("id", value_kind::int8, false, 0),
                       column("n\"\n", value_kind::text)});
  batch_builder b{t};
  b.insert({"1", "a\"\\\t\x01é"});
  b.update(old_row::key, {"1", std::nullopt}, {"2", unchanged_mark});
  b.remove(old_row::full, {"2", std::nullopt});
  auto event = [&](size_t i) {
    return transform::event_json(b.batch, b.batch.changes[i]);
  };
  CAF_CHECK_EQUAL(event(0),
                  "{\"before\":null,\"after\":{\"id\":\"1\",\"n\\\"\\u000a\":"
                  "\"a\\\"\\\\\\u0009\\u0001é\"}}");
  CAF_CHECK_EQUAL(event(1),
                  "{\"before\":{\"id\":\"1\"},\"after\":{\"id\":\"2\"}}");
  CAF_CHECK_EQUAL(event(2), "{\"before\":{\"id\":\"2\",\"n\\\"\\u000a\":null},"
                            "\"after\":null}");
  CAF_CHECK_EQUAL(transform::key_json(b.batch, b.batch.changes[0]),
                  "{\"id\":\"1\"}");
  CAF_CHECK_EQUAL(transform::key_json(b.batch, b.batch.changes[2]),
                  "{\"id\":\"2\"}");
}
