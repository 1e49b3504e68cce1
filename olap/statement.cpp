#include "olap/statement.hpp"

#include "olap/lexer.hpp"

namespace millrace::olap {

namespace {

db_error syntax_error(std::string_view text) {
  return make_error(62, "SYNTAX_ERROR", "Syntax error: " + std::string{text});
}

statement refuse(db_error error) {
  statement x;
  x.error = std::move(error);
  return x;
}

/// Walks behind a bracket that has just been read. False at the end of text.
bool skip_brackets(lexer& in) {
  for (size_t depth = 1; depth > 0;) {
    auto t = in.next();
    if (t.type == token::kind::end || t.type == token::kind::unfinished)
      return false;
    if (t.is_mark('(') || t.is_mark('[') || t.is_mark('{'))
      ++depth;
    else if (t.is_mark(')') || t.is_mark(']') || t.is_mark('}'))
      --depth;
  }
  return true;
}

/// Where the data of `... FORMAT x` begin: behind blanks and one line end.
size_t data_begin(std::string_view text, size_t pos) {
  while (pos < text.size()
         && (text[pos] == ' ' || text[pos] == '\t' || text[pos] == '\f'))
    ++pos;
  if (pos < text.size() && text[pos] == '\r')
    ++pos;
  if (pos < text.size() && text[pos] == '\n')
    ++pos;
  return pos;
}

/// Reads what follows the word INSERT. `other` if it brings no data.
statement parse_insert(lexer in, bool whole) {
  auto text = in.source();
  statement x;
  x.kind = statement_kind::insert_data;
  auto incomplete = [&] {
    x.kind = statement_kind::incomplete;
    return x;
  };
  auto other = [&] {
    x.kind = statement_kind::other;
    return x;
  };
  size_t before = 0;
  auto t = in.next();
  if (t.is("INTO"))
    t = in.next();
  if (t.is("TABLE"))
    t = in.next();
  auto function = t.is("FUNCTION");
  if (function)
    t = in.next();
  // The table's or function's name: parts with dots between them.
  for (;;) {
    if (is_over(t))
      return whole ? other() : incomplete();
    before = in.offset();
    t = in.next();
    if (!t.is_mark('.'))
      break;
    t = in.next();
  }
  // In any order what may stand before the data: arguments, columns, PARTITION
  // BY, SETTINGS. None of them has these words outside of brackets.
  for (;; before = in.offset(), t = in.next()) {
    if (t.type == token::kind::unfinished)
      return whole ? other() : incomplete();
    if (t.type == token::kind::end || t.is_mark(';')) {
      if (t.type == token::kind::end && !whole)
        return incomplete();
      x.sql = text.substr(0, before);
      x.data_offset = text.size();
      return x;
    }
    if (t.is_mark('(')) {
      auto peek = in;
      auto first = peek.next();
      if (first.is("SELECT") || first.is("WITH") || first.is_mark('('))
        return other();
      if (!skip_brackets(in))
        return whole ? other() : incomplete();
      continue;
    }
    if (t.is_mark('[') || t.is_mark('{')) {
      if (!skip_brackets(in))
        return whole ? other() : incomplete();
      continue;
    }
    if (t.is("SELECT") || t.is("WITH") || t.is("WATCH") || t.is("FROM")
        || t.is("EXPLAIN"))
      return other();
    if (t.is("VALUES")) {
      if (in.offset() == text.size() && !whole)
        return incomplete();
      x.sql = text.substr(0, before);
      x.format = "Values";
      x.data_offset = in.offset();
      return x;
    }
    if (t.is("FORMAT")) {
      auto name = in.next();
      auto begin = data_begin(text, in.offset());
      if (is_over(name) || begin == text.size()) {
        if (!whole)
          return incomplete();
        if (is_over(name))
          return other();
      }
      x.sql = text.substr(0, before);
      x.format = name.text;
      x.data_offset = begin;
      if (begin < text.size() && text[begin] == ';')
        x.error = syntax_error("You have excessive ';' symbol before data for "
                               "INSERT.");
      return x;
    }
  }
}

bool is_client_command(const token& t) {
  return t.is("EXIT") || t.is("QUIT") || t.is("LOGOUT") || t.is("Q");
}

/// Follows the tokens of a statement outside of brackets, to find its last
/// clause `FORMAT name`, which only SETTINGS may follow.
class format_finder {
public:
  void next(const token& t, size_t begin) {
    auto is_name = t.type == token::kind::word || t.type == token::kind::name;
    if (may_begin_ && is_name) {
      begin_ = last_begin_;
      name_ = t.text;
    } else if (ends_ && !t.is_mark(';') && !t.is("SETTINGS")) {
      begin_ = std::string_view::npos; // the name of a column or table
    }
    ends_ = may_begin_ && is_name;
    may_begin_ = !ends_ && !after_table_ && t.is("FORMAT");
    after_table_
      = t.is("FROM") || t.is("JOIN") || t.is_mark('.') || t.is_mark(',');
    last_begin_ = begin;
  }

