#pragma once

#include "actors/unit.hpp"
#include "clickhouse/target_admin.hpp"
#include "messages/actors.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <string>

namespace millrace {

/// Makes tables, keeps state, reads rows by key. Spawn it detached: its calls
/// block. A target that is away is waited for, visibly; any other failure is
/// the answer.
struct target_agent_state {
  static inline const char* name = "target-agent";

  unit context;
  transform::mapping_options mapping;
  std::unique_ptr<clickhouse::target_admin> admin;
  std::shared_ptr<transform::server_limits> limits;

  /// Source table by target table: the rows of two would become one.
  std::map<std::string, std::string> owners;

  /// Dead letters of a table that are open, at least; counted when the first
  /// ones come.
  std::map<std::string, uint64_t> open_letters;
  uint64_t max_letters = 0;

  /// Bytes of answers that somebody still holds.
  std::shared_ptr<std::atomic<size_t>> held
    = std::make_shared<std::atomic<size_t>>(0);

  /// Whether runs before this one put changes of a table aside; asked once.
  std::map<std::string, bool> had_letters;
};

/// @param limits is filled when the state is loaded.
/// @param max_letters open dead letters of a table before it is let go.
target_agent_actor::behavior_type
target_agent(target_agent_actor::stateful_pointer<target_agent_state> self,
             unit context, clickhouse::target_options options,
             transform::mapping_options mapping,
             std::shared_ptr<transform::server_limits> limits,
             uint64_t max_letters);

} // namespace millrace
