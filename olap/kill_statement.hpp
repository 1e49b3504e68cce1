#pragma once

#include "olap/db_error.hpp"

#include <string>
#include <string_view>

namespace millrace::olap {

/// Replaces the identifier `query_id` outside of strings by `replacement`.
std::string
replace_query_id(std::string_view sql, std::string_view replacement);

/// KILL QUERY WHERE cond [SYNC|ASYNC|TEST] [FORMAT f].
struct kill_statement {
  std::string_view condition;
  enum class mode { async, sync, test } how = mode::async;
  db_error error;
};

/// Takes a KILL QUERY statement apart.
kill_statement parse_kill(std::string_view sql);

} // namespace millrace::olap
