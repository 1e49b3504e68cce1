#include "clickhouse/table_fit.hpp"

#include "clickhouse/ddl.hpp"
#include "transform/clickhouse_type.hpp"

#include <algorithm>
#include <set>
#include <string_view>

namespace millrace::clickhouse {

namespace {

using names = std::set<std::string, std::less<>>;

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

/// The elements of `a, f(b, c), d`, also inside of brackets.
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

/// All words and quoted names of an expression, literals left out.
names identifiers(std::string_view text) {
  names out;
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

std::string_view ttl_of(std::string_view engine_full) {
  constexpr std::string_view keyword = " TTL ";
  auto begin = find_clause(engine_full, keyword);
  if (begin == std::string_view::npos)
    return {};
  auto out = engine_full.substr(begin + keyword.size());
  return out.substr(0, find_clause(out, " SETTINGS "));
}

/// The last two arguments of the engine.
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

std::string in_quotes(std::string_view x) {
  return '"' + std::string{x} + '"';
}

class comparison {
public:
  comparison(const target_options& options, const target_table& wanted,
             const existing_table& found)
    : options_(options), wanted_(wanted), found_(found) {
    for (auto& name : ddl::key_names(wanted))
      key_.insert(name);
  }

  table_fit run() {
    check_engine();
    check_keys();
    check_ttl();
    std::string before;
    for (auto& column : wanted_.columns) {
      check_column(column, before);
      before = column.name;
    }
    for (auto& column : ddl::added_columns(wanted_))
      check_added(column);
    if (!out_.problems.empty())
      out_.statements.clear();
    return std::move(out_);
  }

private:
  void problem(std::string text) {
    out_.problems.push_back(std::move(text));
  }

  const existing_table::column* find(std::string_view name) const {
    auto i = std::find_if(found_.columns.begin(), found_.columns.end(),
                          [name](auto& x) { return x.name == name; });
    return i != found_.columns.end() ? &*i : nullptr;
  }

  void check_engine() {
    constexpr std::string_view engine = "ReplacingMergeTree";
    std::string_view name = found_.engine;
    auto known = name == engine || name == "Replicated" + std::string{engine}
                 || name == "Shared" + std::string{engine};
    if (!known || !has_version_arguments(found_.engine_full))
      problem("its engine is " + found_.engine_full.substr(0, 80)
              + ", wanted is ReplacingMergeTree(_version, _deleted)");
  }

  void check_keys() {
    names sorted;
    for (auto& x : elements(found_.sorting_key))
      sorted.insert(unquote(x));
    for (auto& name : key_)
      if (sorted.find(name) == sorted.end())
        problem("its ORDER BY (" + found_.sorting_key
                + ") lacks the key column " + in_quotes(name)
                + ": rows would replace each other");
    for (auto& x : found_.columns) {
      if (key_.find(x.name) != key_.end())
        continue;
      if (x.in_sorting_key)
        problem("its ORDER BY uses column " + in_quotes(x.name)
                + ", which is not in the key");
      if (x.in_partition_key)
        problem("its PARTITION BY uses column " + in_quotes(x.name)
                + ", which is not in the key: deleted rows would come back");
    }
  }

  void check_ttl() {
    auto used = identifiers(ttl_of(found_.engine_full));
    for (auto& x : found_.columns)
      if (key_.find(x.name) == key_.end() && used.find(x.name) != used.end())
        problem("its TTL uses column " + in_quotes(x.name)
                + ", which is not in the key: deleted rows would come back");
  }

  void check_column(const target_column& x, const std::string& before) {
    auto old = find(x.name);
    if (old == nullptr) {
      if (!x.key)
        out_.statements.push_back(
          ddl::add_column(options_, wanted_, x, before));
      else
        problem("it has no column " + in_quotes(x.name) + ' ' + x.type
                + ", which is in the key");
      return;
    }
    if (!check_writable(*old))
      return;
    auto have = transform::parse_type(old->type);
    auto want = transform::parse_type(x.type);
    if (have && want && transform::fits(*have, *want))
      return;
    // ClickHouse cannot change the type of a column of ORDER BY.
    if (have && want && transform::widens(*have, *want) && !x.key) {
      out_.statements.push_back(ddl::modify_column(options_, wanted_, x));
      return;
    }
    problem("column " + in_quotes(x.name) + " is " + old->type + ", wanted is "
            + x.type);
  }

  void check_added(const ddl::added_column& x) {
    auto old = find(x.name);
    if (old == nullptr) {
      if (x.name == "_committed_at" || x.name == "_lsn")
        out_.statements.push_back(ddl::add_column(options_, wanted_, x));
      else
        problem("it has no column " + in_quotes(x.name) + ' ' + x.type);
      return;
    }
    if (x.name == "_lsn" || !check_writable(*old))
      return;
    if (old->type != x.type)
      problem("column " + in_quotes(x.name) + " is " + old->type
              + ", wanted is " + x.type);
  }

  bool check_writable(const existing_table::column& x) {
    if (x.default_kind.empty() || x.default_kind == "DEFAULT")
      return true;
    problem("column " + in_quotes(x.name) + " is " + x.default_kind
            + " and cannot be written");
    return false;
  }

  const target_options& options_;
  const target_table& wanted_;
  const existing_table& found_;
  names key_;
  table_fit out_;
};

} // namespace

table_fit fit(const target_options& options, const target_table& wanted,
              const existing_table& found) {
  return comparison{options, wanted, found}.run();
}

} // namespace millrace::clickhouse
