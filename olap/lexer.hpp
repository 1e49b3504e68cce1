#pragma once

#include <cstddef>
#include <string_view>

namespace millrace::olap {

/// A piece of SQL text as ClickHouse's lexer cuts it.
struct token {
  enum class kind {
    word,        ///< identifier, keyword or number
    name,        ///< "quoted" or `quoted` identifier
    text,        ///< 'string' or $tag$heredoc$tag$
    punctuation, ///< one other character
    end,         ///< nothing more
    unfinished,  ///< the text ends inside a string or comment
  };
  kind type = kind::end;
  std::string_view text;

  /// Whether it is the keyword `upper` (given in upper case).
  bool is(std::string_view upper) const;
  bool is_mark(char c) const {
    return type == kind::punctuation && text.front() == c;
  }
};

/// Cuts SQL text into tokens; leaves out blanks and comments.
class lexer {
public:
  explicit lexer(std::string_view text) : text_(text) {
    // nop
  }

  token next();

  /// Offset behind the last token.
  size_t offset() const {
    return pos_;
  }

  std::string_view source() const {
    return text_;
  }

private:
  bool skip_blanks();
  token quoted(char mark, token::kind type);
  token make(token::kind type, size_t size);

  std::string_view text_;
  size_t pos_ = 0;
};

/// Whether a text has no more tokens: its end, or an end inside a string.
bool is_over(const token& t);

} // namespace millrace::olap
