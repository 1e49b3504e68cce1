#define CAF_SUITE olap_multipart

#include "olap/multipart.hpp"
#include "test/unit/pieces.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace::olap;
using millrace::test::pieces;

namespace {

/// `name=content` of fields and `name:file=content` of files, then `!` and the
/// error's code if there is one.
std::string
read_all(std::string_view body, size_t piece, std::string_view boundary = "B") {
  pieces in{body, piece};
  multipart_reader reader{in, boundary};
  std::string result;
  for (multipart_reader::part part; reader.next_part(part);) {
    result += part.name;
    if (part.is_file)
      result += ":" + part.file_name;
    result += "=";
    for (auto x = reader.read(); !x.empty(); x = reader.read())
      result.append(x);
    result += ";";
  }
  if (reader.broken())
    result += "!" + std::to_string(reader.error().code);
  return result;
}

constexpr std::string_view body
  = "--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n"
    "SELECT 1\r\n"
    "--B\r\ncontent-disposition: form-data; name=\"m\"; filename=\"a;b.csv\""
    "\r\nContent-Type: text/csv\r\n\r\n"
    "1,\"x\"\r\n--not the end\r\n\r\n--\r\n"
    "--B\r\nContent-Disposition: form-data; name=empty; filename=\"\"\r\n\r\n"
    "\r\n--B--\r\nrest";

} // namespace

CAF_TEST(fields and files come back whatever the pieces are) {
  for (size_t n = 1; n <= body.size(); ++n)
    CAF_CHECK_EQUAL(
      read_all(body, n),
      "query=SELECT 1;m:a;b.csv=1,\"x\"\r\n--not the end\r\n\r\n--;empty:=;");
}

CAF_TEST(unread content is stepped over) {
  pieces in{body, 7};
  multipart_reader reader{in, "B"};
  multipart_reader::part part;
  CAF_CHECK(reader.next_part(part));
  CAF_CHECK(reader.next_part(part));
  CAF_CHECK_EQUAL(part.name, "m");
  CAF_CHECK(reader.next_part(part));
  CAF_CHECK_EQUAL(part.name, "empty");
  CAF_CHECK(!reader.next_part(part));
  CAF_CHECK(!reader.broken());
}

CAF_TEST(every cut before the end is an error) {
  auto end = body.find("--B--") + 5;
  for (size_t n = 0; n < end; ++n) {
    auto text = read_all(body.substr(0, n), 1000);
    CAF_CHECK(text.ends_with("!36"));
  }
}

CAF_TEST(a part without a name is an error) {
  CAF_CHECK_EQUAL(read_all("--B\r\nContent-Type: x\r\n\r\na\r\n--B--", 100),
                  "!36");
}

CAF_TEST(quotes in names are understood) {
  CAF_CHECK_EQUAL(read_all("--B\r\nContent-Disposition: form-data; "
                           "filename=\"name=x\"; name=\"a\\\"b\"\r\n\r\n1\r\n"
                           "--B--",
                           100),
                  "a\"b:name=x=1;");
}

CAF_TEST(the boundary is found in the content type) {
  CAF_CHECK_EQUAL(multipart_boundary("multipart/form-data; boundary=abc"),
                  "abc");
  CAF_CHECK_EQUAL(
    multipart_boundary("Multipart/Form-Data; charset=x; boundary=\"a b\""),
    "a b");
  CAF_CHECK_EQUAL(multipart_boundary("application/x-www-form-urlencoded"), "");
  CAF_CHECK_EQUAL(multipart_boundary(""), "");
}
