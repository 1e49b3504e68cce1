#pragma once

#include "actors/unit.hpp"
#include "messages/actors.hpp"

#include <caf/actor_clock.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <chrono>
#include <deque>
#include <memory>
#include <vector>

namespace millrace {

/// How a SINK collects rows.
struct sink_limits {
  size_t rows = 131'072;
  size_t bytes = 32 << 20;

  /// Smallest time between the starts of two inserts of a table.
  std::chrono::milliseconds flush_wait{20};

  /// The same while what comes is old anyway (a snapshot, catching up):
  /// larger inserts cost a fraction per row.
  std::chrono::milliseconds catch_up_wait{100};

  /// What is old does not wait longer than this for the next block: whoever
  /// sends may wait for us.
  std::chrono::milliseconds catch_up_quiet{30};

  /// Budget over all tables.
  double inserts_per_second = 50;
};

/// Number of sinks with something to write; shared by the sinks of a unit.
using active_sinks = std::shared_ptr<std::atomic<int>>;

/// Collects the blocks of one target table and writes them, one insert in
/// flight, or two while full ones are waiting:
///
///   block arrives   -> queue it; plan a flush
///   flush           -> take blocks up to the limits, send them to the POOL
///   insert answered -> answer those who sent the blocks; plan the next flush
///   insert refused for its rows -> each block again, alone; who sent the block
///                      that is refused learns it
///
/// An idle table's row is written at once; then inserts start at least
/// `flush_wait` apart, or further when the budget is shared by many tables. A
/// full insert never waits.
struct batching_sink_state {
  static inline const char* name = "batching-sink";
  using time_point = caf::actor_clock::time_point;

  struct queued {
    row_block_ptr block;
    caf::typed_response_promise<atom::ack> promise;

    /// No other block in its insert.
    bool alone = false;
  };

  unit context;
  std::shared_ptr<table_metrics> numbers;
  inserter_actor pool;
  sink_limits limits;
  active_sinks active;
  std::deque<queued> queue;
  size_t queued_rows = 0;
  size_t queued_bytes = 0;
  size_t inserting = 0;
  bool timer_set = false;
  bool urgent = false;
  bool is_active = false;

  /// When the last insert started, and when the last block came.
  time_point last_start;
  time_point last_block;

  ~batching_sink_state() {
    if (is_active)
      --*active;
  }
};

/// @param table full name of the source table, for the metrics.
sink_actor::behavior_type
batching_sink(sink_actor::stateful_pointer<batching_sink_state> self,
              unit context, std::string table, inserter_actor pool,
              sink_limits limits, active_sinks active);

} // namespace millrace
