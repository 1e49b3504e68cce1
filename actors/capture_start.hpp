#pragma once

#include "actors/capture.hpp"

namespace millrace {

/// First step of CAPTURE's start; each step leads to the next one, the last to
/// `start_streaming`. A failure ends the actor.
void look_at_source(capture_actor::stateful_pointer<capture_state> self);

/// The stream is open.
void start_streaming(capture_actor::stateful_pointer<capture_state> self,
                     reader_ptr reader);

/// Stores the highest commit received, by which another server that takes over
/// is told from one that has lost something.
void remember_received(capture_actor::stateful_pointer<capture_state> self);

} // namespace millrace
