#define CAF_SUITE server_error

#include "clickhouse/names.hpp"
#include "clickhouse/server_error.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::clickhouse;

namespace {

ec class_of(int code, const char* text = "") {
  return classify({code, text}, 500);
}

} // namespace

CAF_TEST(an error is read from the text or from the header) {
  auto x = parse_error("Code: 60. DB::Exception: Table a.b does not exist. "
                       "(UNKNOWN_TABLE) (version 23.8.1.1 (official build))\n",
                       0);
  CAF_CHECK_EQUAL(x.code, 60);
  CAF_CHECK_EQUAL(x.text, "Table a.b does not exist. (UNKNOWN_TABLE)");
  x = parse_error("Code: 241, e.displayText() = DB::Exception: Memory", 241);
  CAF_CHECK_EQUAL(x.code, 241);
  x = parse_error("two\nlines\twith  spaces", 7);
  CAF_CHECK_EQUAL(x.code, 7);
  CAF_CHECK_EQUAL(x.text, "two lines with spaces");
  CAF_CHECK_EQUAL(parse_error("<html>Bad Gateway</html>", 0).code, 0);
  CAF_CHECK_EQUAL(parse_error("Code: x. y", 0).code, 0);
  CAF_CHECK_EQUAL(parse_error("", 0).code, 0);
}

CAF_TEST(the statement is not repeated) {
  auto x = parse_error("Code: 47. DB::Exception: Unknown identifier c in scope "
                       "SELECT c FROM t WHERE k = 'secret'. (UNKNOWN_"
                       "IDENTIFIER) (version 26.7)\n",
                       0);
  CAF_CHECK_EQUAL(x.text, "Unknown identifier c (UNKNOWN_IDENTIFIER)");
}

CAF_TEST(a long text is cut between characters) {
  CAF_CHECK_EQUAL(one_line("aaaa\xC3\xA4\xC3\xA4", 7), "aaaa\xC3\xA4...");
  CAF_CHECK_EQUAL(one_line("aaaa\xC3\xA4", 6), "aaaa\xC3\xA4");
}

CAF_TEST(what may pass is tried again) {
  for (auto code : {3,   159, 160, 202, 209, 210, 225, 236, 241, 242, 243,
                    252, 285, 286, 319, 394, 425, 734, 745, 999, 1000})
    CAF_CHECK(class_of(code) == ec::target_failed);
  // The first of two equal requests still runs: it has to be ended.
  CAF_CHECK(class_of(216) == ec::target_unavailable);
}

CAF_TEST(refusals and misfits are told apart) {
  for (auto code : {164, 192, 193, 194, 195, 291, 452, 497, 516})
    CAF_CHECK(class_of(code) == ec::target_refused);
  for (auto code : {6, 27, 33, 44, 47, 50, 53, 60, 62, 81, 115, 190, 349, 117})
    CAF_CHECK(class_of(code) == ec::target_unsuitable);
}

CAF_TEST(a refused insert is blamed on rows or table or server) {
  // Constraints, sizes, conversions, throwIf of a view, and what is unknown.
  for (auto code : {469, 131, 128, 70, 117, 349, 691, 395, 153, 6, 9'999})
    CAF_CHECK(blame_insert(code) == ec::rows_refused);
  for (auto code : {16, 20, 53, 60})
    CAF_CHECK(blame_insert(code) == ec::table_unsuitable);
  for (auto code : {0, 48, 62, 81, 115})
    CAF_CHECK(blame_insert(code) == ec::target_unsuitable);
}

CAF_TEST(a full disk passes whatever the code is) {
  CAF_CHECK(class_of(49, "Cannot write: No space left on device")
            == ec::target_failed);
  CAF_CHECK(class_of(1001, "filesystem error: File name too long")
            == ec::target_unsuitable);
  CAF_CHECK(class_of(1001, "filesystem error") == ec::target_failed);
  CAF_CHECK_EQUAL(remedy({75, "No space left on device"}, 500),
                  "free disk space on the server");
}
