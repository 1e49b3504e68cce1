#define CAF_SUITE section

#include "app/config_entries.hpp"
#include "app/section.hpp"
#include "app/suggest.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/test/dsl.hpp>

#include <sstream>

using namespace millrace;
using namespace std::literals;

namespace {

struct fixture {
  /// Reads the one section of `text` with `f` and returns the problems.
  template <class F>
  std::string read(const std::string& text, F f) {
    std::istringstream in{"[a]\n" + text};
    auto xs = caf::actor_system_config::parse_config(in);
    CAF_REQUIRE(xs);
    std::vector<std::string> problems;
    static const caf::settings nothing;
    auto i = xs->find("a");
    {
      section x{"a",
                i == xs->end() ? nothing : caf::get<caf::settings>(i->second),
                problems};
      f(x);
    }
    std::string result;
    for (const auto& problem : problems)
      result += problem + "\n";
    return result;
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(section_tests, fixture)

CAF_TEST(keeps the default of what is absent or wrong) {
  std::string text = "default";
  uint32_t number = 7;
  std::chrono::milliseconds span{5};
  std::vector<std::string> list{"x"};
  auto all = [&](section& x) {
    x.read("text", text);
    x.read("number", number, 1u, 9u);
    x.read("span", span, 1ms, 10s);
    x.read("list", list);
  };
  CAF_CHECK_EQUAL(read("", all), "");
  auto problems
    = read("text = 1\nnumber = 10\nspan = 11s\nlist = [\"a\", 2]\n", all);
  CAF_CHECK_EQUAL(
    problems,
    "a.text: expected a \"string\", got 1 (integer)\n"
    "a.number: expected an integer from 1 to 9, got 10 (integer)\n"
    "a.span: expected a time span from 1ms to 10s with a unit, such as 10s or "
    "500ms, got 11s (timespan)\n"
    "a.list[1]: expected a \"string\", got 2 (integer)\n");
  CAF_CHECK_EQUAL(text, "default");
  CAF_CHECK_EQUAL(number, 7u);
  CAF_CHECK_EQUAL(span.count(), 5);
  CAF_CHECK_EQUAL(list.size(), 1u);
}

CAF_TEST(takes the ends of a range and nothing beyond) {
  uint32_t number = 0;
  auto one = [&](section& x) { x.read("n", number, 1u, 4294967295u); };
  CAF_CHECK_EQUAL(read("n = 1\n", one), "");
  CAF_CHECK_EQUAL(number, 1u);
  CAF_CHECK_EQUAL(read("n = 4294967295\n", one), "");
  CAF_CHECK_EQUAL(number, 4294967295u);
  CAF_CHECK(!read("n = 4294967296\n", one).empty());
  CAF_CHECK(!read("n = 0\n", one).empty());
  CAF_CHECK(!read("n = -1\n", one).empty());
  CAF_CHECK(!read("n = 1.0\n", one).empty());
  CAF_CHECK_EQUAL(number, 4294967295u);
}

CAF_TEST(a time span of less than a millisecond is refused and not cut) {
  std::chrono::milliseconds span{5};
  auto one = [&](section& x) { x.read("s", span, 0ms, 10s); };
  CAF_CHECK(!read("s = 1500us\n", one).empty());
  CAF_CHECK_EQUAL(span.count(), 5);
  CAF_CHECK_EQUAL(read("s = 2000us\n", one), "");
  CAF_CHECK_EQUAL(span.count(), 2);
}

CAF_TEST(required entries must be there and not empty) {
  std::string text;
  auto one = [&](section& x) { x.require("text", text); };
  CAF_CHECK_EQUAL(read("", one), "a.text: missing\n");
  CAF_CHECK_EQUAL(read("text = \"\"\n", one), "a.text: must not be empty\n");
  CAF_CHECK_EQUAL(read("text = \"x\"\n", one), "");
  CAF_CHECK_EQUAL(text, "x");
}

CAF_TEST(unknown entries are reported with the likeliest name) {
  std::string text;
  auto one = [&](section& x) { x.read("window-bytes", text); };
  CAF_CHECK_EQUAL(read("windwo-bytes = \"x\"\nother = 1\n", one),
                  "a.other: unknown entry\n"
                  "a.windwo-bytes: unknown entry; did you mean "
                  "\"window-bytes\"?\n");
}

CAF_TEST(suggests only what is near) {
  CAF_CHECK_EQUAL(suggest("rnu", {"run", "check"}), "; did you mean \"run\"?");
  CAF_CHECK_EQUAL(suggest("x", {"run", "check"}), "");
  CAF_CHECK_EQUAL(suggest("snapshot", {"slot", "status"}), "");
}

CAF_TEST(the scan finds entries with their lines) {
  auto x = scan_config("top = 1\n[s]\n; a = 1\na = \"b = [{\" ; c\nl = [ {\n"
                       " x = 'a', y = 2 }, { x = 1 }, ]\nu = <http://h=1>\n"
                       "m { n = 1s\n o = [1,\n2] }\n[t.u]\nz = \"\\\"\"\n");
  CAF_CHECK(x.problems.empty());
  std::string found;
  for (const auto& [path, line] : x.lines)
    found += path + ":" + std::to_string(line) + " ";
  CAF_CHECK_EQUAL(found, "s.a:4 s.l:5 s.l[0].x:6 s.l[0].y:6 s.l[1].x:6 s.m:8 "
                         "s.m.n:8 s.m.o:9 s.u:7 t.u.z:12 top:1 ");
}

CAF_TEST(the scan takes any text without harm) {
  for (auto text : {"[", "[a", "a = \"", "a = '", "a = [", "{", "}", "]", "=",
                    ",", "a = <", "\"\\", "[a]]]}}b"})
    scan_config(text);
}

CAF_TEST_FIXTURE_SCOPE_END()
