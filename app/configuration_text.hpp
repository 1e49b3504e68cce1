#pragma once

#include <caf/settings.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace millrace {

/// Content of a file; the error is what is wrong with it, without its name.
tl::expected<std::string, std::string> read_text(const std::string& path);

/// Parses CAF's configuration syntax. Adds a problem, with line and remedy, for
/// what CAF refuses (nothing is returned then), and for what it drops without
/// a word: entries given twice, brackets left open.
std::optional<caf::settings>
parse_config_text(std::string_view text, std::vector<std::string>& problems);

} // namespace millrace
