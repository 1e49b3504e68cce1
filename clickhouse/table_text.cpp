#include "clickhouse/table_text.hpp"

#include <algorithm>

namespace millrace::clickhouse {

namespace {

/// Skips a quoted part that begins at `i`; returns the index of its end quote.
size_t end_of_quoted(std::string_view text, size_t i) {
  auto quote = text[i];
  for (++i; i < text.size() && text[i] != quote; ++i)
    if (text[i] == '\\')
      ++i;
  return std::min(i, text.size() - 1);
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
         || (c >= 'A' && c <= 'Z') || c == '_';
}

/// Without a pair of brackets around all of it: newer servers tell the key
/// `(a)` as it was written.
std::string_view without_brackets(std::string_view text) {
  if (text.empty() || text.front() != '(')
    return text;
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (c == '`' || c == '"' || c == '\'')
      i = end_of_quoted(text, i);
    else if (c == '(')
      ++depth;
    else if (c == ')' && --depth == 0)
      return i + 1 == text.size() ? text.substr(1, i - 1) : text;
  }
  return text;
}

/// Position of a clause's keyword outside of quotes and parentheses.
size_t find_clause(std::string_view text, std::string_view keyword) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (c == '`' || c == '"' || c == '\'')
      i = end_of_quoted(text, i);
    else if (c == '(')
      ++depth;
    else if (c == ')')
      --depth;
    else if (depth == 0 && text.substr(i, keyword.size()) == keyword)
      return i;
  }
  return std::string_view::npos;
}

} // namespace

std::string unquote(std::string_view text) {
  if (text.empty() || (text.front() != '`' && text.front() != '"'))
    return std::string{text};
  std::string out;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '\\' && i + 2 < text.size())
      ++i;
    out += text[i];
  }
  return out;
}

std::vector<std::string> elements(std::string_view text) {
  text = without_brackets(text);
  std::vector<std::string> out;
  size_t begin = 0;
  int depth = 0;
  auto add = [&](size_t end) {
    auto x = text.substr(begin, end - begin);
    while (!x.empty() && x.front() == ' ')
      x.remove_prefix(1);
    while (!x.empty() && x.back() == ' ')
      x.remove_suffix(1);
    if (!x.empty())
      out.emplace_back(x);
  };
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (c == '`' || c == '"' || c == '\'') {
      i = end_of_quoted(text, i);
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      --depth;
    } else if (c == ',' && depth == 0) {
      add(i);
      begin = i + 1;
    }
  }
  add(text.size());
  return out;
}

identifier_set identifiers(std::string_view text) {
  identifier_set out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (c == '`' || c == '"') {
      auto end = end_of_quoted(text, i);
      out.insert(unquote(text.substr(i, end - i + 1)));
      i = end;
    } else if (c == '\'') {
      i = end_of_quoted(text, i);
    } else if (is_word(c)) {
      auto begin = i;
      while (i < text.size() && is_word(text[i]))
        ++i;
      out.emplace(text.substr(begin, i - begin));
      --i;
    }
  }
  return out;
}

std::string_view ttl_of(std::string_view engine_full) {
  constexpr std::string_view keyword = " TTL ";
  auto begin = find_clause(engine_full, keyword);
  if (begin == std::string_view::npos)
    return {};
  auto out = engine_full.substr(begin + keyword.size());
  return out.substr(0, find_clause(out, " SETTINGS "));
}

bool has_version_arguments(std::string_view engine_full) {
  auto begin = engine_full.find('(');
  if (begin == std::string_view::npos)
    return false;
  auto end = begin;
  for (; end < engine_full.size() && engine_full[end] != ')'; ++end)
    if (engine_full[end] == '\'')
      end = end_of_quoted(engine_full, end);
  auto xs = elements(engine_full.substr(begin + 1, end - begin - 1));
  return xs.size() >= 2 && unquote(xs[xs.size() - 2]) == "_version"
         && unquote(xs.back()) == "_deleted";
}

std::map<std::string, std::string> column_ttls(std::string_view statement) {
  std::map<std::string, std::string> out;
  // The first bracket, and the one that closes it.
  auto begin = statement.size();
  auto end = statement.size();
  int depth = 0;
  for (size_t i = 0; i < end; ++i) {
    auto c = statement[i];
    if (c == '`' || c == '"' || c == '\'')
      i = end_of_quoted(statement, i);
    else if (c == '(' && depth++ == 0)
      begin = i + 1;
    else if (c == ')' && --depth == 0)
      end = i;
  }
  if (begin > end)
    return out;
  for (auto& definition : elements(statement.substr(begin, end - begin))) {
    constexpr std::string_view keyword = " TTL ";
    auto at = find_clause(definition, keyword);
    if (at == std::string::npos)
      continue;
    auto quoted = definition.front() == '`' || definition.front() == '"';
    auto name = definition.substr(0, quoted ? end_of_quoted(definition, 0) + 1
                                            : definition.find(' '));
    auto ttl = definition.substr(at + keyword.size());
    out.emplace(unquote(name), ttl.substr(0, find_clause(ttl, " SETTINGS ")));
  }
  return out;
}

} // namespace millrace::clickhouse
