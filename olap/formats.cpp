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

// End of the next line, quoted line ends left out; npos if there is none.
size_t line_end(std::string_view text, size_t from, bool quotes) {
  auto quoted = false;
  for (auto i = from; i < text.size(); ++i) {
    if (quotes && text[i] == '"')
      quoted = !quoted;
    else if (text[i] == '\n' && !quoted)
      return i + 1;
  }
  return text.npos;
}

// LEB128 as RowBinary has it; `npos` as position when it is cut.
uint64_t read_varint(std::string_view bytes, size_t& at) {
  uint64_t result = 0;
  for (auto shift = 0; at < bytes.size() && shift < 64; shift += 7) {
    auto c = static_cast<uint8_t>(bytes[at++]);
    result |= static_cast<uint64_t>(c & 0x7f) << shift;
    if (c < 0x80)
      return result;
  }
  at = bytes.npos;
  return 0;
}

size_t binary_header(std::string_view bytes, bool types) {
  size_t at = 0;
  auto texts = read_varint(bytes, at) * (types ? 2 : 1);
  for (; texts > 0 && at != bytes.npos; --texts) {
    auto size = read_varint(bytes, at);
    if (at == bytes.npos || size > bytes.size() - at)
      return 0;
    at += size;
  }
  return at == bytes.npos ? 0 : at;
}

} // namespace

joint joint_of(std::string_view format) {
  constexpr std::string_view plain[] = {
    "csv",
    "jsoncompacteachrow",
    "jsoncompactstringseachrow",
    "jsoneachrow",
    "jsonlines",
    "jsonstringseachrow",
    "lineasstring",
    "msgpack",
    "native",
    "ndjson",
    "null",
    "rawblob",
    "rowbinary",
    "tabseparated",
    "tabseparatedraw",
    "tskv",
    "tsv",
    "tsvraw",
  };
  constexpr std::string_view named[] = {
    "csv",       "jsoncompacteachrow", "jsoncompactstringseachrow",
    "rowbinary", "tabseparated",       "tsv",
  };
  auto name = lower(format);
  if (std::find(std::begin(plain), std::end(plain), name) != std::end(plain))
    return joint::append;
  auto with = name.find("withnames");
  std::string_view base{name.data(), std::min(with, name.size())};
  if (with != name.npos
      && std::find(std::begin(named), std::end(named), base) != std::end(named))
    return joint::drop_header;
  return joint::whole;
}

size_t header_size(std::string_view format, std::string_view block) {
  auto name = lower(format);
  auto types = name.ends_with("andtypes");
  if (name.starts_with("rowbinary"))
    return binary_header(block, types);
  auto quotes = name.starts_with("csv");
  auto end = line_end(block, 0, quotes);
  if (types && end != block.npos)
    end = line_end(block, end, quotes);
  return end == block.npos ? 0 : end;
}

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
