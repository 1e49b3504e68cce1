#define CAF_SUITE low_water_marks

#include "messages/low_water_marks.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace std::chrono_literals;

namespace {

constexpr int64_t second = 1'000'000;

using mark = low_water_marks::mark;

} // namespace

CAF_TEST(a position counts once it has been known for the age) {
  low_water_marks xs;
  CAF_CHECK(xs.add(lsn{100}, 1'000 * second, 160s));
  CAF_CHECK_EQUAL(xs.settled(1'000 * second, 160s), lsn{});
  CAF_CHECK_EQUAL(xs.settled(1'160 * second - 1, 160s), lsn{});
  CAF_CHECK_EQUAL(xs.settled(1'160 * second, 160s), lsn{100});
}

CAF_TEST(of several that are old enough the highest counts) {
  low_water_marks xs;
  xs.add(lsn{100}, 1'000 * second, 160s);
  xs.add(lsn{200}, 1'050 * second, 160s);
  xs.add(lsn{300}, 1'100 * second, 160s);
  CAF_CHECK_EQUAL(xs.settled(1'209 * second, 160s), lsn{100});
  CAF_CHECK_EQUAL(xs.settled(1'210 * second, 160s), lsn{200});
  CAF_CHECK_EQUAL(xs.settled(9'999 * second, 160s), lsn{300});
}

CAF_TEST(there are few of them) {
  low_water_marks xs;
  CAF_CHECK(!xs.add(lsn{}, 500 * second, 160s));
  for (int i = 0; i < 10'000; ++i)
    xs.add(lsn{100u + i}, (1'000 + i) * second, 160s);
  CAF_CHECK_LESS(xs.all().size(), 20u);
  // Up to an eighth of the age late.
  auto x = xs.settled(10'999 * second, 160s);
  CAF_CHECK_LESS(x, lsn{100 + 9'999 - 160 + 1});
  CAF_CHECK_GREATER(x, lsn{100 + 9'999 - 181});
}

CAF_TEST(a position that stays is as old as it is) {
  low_water_marks xs;
  CAF_CHECK(xs.add(lsn{100}, 1'000 * second, 160s));
  CAF_CHECK(!xs.add(lsn{100}, 1'100 * second, 160s));
  CAF_CHECK_EQUAL(xs.settled(1'160 * second, 160s), lsn{100});
}

CAF_TEST(a server that goes back takes its positions along) {
  low_water_marks xs;
  xs.add(lsn{100}, 1'000 * second, 160s);
  xs.add(lsn{200}, 1'050 * second, 160s);
  CAF_CHECK(xs.add(lsn{150}, 1'100 * second, 160s));
  CAF_CHECK_EQUAL(xs.settled(1'210 * second, 160s), lsn{100});
  CAF_CHECK_EQUAL(xs.settled(1'260 * second, 160s), lsn{150});
  CAF_CHECK(xs.add(lsn{149}, 1'101 * second, 160s));
  CAF_CHECK_EQUAL(xs.settled(1'260 * second, 160s), lsn{100});
  CAF_CHECK_EQUAL(xs.settled(1'261 * second, 160s), lsn{149});
}

CAF_TEST(a clock that goes back makes nothing older) {
  low_water_marks xs;
  xs.add(lsn{100}, 1'000 * second, 160s);
  CAF_CHECK(xs.add(lsn{200}, 400 * second, 160s));
  CAF_CHECK_EQUAL(xs.settled(559 * second, 160s), lsn{});
  CAF_CHECK_EQUAL(xs.settled(560 * second, 160s), lsn{200});
}

CAF_TEST(they outlive the node) {
  low_water_marks xs;
  xs.add(lsn{0x1'0000'0000}, 1'000 * second, 160s);
  xs.add(lsn{0x1'0000'0100}, 1'100 * second, 160s);
  auto back = parse_low_water_marks(to_json(xs));
  CAF_REQUIRE(back);
  CAF_CHECK(back->all() == xs.all());
  CAF_CHECK(parse_low_water_marks(to_json(low_water_marks{}))->all().empty());
  for (auto text : {"", "{}", R"({"marks":[{"position":"x","at":1}]})",
                    R"({"marks":[{"position":"0/2","at":1},)"
                    R"({"position":"0/1","at":2}]})"})
    CAF_CHECK(!parse_low_water_marks(text));
}
