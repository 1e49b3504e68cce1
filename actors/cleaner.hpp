#pragma once

#include "actors/metrics.hpp"
#include "actors/unit.hpp"
#include "clickhouse/tombstone_store.hpp"
#include "messages/actors.hpp"
#include "messages/low_water_marks.hpp"
#include "transform/mapping.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace millrace {

/// What the user says about tombstones.
struct cleaner_options {
  /// A tombstone is kept for so long at least.
  std::chrono::milliseconds age{std::chrono::hours{168}};

  /// Between two looks.
  std::chrono::milliseconds interval{std::chrono::hours{1}};

  /// A partition is written anew when so much of it may go.
  uint32_t percent = 10;

  /// Microseconds since 1970 UTC.
  std::function<int64_t()> now = now_microseconds;
};

/// Whom the CLEANER asks.
struct cleaner_peers {
  source_agent_actor source;
  table_states_actor capture;
  router_actor router;
  state_store_actor store;
};

/// Removes old tombstones, one table after the other:
///
///   tick  -> ask how far back the slot can go; note it as a low-water mark,
///            durably; x = the highest mark that is older than the age
///   table -> is it streamed, and did its last snapshot end below x?
///            which partitions have enough tombstones below x?
///   partition -> wait until what was on its way is durable; ask again whether
///            the table is quiet; merge it, delete its tombstones below x
///
/// Right, because nothing below x is ever written once x is known: the slot
/// does not go back behind it, not even when the server crashes; a node that
/// was frozen for less than the age holds only what was not confirmed then;
/// snapshots have later labels, or ended before the mark; and dead letters that
/// may be replayed lower x (docs/decisions/0015). Merge and delete may then
/// come late, or twice.
///
/// Spawn it detached: it blocks while the target works. A failure puts the
/// table off; it never ends the unit.
struct cleaner_state {
  static inline const char* name = "cleaner";

  struct job {
    target_table_ptr table;
    std::shared_ptr<table_metrics> numbers;

    /// End of its last snapshot, as of when its tombstones were counted.
    lsn snapshot;
    version below;
    std::deque<std::string> partitions;
    uint64_t removed = 0;
  };

  /// When a table was first seen after the snapshot that ended there.
  struct sighting {
    lsn snapshot;
    int64_t since = 0;
  };

  /// A table that could not be cleaned is left alone for some rounds.
  struct put_off {
    uint64_t until = 0;
    uint64_t rounds = 0;
  };

  unit context;
  cleaner_options options;
  cleaner_peers to;
  transform::mapping_options mapping;
  clickhouse::tombstone_store_ptr target;

  low_water_marks marks;
  bool loaded = false;
  table_states_ptr quiet;
  std::map<std::string, sighting> sightings;
  std::map<std::string, put_off> failures;

  /// Tables whose dead letters have been mentioned.
  std::set<std::string> mentioned;
  uint64_t rounds = 0;

  /// Of this round.
  lsn settled;
  std::deque<table_description_ptr> todo;
  job current;
};

cleaner_actor::behavior_type
cleaner(cleaner_actor::stateful_pointer<cleaner_state> self, unit context,
        cleaner_options options, cleaner_peers peers,
        transform::mapping_options mapping,
        clickhouse::tombstone_store_ptr target);

} // namespace millrace
