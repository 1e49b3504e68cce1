#pragma once

#include <string>
#include <string_view>

namespace millrace::olap {

/// An error as ClickHouse's clients know it.
struct db_error {
  /// ClickHouse's number: 60 for UNKNOWN_TABLE.
  int code = 0;

  /// `Code: 60. DB::Exception: ... (UNKNOWN_TABLE)`, without the version.
  std::string text;

  explicit operator bool() const {
    return code != 0;
  }
};

/// Makes an error of our own: `name` is ClickHouse's name of the code.
db_error make_error(int code, std::string_view name, std::string_view text);

/// Code 394.
db_error query_cancelled();

/// Takes the code out of the engine's text; a text without one becomes
/// `Code: 1002. DB::Exception: ... (UNKNOWN_EXCEPTION)`.
db_error parse_error(std::string_view text);

/// HTTP status with which ClickHouse answers an error.
unsigned http_status(int code);

/// The text as it is sent: ends with `(version V)` and a newline.
std::string render(const db_error& x, std::string_view version);

} // namespace millrace::olap
