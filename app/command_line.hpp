#pragma once

#include "app/dlq.hpp"
#include "olap/command.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <tl/expected.hpp>

namespace millrace {

/// What the program is asked to do.
enum class command : uint8_t {
  help,
  version,
  run,
  check,
  status,
  dlq,
  olap,
  snapshot,
};

/// @relates command
const char* to_string(command x);

/// A command with its arguments.
struct command_line {
  command what = command::help;

  /// Of `help`: the command to explain; `help` itself for all.
  command about = command::help;

  /// Of run, check, status, dlq, snapshot.
  std::string config_file;

  /// Of status.
  bool json = false;

  dlq_options dlq;
  /// Of snapshot: full name of the table.
  std::string table;

  olap::olap_options olap;
};

/// Reads the arguments without the program's name. An error is one line for
/// the user.
tl::expected<command_line, std::string>
parse_command_line(const std::vector<std::string>& args);

/// Help for a command, or for all of it.
std::string help_text(command about);

} // namespace millrace
