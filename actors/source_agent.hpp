#pragma once

#include "actors/unit.hpp"
#include "messages/actors.hpp"
#include "postgres/source_admin.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <memory>

namespace millrace {

/// Asks the source by ordinary SQL, so that nobody else blocks. Spawn it
/// detached. Fails a request with what the server said and goes on; who asked
/// decides what that means.
struct source_agent_state {
  static inline const char* name = "source-agent";

  postgres::source_options options;
  std::unique_ptr<postgres::source_admin> admin;
  unit context;
};

source_agent_actor::behavior_type
source_agent(source_agent_actor::stateful_pointer<source_agent_state> self,
             unit context, postgres::source_options options,
             uint64_t chunk_bytes);

} // namespace millrace
