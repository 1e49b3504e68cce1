#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Reads what the server says of tables as text: expressions and clauses with
/// quoted names, literals and brackets.
namespace millrace::clickhouse {

using identifier_set = std::set<std::string, std::less<>>;

/// A name without its quotes.
std::string unquote(std::string_view text);

/// The elements of `a, f(b, c), d`, also inside of brackets.
std::vector<std::string> elements(std::string_view text);

/// All words and quoted names of an expression, literals left out.
identifier_set identifiers(std::string_view text);

/// TTL of the table, from system.tables.engine_full; empty without one.
std::string_view ttl_of(std::string_view engine_full);

/// Whether the engine's last two arguments are ours.
bool has_version_arguments(std::string_view engine_full);

/// TTL expressions by column, from a CREATE TABLE statement.
std::map<std::string, std::string> column_ttls(std::string_view statement);

} // namespace millrace::clickhouse
