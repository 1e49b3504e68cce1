#define CAF_SUITE olap_formats

#include "fixture.hpp"
#include "olap/formats.hpp"
#include "olap/result_pipe.hpp"

using namespace millrace::olap;
using namespace std::literals;

namespace {

std::string redirected(std::string_view sql, std::string_view format = "CSV") {
  return with_outfile(parse_statement(sql, true), format, 7);
}

} // namespace

CAF_TEST(formats have the content types of the server) {
  CAF_CHECK_EQUAL(content_type_of("TSV"),
                  "text/tab-separated-values; charset=UTF-8");
  CAF_CHECK_EQUAL(content_type_of("csvwithnames"),
                  "text/csv; charset=UTF-8; header=present");
  CAF_CHECK_EQUAL(content_type_of("JSONEachRow"),
                  "application/x-ndjson; charset=UTF-8");
  CAF_CHECK_EQUAL(content_type_of("JSONCompact"),
                  "application/json; charset=UTF-8");
  CAF_CHECK_EQUAL(content_type_of("Native"), "application/octet-stream");
}

CAF_TEST(the first question of clickhouse go is known) {
  CAF_CHECK(is_revision_question(
    "SELECT displayName(), version(), revision(), timezone()"));
  CAF_CHECK(!is_revision_question("SELECT version(), revision()"));
  CAF_CHECK_EQUAL(revision_answer("n", "v", "UTC"),
                  "\x01\x00\x02\xff\xff\xff\xff\x00\x04\x01"
                  "\x0d"
                  "displayName()\x06String\x00\x01n"
                  "\x09version()\x06String\x00\x01v"
                  "\x0arevision()\x06UInt32\x00\x00\x00\x00\x00"
                  "\x0atimezone()\x06String\x00\x03UTC"s);
}

CAF_TEST(a result is led into a descriptor whatever clauses follow) {
  auto out = "\nINTO OUTFILE '/proc/self/fd/7' TRUNCATE FORMAT "s;
  CAF_CHECK_EQUAL(redirected("SELECT 1"), "SELECT 1" + out + "CSV");
  CAF_CHECK_EQUAL(redirected("SELECT 1 -- c"), "SELECT 1 -- c" + out + "CSV");
  CAF_CHECK_EQUAL(redirected("SELECT 1;\n"), "SELECT 1" + out + "CSV");
  CAF_CHECK_EQUAL(redirected("SELECT 1 FORMAT JSON"),
                  "SELECT 1 " + out + "JSON");
  CAF_CHECK_EQUAL(
    redirected("SELECT 1 SETTINGS a=1 FORMAT `JSON` SETTINGS b=2;"),
    "SELECT 1 SETTINGS a=1 " + out + "`JSON` SETTINGS b=2");
}

CAF_TEST(only plain words are formats) {
  CAF_CHECK(result_pipe::is_format_name("JSONEachRow"));
  CAF_CHECK(!result_pipe::is_format_name(""));
  CAF_CHECK(!result_pipe::is_format_name("CSV SETTINGS x"));
}
