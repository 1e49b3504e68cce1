#pragma once

#include "clickhouse/client.hpp"

#include <string>
#include <string_view>

namespace millrace::clickhouse {

/// A server's URL, taken apart.
struct url_parts {
  /// Whether it can be used: http or https, without user, password and query.
  bool good = false;

  /// `scheme://host:port`, for texts. Never has a user or password.
  std::string label;

  /// Without query.
  std::string base;

  /// Whether the server is on this machine.
  bool loopback = false;
};

url_parts parse_url(const std::string& text);

/// Appends `?name=value&...`, percent-escaped.
void append_parameters(std::string& url, const parameters& xs);

/// @name What a statement does, for error texts after "cannot"
/// @{

/// `INSERT INTO a.b (...` -> `insert into "a.b"`.
std::string name_insert(std::string_view statement);

/// The first words of a statement: no literals, they may hold values.
std::string name_query(std::string_view sql);
/// @}

} // namespace millrace::clickhouse
