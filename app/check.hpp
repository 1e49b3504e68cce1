#pragma once

#include "app/configuration.hpp"
#include "messages/ec.hpp"
#include "messages/target_table.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace millrace {

/// One thing that is wrong or worth knowing, and what to do about it.
struct finding {
  ec code = ec::none;

  /// Whether the node may run all the same.
  bool warning = false;

  /// What is concerned: `source`, `wal_level`, `public.orders`.
  std::string subject;
  std::string text;
  std::string remedy;
};

/// What a look at both servers brings.
struct preflight {
  /// Whether they could be asked at all.
  bool source_answers = false;
  bool target_answers = false;

  /// One line each, about the servers.
  std::vector<std::string> facts;
  std::vector<target_table_ptr> tables;

  /// Remarks by table, in the order of `tables`.
  std::vector<std::vector<std::string>> remarks;

  /// What `run` would do, one line each.
  std::vector<std::string> plan;
  std::vector<finding> findings;

  size_t errors() const;
  size_t warnings() const;
};

/// Looks at both servers and every table, and changes nothing. Blocks as long
/// as the servers take, at most their connection timeouts when they are away.
preflight look_before_start(const configuration& config);

/// For people.
void print(std::ostream& out, const configuration& config, const preflight& x);

/// The command `check`: exit code 0 ready, 1 problems.
int check(const configuration& config, std::ostream& out);

} // namespace millrace
