#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::http {

using parameter_list = std::vector<std::pair<std::string, std::string>>;

/// A request target, decoded.
struct target {
  std::string path;

  /// In the order in which they came, repeated names included.
  parameter_list parameters;

  /// First parameter of that name, or null.
  const std::string* find(std::string_view name) const;
};

/// Decodes `%41` and, when asked, `+`. A `%` that no two hex digits follow
/// stays as it is.
std::string percent_decode(std::string_view text, bool plus_is_blank);

/// Parses `a=1&b=x%20y`: a value is everything behind the first `=`.
parameter_list parse_parameters(std::string_view text);

/// Parses `/path?a=1`, also the absolute form `http://host/path?a=1`. A second
/// `?` belongs to the parameters.
target parse_target(std::string_view text);

} // namespace millrace::http
