#include "olap/kill_statement.hpp"

#include "olap/lexer.hpp"

namespace millrace::olap {

std::string
replace_query_id(std::string_view sql, std::string_view replacement) {
  std::string result;
  lexer in{sql};
  size_t copied = 0;
  for (auto t = in.next(); !is_over(t); t = in.next()) {
    auto bare = t.text;
    if (t.type == token::kind::name)
      bare = bare.substr(1, bare.size() - 2);
    auto is_name = t.type == token::kind::word || t.type == token::kind::name;
    if (!is_name || bare != "query_id")
      continue;
    auto begin = in.offset() - t.text.size();
    result.append(sql.substr(copied, begin - copied)).append(replacement);
    copied = in.offset();
  }
  result.append(sql.substr(copied));
  return result;
}

kill_statement parse_kill(std::string_view sql) {
  kill_statement x;
  lexer in{sql};
  in.next(); // KILL
  in.next(); // QUERY
  auto t = in.next();
  if (t.is("ON")) {
    x.error = make_error(48, "NOT_IMPLEMENTED",
                         "KILL QUERY ON CLUSTER is not supported");
    return x;
  }
  if (!t.is("WHERE")) {
    x.error = make_error(62, "SYNTAX_ERROR",
                         "Syntax error: expected WHERE after KILL QUERY");
    return x;
  }
  auto begin = in.offset();
  auto end = sql.size();
  size_t depth = 0;
  for (auto before = begin;; before = in.offset()) {
    t = in.next();
    if (is_over(t))
      break;
    if (t.is_mark('(') || t.is_mark('['))
      ++depth;
    else if (t.is_mark(')') || t.is_mark(']'))
      depth -= depth > 0 ? 1 : 0;
    if (depth > 0)
      continue;
    auto ends = true;
    if (t.is("SYNC"))
      x.how = kill_statement::mode::sync;
    else if (t.is("TEST"))
      x.how = kill_statement::mode::test;
    else
      ends
        = t.is("ASYNC") || t.is("FORMAT") || t.is("SETTINGS") || t.is_mark(';');
    if (ends) {
      end = before;
      break;
    }
  }
  x.condition = sql.substr(begin, end - begin);
  return x;
}

} // namespace millrace::olap
