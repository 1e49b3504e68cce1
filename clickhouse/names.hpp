#pragma once

#include <string>
#include <string_view>

namespace millrace::clickhouse {

/// An identifier in backticks; any bytes but the empty name are allowed.
std::string quote_name(std::string_view name);

/// `database`.`table`.
std::string quote_name(std::string_view database, std::string_view table);

/// A string literal; any bytes, binary zeros included.
std::string quote_literal(std::string_view text);

/// Adds the inside of a string literal to `out`.
void escape_literal(std::string& out, std::string_view text);

/// Bytes that a database or table name takes as a file name: all but letters,
/// digits and `_` are percent-escaped.
size_t escaped_size(std::string_view name);

/// Longest table name, in escaped bytes, that a database of this name allows.
size_t max_table_name(std::string_view database);

/// Text for an error line: without line ends, at most `limit` bytes, never cut
/// inside of a UTF-8 character.
std::string one_line(std::string_view text, size_t limit = 600);

} // namespace millrace::clickhouse
