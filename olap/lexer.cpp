#include "olap/lexer.hpp"

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

bool is_over(const token& t) {
  return t.type == token::kind::end || t.type == token::kind::unfinished;
}

} // namespace millrace::olap
