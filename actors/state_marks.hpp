#pragma once

#include "messages/types.hpp"

#include <string>

namespace millrace {

/// Kinds of entries in the state store.
namespace state_kind {

constexpr const char* source = "source";
constexpr const char* table = "table";

/// Value: why the table was let go. Whoever starts next takes the table again.
constexpr const char* quarantine = "quarantine";

} // namespace state_kind

/// What the state store gets when a table is let go: durable before a change
/// that has not been written is confirmed.
inline state_map_ptr
quarantine_mark(const std::string& table, const std::string& why) {
  using map_type = std::remove_const_t<state_map_ptr::element_type>;
  return std::make_shared<map_type>(
    map_type{{{state_kind::quarantine, table}, why.empty() ? "?" : why}});
}

} // namespace millrace
