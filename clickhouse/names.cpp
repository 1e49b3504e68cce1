#include "clickhouse/names.hpp"

#include <algorithm>

namespace millrace::clickhouse {

namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
         || (c >= '0' && c <= '9') || c == '_';
}

} // namespace

std::string quote_name(std::string_view name) {
  std::string out;
  out.reserve(name.size() + 2);
  out += '`';
  for (auto c : name) {
    if (c == '`' || c == '\\')
      out += '\\';
    out += c;
  }
  out += '`';
  return out;
}

std::string quote_name(std::string_view database, std::string_view table) {
  return quote_name(database) + '.' + quote_name(table);
}

void escape_literal(std::string& out, std::string_view text) {
  for (auto c : text) {
    switch (c) {
      case '\0':
        out += "\\0";
        break;
      case '\'':
      case '\\':
        out += '\\';
        [[fallthrough]];
      default:
        out += c;
    }
  }
}

std::string quote_literal(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out += '\'';
  escape_literal(out, text);
  out += '\'';
  return out;
}

size_t escaped_size(std::string_view name) {
  auto words = std::count_if(name.begin(), name.end(), is_word);
  return 3 * name.size() - 2 * static_cast<size_t>(words);
}

size_t max_table_name(std::string_view database) {
  // A dropped table's metadata file, `db.table.UUID.sql`, must stay below the
  // file system's 255 bytes.
  constexpr size_t most = 213;
  auto used = escaped_size(database);
  return used < most ? most - used : 0;
}

std::string one_line(std::string_view text, size_t limit) {
  std::string out;
  for (auto c : text.substr(0, limit)) {
    auto space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!space)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (text.size() > limit) {
    while (!out.empty() && (out.back() & 0xC0) == 0x80)
      out.pop_back();
    if (!out.empty() && (out.back() & 0x80) != 0)
      out.pop_back();
    out += "...";
  }
  while (!out.empty() && out.back() == ' ')
    out.pop_back();
  return out;
}

} // namespace millrace::clickhouse
