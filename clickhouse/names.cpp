#include "clickhouse/names.hpp"

namespace millrace::clickhouse {

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
