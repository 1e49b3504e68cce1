#pragma once

#include "actors/capture.hpp"
#include "messages/source_state.hpp"

namespace millrace {

/// First step of CAPTURE's start; each step leads to the next one, the last to
/// `start_streaming`. A failure ends the actor.
void look_at_source(capture_actor::stateful_pointer<capture_state> self);

/// The stream is open.
void start_streaming(capture_actor::stateful_pointer<capture_state> self,
                     reader_ptr reader);

/// What is remembered of the source, but for the positions.
source_state identity_of(const capture_state& st);

} // namespace millrace
