#pragma once

#include "actors/capture.hpp"

namespace millrace {

using capture_ptr = capture_actor::stateful_pointer<capture_state>;

/// Everything read up to here is durable: the slot may move, once the state
/// store knows that it may. At most one such entry is written a second, so that
/// the slot may stay behind by that much; replays are harmless.
///
/// A slot that is further than the store says has been moved, or made anew, by
/// somebody else: what came in between is missing.
void confirm(capture_ptr self, lsn position);

/// Looks for tables that have been let go: with `hold` the slot waits for them.
/// To be called before a change of theirs may count as durable.
void note_held(capture_ptr self);

/// The table is taken again, or gone, and that is remembered.
void release(capture_state& st, const std::string& table);

/// A position without rows of its own: it waits for all that is in flight.
void note_position(capture_ptr self, lsn position);

/// Moves the low-water mark over what is durable at the front.
void advance(capture_ptr self);

/// To be called once a second.
void confirm_what_waits(capture_ptr self);

/// Ends the actor once nothing is in flight and nothing waits to be confirmed.
void quit_when_done(capture_ptr self);

/// Shows how much is in flight, and since when.
void show_in_flight(capture_state& st);

} // namespace millrace
