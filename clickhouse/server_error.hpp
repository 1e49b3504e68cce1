#pragma once

#include "messages/ec.hpp"

#include <string>
#include <string_view>

namespace millrace::clickhouse {

/// What an answer of the server says about a failure.
struct server_error {
  /// ClickHouse's number; 0 when the answer is not ClickHouse's.
  int code = 0;

  /// The server's words: one line, without its version and prefixes.
  std::string text;
};

/// Reads `Code: N. DB::Exception: text (NAME) (version ...)`. `header_code` is
/// X-ClickHouse-Exception-Code, 0 without one.
server_error parse_error(std::string_view body, int header_code);

/// Finds an exception that the server wrote into the body of an answer which
/// had begun with 200. `tag` is X-ClickHouse-Exception-Tag, empty from older
/// servers. Without a tag, `text_format` says that row values cannot hold a
/// line end, so that the words of an exception at a line's beginning count.
/// The result's code is 0 when the body is whole.
server_error
find_late_error(std::string_view body, std::string_view tag, bool text_format);

/// Whether a later try may help, by the server's code, or by the HTTP status
/// where the answer is not ClickHouse's.
ec classify(const server_error& x, long http_status);

/// What an insert failed for that the server refuses for good: `rows_refused`
/// when it may be what is in the rows, `table_unsuitable` when it is the shape
/// of the table, else `target_unsuitable`.
ec blame_insert(int server_code);

/// What the user can do about it; empty when nothing better is known than what
/// the server says.
std::string_view remedy(const server_error& x, long http_status);

} // namespace millrace::clickhouse
