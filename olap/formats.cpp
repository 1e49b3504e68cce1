#include "olap/formats.hpp"

#include <algorithm>
#include <cctype>

namespace millrace::olap {

namespace {

std::string lower(std::string_view text) {
  std::string result;
  for (auto c : text)
    result += static_cast<char>(std::tolower(static_cast<uint8_t>(c)));
  return result;
}

void append_text(std::string& out, std::string_view text) {
  auto size = text.size();
  for (; size >= 0x80; size >>= 7)
    out += static_cast<char>(size | 0x80);
  out += static_cast<char>(size);
  out += text;
}

} // namespace

std::string_view content_type_of(std::string_view format) {
  auto name = lower(format);
  auto is = [&](std::string_view prefix) { return name.starts_with(prefix); };
  if (is("tabseparated") || is("tsv") || is("rawblob") || name.empty())
    return "text/tab-separated-values; charset=UTF-8";
  if (is("csv"))
    return name.find("withnames") != name.npos
             ? "text/csv; charset=UTF-8; header=present"
             : "text/csv; charset=UTF-8; header=absent";
  if (is("jsoneachrow") || is("jsoncompacteachrow") || is("jsonstringseachrow")
      || is("jsonlines") || is("ndjson") || is("jsoncompactstringseachrow")
      || is("jsonobjecteachrow"))
    return "application/x-ndjson; charset=UTF-8";
  if (is("json"))
    return "application/json; charset=UTF-8";
  if (is("xml"))
    return "application/xml; charset=UTF-8";
  if (is("markdown"))
    return "text/markdown; charset=UTF-8";
  if (is("pretty") || is("vertical") || is("values") || is("sqlinsert")
      || is("prometheus"))
    return "text/plain; charset=UTF-8";
  return "application/octet-stream";
}

bool is_revision_question(std::string_view sql) {
  std::string squeezed;
  for (auto c : lower(sql))
    if (std::isspace(static_cast<uint8_t>(c)) == 0 && c != ';')
      squeezed += c;
  return squeezed == "selectdisplayname(),version(),revision(),timezone()";
}

std::string
revision_answer(std::string_view display_name, std::string_view version,
                std::string_view timezone) {
  // Block info (not an overflow block, bucket -1), 4 columns, 1 row.
  std::string out{"\x01\x00\x02\xff\xff\xff\xff\x00\x04\x01", 10};
  auto column = [&](std::string_view name, std::string_view type) {
    append_text(out, name);
    append_text(out, type);
    out += '\0'; // no custom serialization
  };
  column("displayName()", "String");
  append_text(out, display_name);
  column("version()", "String");
  append_text(out, version);
  column("revision()", "UInt32");
  out.append(4, '\0');
  column("timezone()", "String");
  append_text(out, timezone);
  return out;
}

} // namespace millrace::olap
