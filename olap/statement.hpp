#pragma once

#include "olap/db_error.hpp"

#include <cstddef>
#include <string>
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

/// What has to be done with a statement.
enum class statement_kind {
  /// Not enough of the text is there to say.
  incomplete,

  /// INSERT whose data follow in the text or after it.
  insert_data,

  /// SELECT, WITH or FROM: its result can be streamed.
  stream,

  /// KILL QUERY.
  kill_query,

  /// USE, SET: change the session.
  use,
  set,

  /// Anything else; runs as a whole.
  other,
};

/// A statement, taken apart. The views are of the text that was parsed.
struct statement {
  statement_kind kind = statement_kind::other;

  /// The statement; of an INSERT with data without FORMAT, VALUES and data.
  std::string_view sql;

  /// Of an INSERT: input format, empty when the statement has none. Of others:
  /// the FORMAT clause.
  std::string_view format;

  /// Of an INSERT with data: where they begin.
  size_t data_offset = 0;

  /// What we refuse: several statements, INTO OUTFILE, FROM INFILE (they would
  /// touch files of this machine, which a server's client never can), the
  /// commands of the command-line client.
  db_error error;
};

/// Takes `text` apart. `whole` tells that nothing follows it; else the answer
/// may be `incomplete`.
statement parse_statement(std::string_view text, bool whole);

/// Replaces the identifier `query_id` outside of strings by `replacement`.
std::string
replace_query_id(std::string_view sql, std::string_view replacement);

/// KILL QUERY WHERE cond [SYNC|ASYNC|TEST] [FORMAT f].
struct kill_statement {
  std::string_view condition;
  enum class mode { async, sync, test } how = mode::async;
  db_error error;
};

/// Takes a KILL QUERY statement apart.
kill_statement parse_kill(std::string_view sql);

} // namespace millrace::olap
