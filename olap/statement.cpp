#include "olap/statement.hpp"

#include <algorithm>

namespace millrace::olap {

namespace {

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
         || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || c < 0;
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

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

bool is_over(const token& t) {
  return t.type == token::kind::end || t.type == token::kind::unfinished;
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

} // namespace

bool token::is(std::string_view word) const {
  return type == kind::word && text.size() == word.size()
         && std::equal(text.begin(), text.end(), word.begin(),
                       [](char a, char b) { return upper(a) == b; });
}

token lexer::make(token::kind type, size_t size) {
  token t{type, text_.substr(pos_, size)};
  pos_ += t.text.size();
  return t;
}

bool lexer::skip_blanks() {
  while (pos_ < text_.size()) {
    auto c = text_[pos_];
    auto rest = text_.substr(pos_);
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      ++pos_;
    } else if (rest.starts_with("--") || rest.starts_with("#!")
               || rest.starts_with("# ")) {
      auto end = rest.find('\n');
      if (end == rest.npos) {
        pos_ = text_.size();
        return true;
      }
      pos_ += end + 1;
    } else if (rest.starts_with("/*")) {
      auto end = rest.find("*/", 2);
      if (end == rest.npos)
        return false;
      pos_ += end + 2;
    } else {
      break;
    }
  }
  return true;
}

token lexer::quoted(char mark, token::kind type) {
  for (auto i = pos_ + 1; i < text_.size(); ++i) {
    if (text_[i] == '\\') {
      ++i;
    } else if (text_[i] == mark) {
      if (i + 1 < text_.size() && text_[i + 1] == mark)
        ++i;
      else
        return make(type, i + 1 - pos_);
    }
  }
  return make(token::kind::unfinished, text_.size() - pos_);
}

token lexer::next() {
  if (!skip_blanks())
    return {token::kind::unfinished, text_.substr(pos_)};
  if (pos_ == text_.size())
    return {token::kind::end, {}};
  auto c = text_[pos_];
  if (c == '\'')
    return quoted('\'', token::kind::text);
  if (c == '"' || c == '`')
    return quoted(c, token::kind::name);
  if (c == '$') {
    auto tag_end = text_.find_first_not_of(
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
      pos_ + 1);
    if (tag_end != text_.npos && text_[tag_end] == '$') {
      auto tag = text_.substr(pos_, tag_end + 1 - pos_);
      auto end = text_.find(tag, tag_end + 1);
      if (end == text_.npos)
        return make(token::kind::unfinished, text_.size() - pos_);
      return make(token::kind::text, end + tag.size() - pos_);
    }
  }
  if (!is_word(c))
    return make(token::kind::punctuation, 1);
  auto end = pos_;
  while (end < text_.size() && is_word(text_[end]))
    ++end;
  return make(token::kind::word, end - pos_);
}

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
  // The rest: what must not be in it, and the last FORMAT outside of brackets.
  size_t depth = 0;
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
    else if (last.is("FORMAT") && depth == 0 && t.type == token::kind::word)
      x.format = t.text;
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
  return x;
}

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
    x.error = syntax_error("expected WHERE after KILL QUERY");
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