  bool found() const {
    return begin_ != std::string_view::npos;
  }
  size_t begin() const {
    return begin_;
  }
  std::string_view name() const {
    auto quoted = name_.starts_with('`') || name_.starts_with('"');
    return quoted ? name_.substr(1, name_.size() - 2) : name_;
  }

private:
  size_t begin_ = std::string_view::npos;
  std::string_view name_;
  size_t last_begin_ = 0;
  bool may_begin_ = false;
  bool ends_ = false;
  bool after_table_ = false;
};

} // namespace

statement parse_statement(std::string_view text, bool whole) {
  lexer in{text};
  auto first = in.next();
  while (first.is_mark('('))
    first = in.next();
  statement x;
  if (is_over(first)) {
    if (!whole)
      x.kind = statement_kind::incomplete;
    else
      x.error = syntax_error("Empty query");
    return x;
  }
  if (!whole && in.offset() == text.size()) {
    x.kind = statement_kind::incomplete; // the word may go on
    return x;
  }
  if (first.is_mark('\\'))
    return refuse(syntax_error("failed at position 1 (\\)"));
  if (first.is("INSERT")) {
    x = parse_insert(in, whole);
    if (x.kind != statement_kind::other)
      return x;
  }
  if (!whole) {
    x.kind = statement_kind::incomplete;
    return x;
  }
  x.kind = statement_kind::other;
  x.sql = text;
  auto before = in.offset();
  auto second = in.next();
  if (is_client_command(first) && (is_over(second) || second.is_mark(';')))
    return refuse(
      syntax_error("failed at position 1 (" + std::string{first.text} + ")"));
  if (first.is("SELECT") || first.is("WITH") || first.is("FROM"))
    x.kind = statement_kind::stream;
  else if (first.is("USE"))
    x.kind = statement_kind::use;
  else if (first.is("SET"))
    x.kind = statement_kind::set;
  else if (first.is("KILL") && second.is("QUERY"))
    x.kind = statement_kind::kill_query;
  // The rest: what must not be in it, and its FORMAT clause.
  size_t depth = 0;
  format_finder format;
  token last = first;
  for (auto t = second; !is_over(t); before = in.offset(), t = in.next()) {
    if (t.is_mark('(') || t.is_mark('[') || t.is_mark('{'))
      ++depth;
    else if (t.is_mark(')') || t.is_mark(']') || t.is_mark('}'))
      depth -= depth > 0 ? 1 : 0;
    else if (last.is("INTO") && t.is("OUTFILE"))
      return refuse(make_error(344, "SUPPORT_IS_DISABLED",
                               "INTO OUTFILE is not allowed over HTTP"));
    else if (last.is("FROM") && t.is("INFILE"))
      return refuse(make_error(344, "SUPPORT_IS_DISABLED",
                               "FROM INFILE is not allowed over HTTP"));
    if (depth == 0)
      format.next(t, in.offset() - t.text.size());
    if (t.is_mark(';')) {
      x.sql = text.substr(0, before);
      if (!is_over(in.next()))
        return refuse(syntax_error("Multi-statements are not allowed"));
      break;
    }
    if (depth == 0 && t.is("INSERT"))
      x.kind = statement_kind::other; // WITH ... INSERT
    last = t;
  }
  x.output_offset = x.sql.size();
  if (format.found()) {
    x.format = format.name();
    x.output_offset = format.begin();
  }
  return x;
}

} // namespace millrace::olap
