#pragma once

#include "messages/source_state.hpp"
#include "postgres/source_admin.hpp"

#include <string>

/// Whether the source is the one that the target was filled from. Failures are
/// `source_changed`, those of the slot `slot_lost`; each says what to do.
namespace millrace::postgres {

/// System identifier and database are those of before.
result<void>
judge_identity(const source_state& known, const source_identity& now);

/// The log goes beyond all that has been received. Not for a standby, whose log
/// ends where it has been replayed to.
/// @param highest commit received, or held by the target.
result<void> judge_log_end(const source_identity& now, lsn highest);

/// A new timeline has left the known one behind all that has been received.
/// @param end where the known timeline ended; zero: it has not.
result<void>
judge_switch_point(const source_state& known, const source_identity& now,
                   lsn end, lsn highest);

/// The slot is where it was left.
/// @param highest zero: there has been none; else it was never told to move
/// further.
result<void>
judge_slot(const std::string& slot, bool exists, lsn confirmed, lsn highest);

/// `highest` of a slot that has been there: a state of an earlier version does
/// not say.
inline lsn highest_start(const source_state& known) {
  return known.confirmable.value != 0 ? known.confirmable : lsn{UINT64_MAX};
}

} // namespace millrace::postgres
