#pragma once

#include "messages/types.hpp"

#include <string>
#include <utility>

namespace millrace {

/// Kinds of entries in the state store.
namespace state_kind {

constexpr const char* source = "source";
constexpr const char* table = "table";

/// Value: why the table was let go. Whoever starts next takes the table again.
constexpr const char* quarantine = "quarantine";

/// What the CLEANER knows.
constexpr const char* cleaner = "cleaner";

/// Value: where the slot waits for a table that was let go while all its rows
/// were in the target. Whoever starts next need not take it again.
constexpr const char* held = "held";

/// Value: why the rows of the table have to be taken again, although it is
/// followed. Empty once that has been ordered.
constexpr const char* retake = "retake";

} // namespace state_kind

namespace state_marks {

/// The entry of who the source is: a `source_state`.
inline const std::pair<std::string, std::string> source{state_kind::source,
                                                        "identity"};

/// Below which positions nothing comes again: `low_water_marks`.
inline const std::pair<std::string, std::string> low_water{state_kind::cleaner,
                                                           "marks"};

} // namespace state_marks

/// What the state store gets when a table is let go: durable before a change
/// that has not been written is confirmed.
inline state_map_ptr
quarantine_mark(const std::string& table, const std::string& why) {
  return std::make_shared<state_map>(
    state_map{{{state_kind::quarantine, table}, why.empty() ? "?" : why}});
}

} // namespace millrace
