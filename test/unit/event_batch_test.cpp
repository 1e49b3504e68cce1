#define CAF_SUITE event_batch

#include "test/unit/native_reader.hpp"
#include "test/unit/table_fixture.hpp"
#include "transform/event_batch.hpp"
#include "transform/row_encoder.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::test;

namespace {

const auto& u = unchanged_mark;

struct fixture {
  fixture()
    : source(table("docs", {column("id", value_kind::int8, false, 0),
                            column("n", value_kind::int4),
                            column("body", value_kind::text, false)})) {
    // nop
  }

  /// As the transformer makes it.
  static dead_letter letter_of(const batch_builder& b, size_t i) {
    const auto& x = b.batch.changes[i];
    dead_letter result;
    result.table = "public.docs";
    result.op = x.op;
    result.at = b.batch.version_of(x);
    result.committed_at = b.batch.transactions[x.transaction].committed_at;
    result.event = transform::event_json(b.batch, x);
    result.key = transform::key_json(b.batch, x);
    return result;
  }

  static std::vector<std::string>
  texts(const change_batch& batch, uint32_t at) {
    std::vector<std::string> result;
    for (size_t i = at; i < at + batch.tables[0]->columns.size(); ++i) {
      const auto& x = batch.cells[i];
      result.push_back(x.size == cell::null ? "NULL"
                       : x.size == cell::unchanged
                         ? "unchanged"
                         : std::string{batch.text_of(x)});
    }
    return result;
  }

  std::shared_ptr<table_description> source;
};

using strings = std::vector<std::string>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(event_batch_tests, fixture)

CAF_TEST(an event becomes the change that it was) {
  batch_builder b{source};
  b.insert({"1", {}, "say \"x\"\n\\ \x01 \xC3\xA4 \xFF"});
  b.update({"2", "5", u});
  b.update(old_row::key, {"3", {}, {}}, {"4", "5", "y"});
  b.remove(old_row::key, {"5", {}, {}});
  for (size_t i = 0; i < b.batch.changes.size(); ++i) {
    auto back = transform::to_batch(source, letter_of(b, i));
    CAF_REQUIRE(back);
    const auto& was = b.batch.changes[i];
    const auto& is = back->changes.at(0);
    CAF_CHECK(is.op == was.op);
    CAF_CHECK(is.old == was.old);
    CAF_CHECK((back->version_of(is) == b.batch.version_of(was)));
    CAF_CHECK_EQUAL(back->transactions[0].committed_at,
                    b.batch.transactions[0].committed_at);
    CAF_CHECK_EQUAL(is.row == change::no_row, was.row == change::no_row);
    if (was.row != change::no_row)
      CAF_CHECK_EQUAL(texts(*back, is.row), texts(b.batch, was.row));
    if (was.old != old_row::none)
      CAF_CHECK_EQUAL(texts(*back, is.old_row_at),
                      texts(b.batch, was.old_row_at));
  }
}

CAF_TEST(columns that came later are not known and dropped ones left out) {
  batch_builder b{source};
  b.insert({"1", "2", "x"});
  auto letter = letter_of(b, 0);
  source = table("docs", {column("id", value_kind::int8, false, 0),
                          column("body", value_kind::text, false),
                          column("later", value_kind::text)});
  auto back = transform::to_batch(source, letter);
  CAF_REQUIRE(back);
  CAF_CHECK_EQUAL(texts(*back, back->changes[0].row),
                  (strings{"1", "x", "unchanged"}));
}

CAF_TEST(an event that names no row is refused) {
  dead_letter letter;
  letter.op = operation::update;
  for (auto event : {"", "[]", "{", "{\"before\":null,\"after\":null}",
                     "{\"before\":{\"id\":\"1\"},\"after\":null}"}) {
    letter.event = event;
    CAF_CHECK(!transform::to_batch(source, letter));
  }
  letter.op = operation::remove;
  letter.event = "{\"before\":null,\"after\":null}";
  CAF_CHECK(!transform::to_batch(source, letter));
}

CAF_TEST_FIXTURE_SCOPE_END()
