#pragma once

#include "actors/unit.hpp"
#include "messages/actors.hpp"
#include "postgres/source_admin.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// Takes snapshots of tables, chunk by chunk, while the stream goes on:
///
///   order           -> plan: label, chunks; make the plan durable
///   plan durable    -> wait until the transactions have ended that may be in
///                      the log before the label and were not yet visible
///   none left       -> hand chunks to the READERS, table after table
///   chunk durable   -> remember it, so that a restart goes on from there
///   table rewritten -> plan again, under a later label
///   table locked    -> try again, visibly; the other tables go on
///   all durable     -> remove what is gone (a retake), remember the end,
///   answer
struct snapshotter_state {
  static inline const char* name = "snapshotter";

  struct job {
    snapshot_order order;
    table_state state;
    snapshot_plan_ptr plan;
    caf::typed_response_promise<lsn> promise;
    std::shared_ptr<table_metrics> numbers;
    std::deque<uint64_t> todo;

    /// Chunks at the readers.
    size_t open = 0;

    /// Grows with each plan; answers about an older one are dropped.
    uint64_t generation = 0;
    bool reading = false;
    bool saving = false;
    bool save_again = false;
    bool ending = false;

    /// Somebody has been asked whether the transactions still run.
    bool asking = false;
    xid_list_ptr awaited;
    uint64_t rows = 0;

    /// The source refused a chunk or a plan for now: the tick at which to try
    /// again, and after how many the time after that.
    size_t try_at = 0;
    size_t pause = 0;
    bool unplanned = false;

    /// It has an exported snapshot, or asks for one.
    bool exporting = false;

    /// All is read, and the stream has not passed the label.
    bool behind = false;
  };

  using job_ptr = std::shared_ptr<job>;

  struct reader_slot {
    snapshot_reader_actor reader;
    size_t open = 0;
  };

  unit context;
  source_agent_actor source;
  state_store_actor store;
  router_actor router;
  std::vector<reader_slot> readers;
  std::vector<job_ptr> jobs;
  bool ticking = false;
  size_t ticks = 0;
};

snapshotter_actor::behavior_type
snapshotter(snapshotter_actor::stateful_pointer<snapshotter_state> self,
            unit context, source_agent_actor source, state_store_actor store,
            router_actor router, std::vector<snapshot_reader_actor> readers);

} // namespace millrace
