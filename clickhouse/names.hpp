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

/// Text for an error line: without line ends, at most `limit` bytes, never cut
/// inside of a UTF-8 character.
std::string one_line(std::string_view text, size_t limit = 600);

} // namespace millrace::clickhouse
