#pragma once

#include "olap/command.hpp"

#include <string>
#include <vector>

namespace millrace::olap {

/// Help for `millrace olap`.
const char* olap_help();

/// Reads what stands behind `millrace olap`. An error is one line for the user.
tl::expected<olap_options, std::string>
parse_olap_arguments(const std::vector<std::string>& args);

/// The whole command: reads the arguments, prints help when asked, serves.
/// Returns the exit code.
int olap_command(const std::vector<std::string>& args);

} // namespace millrace::olap
