#define CAF_SUITE olap_formats

#include "fixture.hpp"
#include "olap/formats.hpp"

using namespace millrace::olap;
using namespace std::literals;

CAF_TEST(blocks of row formats follow each other) {
  for (auto* name : {"TSV", "TabSeparated", "CSV", "JSONEachRow", "Native",
                     "RowBinary", "tskv", "JSONCompactEachRow"})
    CAF_CHECK(joint_of(name) == joint::append);
}

CAF_TEST(formats that frame the whole result are not written block by block) {
  for (auto* name :
       {"JSON", "JSONCompact", "JSONColumns", "XML", "Pretty", "PrettyCompact",
        "Vertical", "Values", "Markdown", "Arrow", "ArrowStream", "Parquet",
        "TSVRawWithNames", "JSONObjectEachRow", "Unknown", ""})
    CAF_CHECK(joint_of(name) == joint::whole);
}

CAF_TEST(headers of later blocks are found) {
  auto size = [](std::string_view format, std::string_view block) {
    CAF_CHECK(joint_of(format) == joint::drop_header);
    return header_size(format, block);
  };
  CAF_CHECK_EQUAL(size("TSVWithNames", "a\tb\n1\t2\n"), 4u);
  CAF_CHECK_EQUAL(size("TabSeparatedWithNamesAndTypes", "a\nInt8\n1\n"), 7u);
  CAF_CHECK_EQUAL(size("CSVWithNames", "\"a\nb\"\"\n\",\"c\"\n1,2\n"), 13u);
  CAF_CHECK_EQUAL(size("JSONCompactEachRowWithNames", "[\"a\"]\n[1]\n"), 6u);
  CAF_CHECK_EQUAL(size("RowBinaryWithNames", "\x02\x01"
                                             "a\x02"
                                             "bc\x07"sv),
                  6u);
  CAF_CHECK_EQUAL(size("RowBinaryWithNamesAndTypes", "\x01\x01"
                                                     "a\x04"
                                                     "Int8\x07"sv),
                  8u);
  CAF_CHECK_EQUAL(size("RowBinaryWithNames", "\x02\x01"
                                             "a\x09"
                                             "bc"sv),
                  0u);
  CAF_CHECK_EQUAL(size("TSVWithNamesAndTypes", "a\nInt8"), 0u);
}
