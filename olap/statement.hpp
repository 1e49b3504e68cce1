#pragma once

#include "olap/db_error.hpp"

#include <cstddef>
#include <string_view>

namespace millrace::olap {

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

  /// Of others: where in `sql` the FORMAT clause begins; the end if there is
  /// none.
  size_t output_offset = 0;

  /// What we refuse: several statements, INTO OUTFILE, FROM INFILE (they would
  /// touch files of this machine, which a server's client never can), the
  /// commands of the command-line client.
  db_error error;
};

/// Takes `text` apart. `whole` tells that nothing follows it; else the answer
/// may be `incomplete`.
statement parse_statement(std::string_view text, bool whole);

} // namespace millrace::olap
