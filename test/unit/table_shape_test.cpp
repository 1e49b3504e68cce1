#define CAF_SUITE table_shape

#include "messages/table_shape.hpp"
#include "messages/table_state.hpp"
#include "test/unit/fixture.hpp"
#include "test/unit/has.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

using namespace millrace;
using namespace millrace::test;

namespace {

// A table with three columns and an enum.
table_shape shop() {
  table_shape x;
  x.columns = {{1, "id", 23, -1, 700, false, false},
               {2, "name", 25, -1, 700, false, false},
               {4, "price", 1700, 393'222, 700, false, false}};
  x.labels = {{9'000, 690, "sad"}, {9'002, 690, "happy"}};
  x.heaps = {{16'384, 16'384, false}};
  x.membership = "t20000";
  return x;
}

struct fixture {
  table_shape before = shop();
  table_shape now = shop();

  std::string why() const {
    return why_outdated(before, now);
  }

  void rewrite() {
    now.heaps[0].filenode = 17'000;
  }

  table_shape::column& add(std::string name) {
    now.columns.push_back({5, std::move(name), 23, -1, 710, false, false});
    return now.columns.back();
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(table_shape_tests, fixture)

CAF_TEST(a table that is as it was is right) {
  CAF_CHECK_EQUAL(why(), "");
}

CAF_TEST(what is not known is no reason) {
  before = table_shape{};
  CAF_CHECK_EQUAL(why(), "");
  std::swap(before, now);
  CAF_CHECK_EQUAL(why(), "");
}

CAF_TEST(a rewritten heap alone is no reason) {
  rewrite();
  CAF_CHECK_EQUAL(why(), "");
}

CAF_TEST(a column is added) {
  CAF_MESSAGE("without a value for rows from before");
  add("more");
  CAF_CHECK_EQUAL(why(), "");
  CAF_MESSAGE("with a constant one");
  now.columns.back().missing = true;
  CAF_CHECK(has(why(), "column \"more\" has been added with a value"));
  CAF_MESSAGE("with one for each row");
  now.columns.back().missing = false;
  rewrite();
  CAF_CHECK(has(why(), "column \"more\" has been added with a value"));
  CAF_MESSAGE("generated: the stream does not carry it");
  now.columns.back().generated = true;
  CAF_CHECK_EQUAL(why(), "");
}

CAF_TEST(a column is renamed) {
  now.columns[1].name = "title";
  CAF_CHECK(has(why(), "column \"name\" has been renamed to \"title\""));
}

CAF_TEST(a column is dropped) {
  now.columns.erase(now.columns.begin() + 1);
  CAF_CHECK_EQUAL(why(), "");
}

CAF_TEST(a column is dropped and added again) {
  now.columns.erase(now.columns.begin() + 1);
  add("name");
  CAF_CHECK(has(why(), "column \"name\" has been dropped and added again"));
}

CAF_TEST(a column is added again later on) {
  now.columns.erase(now.columns.begin() + 1);
  before = successor(before, now);
  CAF_CHECK_EQUAL(before.left, std::vector<std::string>{"name"});
  before = successor(before, now);
  now = before;
  add("name");
  CAF_CHECK(has(why(), "dropped and added again"));
  CAF_CHECK(successor(before, now).left.empty());
}

CAF_TEST(a type changes) {
  CAF_MESSAGE("text to varchar and back changes no value");
  now.columns[1].type = 1043;
  CAF_CHECK_EQUAL(why(), "");
  CAF_MESSAGE("but what converts it may");
  rewrite();
  CAF_CHECK(has(why(), "column \"name\" has another type"));
  now = shop();
  CAF_MESSAGE("another text for the same bytes");
  now.columns[0].type = 26;
  CAF_CHECK(has(why(), "column \"id\" has another type"));
  now = shop();
  CAF_MESSAGE("more digits");
  now.columns[2].modifier = 524'294;
  CAF_CHECK_EQUAL(why(), "");
  CAF_MESSAGE("fewer digits, which rounds");
  rewrite();
  CAF_CHECK(has(why(), "column \"price\" has another type"));
}

CAF_TEST(values are converted and the type stays) {
  now.columns[0].changed = 720;
  CAF_CHECK_EQUAL(why(), "");
  rewrite();
  CAF_CHECK(has(why(), "column \"id\" has been altered"));
}

CAF_TEST(labels change) {
  CAF_MESSAGE("one more");
  now.labels.push_back({9'003, 720, "joyful"});
  CAF_CHECK_EQUAL(why(), "");
  CAF_MESSAGE("another text");
  now.labels[0] = {9'000, 721, "blue"};
  CAF_CHECK(has(why(), "label 'sad' has been renamed to 'blue'"));
  CAF_MESSAGE("another text for a while");
  now.labels[0].text = "sad";
  CAF_CHECK(has(why(), "label 'sad'"));
}

CAF_TEST(the publication lists it anew) {
  now.membership = "t20001";
  CAF_CHECK(has(why(), "publication"));
}

CAF_TEST(a partition goes) {
  before.heaps.push_back({16'400, 16'400, false});
  CAF_CHECK(has(why(), "partition"));
}

CAF_TEST(partitions come) {
  now.heaps.push_back({16'400, 16'400, false});
  now.heaps.push_back({16'500, 16'500, true});
  CAF_CHECK_EQUAL(why(), "");
  CAF_CHECK_EQUAL(added_heaps(before, now),
                  (std::vector<uint32_t>{16'400, 16'500}));
  CAF_CHECK(added_heaps(table_shape{}, now).empty());
}

CAF_TEST(the stamp of columns tells which there are and what altered them) {
  CAF_CHECK_EQUAL(columns_stamp(before), "1:700,2:700,4:700");
  CAF_CHECK_EQUAL(columns_stamp(table_shape{}), "");
}

CAF_TEST(a shape is remembered with the state of its table) {
  table_state state;
  state.shape = shop();
  state.shape.left = {"gone \"so\""};
  state.shape.edits = 17;
  state.only = {16'400};
  auto again = parse_table_state(to_json(state));
  CAF_REQUIRE(again);
  CAF_CHECK(*again == state);
  CAF_MESSAGE("a state of an earlier version has none");
  again = parse_table_state(to_json(table_state{}));
  CAF_REQUIRE(again);
  CAF_CHECK(!again->shape.is_known());
}

CAF_TEST_FIXTURE_SCOPE_END()
