#define CAF_SUITE unchanged

#include "test/unit/native_reader.hpp"
#include "test/unit/table_fixture.hpp"
#include "transform/unchanged.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::test;

namespace {

using strings = std::vector<std::string>;

const auto& u = unchanged_mark;

/// A table with two columns that may be unchanged, and what the target knows.
struct fixture {
  fixture()
    : source(table("docs", {column("id", value_kind::int8, false, 0),
                            column("n", value_kind::int4),
                            column("a", value_kind::text, false),
                            column("b", value_kind::text, false)})),
      builder(source) {
    auto mapped = transform::map_table(source, {});
    if (!mapped)
      CAF_FAIL(mapped.error().text);
    target = *mapped;
    encoder = std::make_unique<transform::row_encoder>(
      target, transform::server_limits{});
  }

  /// Restores and encodes; `stored` has the values of `columns()` by key.
  void run() {
    transform::unchanged_values xs{builder.batch, builder.changes, *target,
                                   *encoder};
    asked = xs.keys().size();
    columns = xs.columns();
    transform::known_row row;
    xs.complete([&](const std::string& key) -> const transform::known_row* {
      if (!stored || key != stored_key)
        return nullptr;
      row = {stored_at, stored_deleted, &*stored, &refused};
      return &row;
    });
    for (const auto& reject : xs.rejects())
      rejected.push_back(reject.change);
    out
      = encoder->encode(builder.batch, xs.changes(), xs.cells(), xs.patches());
    CAF_CHECK(out.rejects.empty());
  }

  strings values(const char* name) {
    return out.block ? native_reader{out.block->native.text()}.values[name]
                     : strings{};
  }

  std::shared_ptr<table_description> source;
  batch_builder builder;
  target_table_ptr target;
  std::unique_ptr<transform::row_encoder> encoder;

  /// Key 1 as RowBinary.
  std::string stored_key = std::string("\1\0\0\0\0\0\0\0", 8);
  std::optional<strings> stored;
  version stored_at = {50, 0};
  bool stored_deleted = false;
  std::vector<refused_change> refused;

  size_t asked = 0;
  std::vector<uint32_t> columns;
  std::vector<uint32_t> rejected;
  transform::row_encoder::outcome out;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(unchanged_tests, fixture)

CAF_TEST(the target tells what nobody else knows) {
  builder.update({"1", "7", u, "new"});
  stored = strings{"\3old"};
  CAF_CHECK(transform::has_unchanged(builder.batch, builder.changes));
  run();
  CAF_CHECK_EQUAL(asked, 1u);
  CAF_CHECK_EQUAL(columns, std::vector<uint32_t>({2}));
  CAF_CHECK_EQUAL(values("a"), strings({"old"}));
  CAF_CHECK_EQUAL(values("b"), strings({"new"}));
}

CAF_TEST(an earlier change in the batch tells without asking) {
  builder.insert({"1", "7", "x", "y"});
  builder.update({"1", "8", u, u});
  builder.update({"1", "9", u, "z"});
  run();
  CAF_CHECK_EQUAL(asked, 0u);
  CAF_CHECK_EQUAL(values("a"), strings({"x", "x", "x"}));
  CAF_CHECK_EQUAL(values("b"), strings({"y", "y", "z"}));
}

CAF_TEST(a chain of changes gets the stored value to its end) {
  builder.update({"1", "8", u, "y"});
  builder.update({"1", "9", u, u});
  stored = strings{"\3old"};
  run();
  CAF_CHECK_EQUAL(asked, 1u);
  CAF_CHECK_EQUAL(values("a"), strings({"old", "old"}));
  CAF_CHECK_EQUAL(values("b"), strings({"y", "y"}));
}

CAF_TEST(a full old row tells without asking) {
  builder.update(old_row::full, {"1", "7", "x", "y"}, {"1", "8", u, u});
  CAF_CHECK(!transform::has_unchanged(builder.batch, builder.changes));
  run();
  CAF_CHECK_EQUAL(asked, 0u);
  CAF_CHECK_EQUAL(values("a"), strings({"x"}));
}

CAF_TEST(an old row with the same key is no delete) {
  builder.insert({"1", "7", "x", "y"});
  builder.update(old_row::key, {"1", std::nullopt, std::nullopt, std::nullopt},
                 {u, "8", u, "z"});
  CAF_CHECK(transform::has_unchanged(builder.batch, builder.changes));
  run();
  CAF_CHECK(rejected.empty());
  CAF_CHECK_EQUAL(values("id"), strings({"1", "1"}));
  CAF_CHECK_EQUAL(values("a"), strings({"x", "x"}));
}

CAF_TEST(a key that the old row tells is nothing to ask for) {
  builder.update(old_row::key, {"1", std::nullopt, std::nullopt, std::nullopt},
                 {u, "8", "x", "y"});
  CAF_CHECK(!transform::has_unchanged(builder.batch, builder.changes));
}

CAF_TEST(a replay is left out) {
  builder.update({"1", "7", u, "y"});
  stored = strings{"\3old"};
  stored_at = builder.batch.version_of(builder.batch.changes[0]);
  run();
  CAF_CHECK(out.block == nullptr);
  CAF_CHECK(rejected.empty());
}

CAF_TEST(values of rows that are not there are dead letters) {
  builder.update({"1", "7", u, "y"});
  builder.update({"2", "7", "x", "y"});
  run();
  CAF_CHECK_EQUAL(rejected, std::vector<uint32_t>({0}));
  CAF_CHECK_EQUAL(values("id"), strings({"2"}));
}

CAF_TEST(values of deleted rows are dead letters) {
  builder.update({"1", "7", u, "y"});
  builder.remove(old_row::key, {"1", std::nullopt, std::nullopt, std::nullopt});
  builder.update({"1", "7", u, "y"});
  stored = strings{"\0"};
  stored_deleted = true;
  run();
  CAF_CHECK_EQUAL(rejected.size(), 2u);
  CAF_CHECK_EQUAL(values("_deleted"), strings({"1"}));
}

CAF_TEST(a row moved to another key leaves nothing behind) {
  builder.insert({"1", "7", "x", "y"});
  builder.update(old_row::full, {"1", "7", "x", "y"}, {"2", "7", "x", "y"});
  builder.update({"1", "7", u, "y"});
  run();
  CAF_CHECK_EQUAL(rejected, std::vector<uint32_t>({2}));
}

CAF_TEST(a value that a dead letter brought is not taken from the row before) {
  stored = strings{"\x03old"};
  refused = {{{60, 1}, {"id", "n", "a"}}};
  builder.update({"1", "2", u, "b"});
  run();
  CAF_CHECK_EQUAL(rejected, std::vector<uint32_t>{0});
  CAF_CHECK_EQUAL(values("id"), strings{});
}

CAF_TEST(a value that no dead letter brought is taken from the row before) {
  stored = strings{"\x03old"};
  // Another column, a change that the row has, and a later change.
  refused = {{{60, 1}, {"id", "n", "b"}},
             {{50, 0}, {"id", "n", "a"}},
             {{100, 1}, {"id", "n", "a"}}};
  builder.update({"1", "2", u, "b"});
  run();
  CAF_CHECK(rejected.empty());
  CAF_CHECK_EQUAL(values("a"), strings{"old"});
}

CAF_TEST(a dead letter that cannot be read may have brought anything) {
  stored = strings{"\x03old"};
  refused = {{{60, 1}, {}}};
  builder.update({"1", "2", u, "b"});
  run();
  CAF_CHECK_EQUAL(rejected, std::vector<uint32_t>{0});
}

CAF_TEST_FIXTURE_SCOPE_END()
