#define CAF_SUITE copy_text

#include "postgres/copy_text.hpp"
#include "test/unit/fixture.hpp"

#include <optional>

using namespace millrace;
using postgres::append_copy_row;

namespace {

using values = std::vector<std::optional<std::string>>;

// Nothing when the row is refused.
std::optional<values> parse(std::string_view row, uint32_t columns) {
  // What was there before stays.
  text_buffer buffer;
  buffer = "before";
  std::vector<cell> cells(columns);
  // A copy of exact size, so that a sanitizer sees a read beyond its end.
  std::vector<char> exact(row.begin(), row.end());
  if (!append_copy_row({exact.data(), exact.size()}, columns, buffer,
                       cells.data()))
    return std::nullopt;
  std::string_view text{buffer};
  CAF_CHECK_EQUAL(text.substr(0, 6), "before");
  values result;
  for (const auto& x : cells) {
    if (x.size < 0)
      result.emplace_back(std::nullopt);
    else
      result.emplace_back(text.substr(x.offset, x.size));
  }
  return result;
}

// A row that has a text to itself is the same.
bool reads_alone(std::string_view row, const values& expected) {
  text_buffer text;
  text = row;
  std::vector<cell> cells(expected.size());
  if (!postgres::read_copy_row(static_cast<uint32_t>(expected.size()), text,
                               cells.data()))
    return false;
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto& x = cells[i];
    if ((x.size < 0) != !expected[i]
        || (x.size >= 0
            && std::string_view{text}.substr(x.offset, x.size) != expected[i]))
      return false;
  }
  return true;
}

bool reads(std::string_view row, const values& expected) {
  CAF_CHECK(reads_alone(row, expected));
  return parse(row, static_cast<uint32_t>(expected.size())) == expected;
}

} // namespace

CAF_TEST(plain rows are slices) {
  CAF_CHECK(reads("1\tab\t3.50\n", {"1", "ab", "3.50"}));
  CAF_CHECK(reads("1\n", {"1"}));
  CAF_CHECK(reads("1", {"1"}));
  CAF_CHECK(reads("\n", {""}));
  CAF_CHECK(reads("\t\t\n", {"", "", ""}));
}

CAF_TEST(a null is not the text that looks like one) {
  CAF_CHECK(reads("\\N\t\\\\N\tN\t\n", {std::nullopt, "\\N", "N", ""}));
  CAF_CHECK(reads("\\N\n", {std::nullopt}));
}

CAF_TEST(escapes are taken out) {
  CAF_CHECK(
    reads("a\\tb\t\\\\\t\\n\\r\\b\\f\\v\n", {"a\tb", "\\", "\n\r\b\f\v"}));
  CAF_CHECK(reads("\\101\\x41\\x4a!\\xg\\q\\7\n", {"AAJ!xgq\7"}));
  CAF_CHECK(reads("\\\\\\\\\t\\\\t\n", {"\\\\", "\\t"}));
  CAF_CHECK(reads("x\\\\\ty\n", {"x\\", "y"}));
}

CAF_TEST(what PostgreSQL wrote is read) {
  // COPY (SELECT e'tab\t nl\n cr\r bs\\ b\b', '\N', '\x5c4e'::bytea, 'ü€',
  //              ARRAY['a\b', 'c"d', NULL], NULL) TO STDOUT, version 15.20
  CAF_CHECK(reads("tab\\t nl\\n cr\\r bs\\\\ b\\b\t\\\\N\t\\\\x5c4e\tü€\t"
                  "{\"a\\\\\\\\b\",\"c\\\\\"d\",NULL}\t\\N\n",
                  {"tab\t nl\n cr\r bs\\ b\b", "\\N", "\\x5c4e", "ü€",
                   "{\"a\\\\b\",\"c\\\"d\",NULL}", std::nullopt}));
}

CAF_TEST(rows with other columns than asked for are refused) {
  CAF_CHECK(!parse("1\t2\n", 3));
  CAF_CHECK(!parse("1\t2\t3\t4\n", 3));
  CAF_CHECK(!parse("1\t\\N\t3\t4\n", 3));
  CAF_CHECK(!parse("1\n", 0));
  CAF_CHECK(!parse("1\t2\\\n", 2));
  CAF_CHECK(!parse("1\\\t2\n", 2));
}

CAF_TEST(every truncation is refused or shorter) {
  std::string_view row = "a\\tb\t\\N\tx\\\\\ty";
  for (size_t n = 0; n < row.size(); ++n) {
    auto got = parse(row.substr(0, n), 4);
    CAF_CHECK(!got || n == row.size() - 1);
  }
}
