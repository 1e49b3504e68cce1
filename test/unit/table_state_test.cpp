#define CAF_SUITE table_state

#include "messages/table_state.hpp"

#include <caf/test/dsl.hpp>

#include <algorithm>
#include <numeric>
#include <random>

using namespace millrace;

namespace {

using ranges = std::vector<std::pair<uint64_t, uint64_t>>;

table_state example() {
  table_state x;
  x.at = table_state::phase::snapshot;
  x.label = lsn{0x1'00000002};
  x.fill_until = lsn{UINT64_MAX};
  x.retake = true;
  x.committed_at = -1;
  x.row_estimate = 1'000'000;
  x.parts = {{0, 16384, 512, 20}, {16400, 16401, 0, 1}};
  x.done = {{0, 3}, {7, 8}};
  return x;
}

} // namespace

CAF_TEST(chunks next to each other become one range) {
  table_state x;
  x.set_done(5);
  x.set_done(7);
  CAF_CHECK(x.done == (ranges{{5, 6}, {7, 8}}));
  x.set_done(6); // joins both
  CAF_CHECK(x.done == (ranges{{5, 8}}));
  x.set_done(8); // joins the one before
  CAF_CHECK(x.done == (ranges{{5, 9}}));
  x.set_done(4); // joins the one after
  CAF_CHECK(x.done == (ranges{{4, 9}}));
  x.set_done(0);
  CAF_CHECK(x.done == (ranges{{0, 1}, {4, 9}}));
  CAF_CHECK_EQUAL(x.count_done(), 6u);
}

CAF_TEST(a chunk counts once) {
  table_state x;
  for (auto chunk : {3, 3, 2, 3, 2})
    x.set_done(chunk);
  CAF_CHECK(x.done == (ranges{{2, 4}}));
  CAF_CHECK_EQUAL(x.count_done(), 2u);
}

CAF_TEST(chunks may become durable in any order) {
  std::mt19937 random{7};
  for (int run = 0; run < 50; ++run) {
    std::vector<uint64_t> order(40);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    table_state x;
    for (size_t i = 0; i < order.size(); ++i) {
      CAF_REQUIRE(!x.is_done(order[i]));
      x.set_done(order[i]);
      CAF_REQUIRE(x.is_done(order[i]));
      CAF_REQUIRE_EQUAL(x.count_done(), i + 1);
      CAF_REQUIRE(std::is_sorted(x.done.begin(), x.done.end()));
    }
    CAF_CHECK(x.done == (ranges{{0, 40}}));
  }
}

CAF_TEST(only what is in a range is done) {
  auto x = example();
  CAF_CHECK(x.is_done(0));
  CAF_CHECK(x.is_done(2));
  CAF_CHECK(!x.is_done(3));
  CAF_CHECK(x.is_done(7));
  CAF_CHECK(!x.is_done(8));
  CAF_CHECK_EQUAL(x.count_done(), 4u);
  CAF_CHECK_EQUAL(x.count_chunks(), 21u);
}

CAF_TEST(survives JSON) {
  for (auto phase : {table_state::phase::fresh, table_state::phase::snapshot,
                     table_state::phase::streaming}) {
    auto x = example();
    x.at = phase;
    auto copy = parse_table_state(to_json(x));
    CAF_REQUIRE(copy);
    CAF_CHECK(*copy == x);
  }
  auto copy = parse_table_state(to_json(table_state{}));
  CAF_REQUIRE(copy);
  CAF_CHECK(*copy == table_state{});
}

CAF_TEST(what cannot be read is an error that shows it) {
  auto good = to_json(example());
  auto broken = [&](std::string_view what, std::string_view with) {
    auto x = good;
    auto at = x.find(what);
    CAF_REQUIRE_NOT_EQUAL(at, std::string::npos);
    x.replace(at, what.size(), with);
    return x;
  };
  for (const auto& json :
       {std::string{}, std::string{"[]"}, std::string{"{}"},
        good.substr(0, good.size() / 2), broken("\"snapshot\"", "\"?\""),
        broken("1/2", "1-2"), broken("true", "1"), broken("16401", "-1"),
        broken("[7,8]", "[7]"), broken("\"label\"", "\"labels\"")}) {
    auto x = parse_table_state(json);
    CAF_REQUIRE(!x);
    CAF_CHECK(x.error().code == ec::target_unsuitable);
    CAF_CHECK_NOT_EQUAL(x.error().text.find(json), std::string::npos);
  }
}
