#pragma once

#include "messages/ec.hpp"
#include "messages/lsn.hpp"

#include <cstdint>
#include <string>

namespace millrace {

/// Who the source is, under ("source", "identity") in the state store.
struct source_state {
  std::string system_identifier;
  uint32_t timeline = 0;
  std::string database;

  /// Highest commit received, as of the last time that something became
  /// confirmable.
  lsn received;

  /// The slot has never been told to move further. Zero: not known, written by
  /// a version that did not keep it.
  lsn confirmable;
};

/// @relates source_state
std::string to_json(const source_state& x);

/// @relates source_state
result<source_state> parse_source_state(const std::string& json);

} // namespace millrace
