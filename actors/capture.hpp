#pragma once

#include "actors/readiness_watch.hpp"
#include "actors/unit.hpp"
#include "messages/actors.hpp"
#include "messages/source_state.hpp"
#include "postgres/replication_reader.hpp"
#include "postgres/source_admin.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace millrace {

/// What the user says about CAPTURE.
struct capture_options {
  /// Bytes that are read and not yet durable. Soft: one batch may overshoot.
  size_t window_bytes = 32 << 20;
  postgres::read_limits batch;

  /// Whether the slot waits for a table that has been let go.
  bool hold = false;

  /// Values that the stream left out are filled in for so many bytes at a
  /// time, or for one change.
  size_t fill_bytes = 8 << 20;

  /// Whether rows from before are wanted.
  bool snapshot = true;

  /// A stream that lags more than this is catching up: small batches are
  /// gathered for so long, since larger ones cost less.
  std::chrono::milliseconds lagging{1'000};
  std::chrono::milliseconds gather{20};
};

/// Whom CAPTURE talks to.
struct capture_peers {
  source_agent_actor source;

  /// Another one, for what may take a while: the stream does not wait for it.
  source_agent_actor surveyor;
  state_store_actor store;
  router_actor router;
  snapshotter_actor snapshotter;
};

/// Reads the slot and sends what it reads to the ROUTER:
///
///   start    -> compare the source with the one we know, load the state, set
///               the source up, announce the tables, remember them, open the
///               stream
///   readable -> read a batch; fill unchanged values that only the source
///               knows; send it on
///   answer   -> advance the low-water mark: the position up to which *all* is
///               durable; tell the source
///
/// Guarantee: a position is confirmed only after everything up to it is
/// durable in the target.
struct capture_state {
  static inline const char* name = "capture";

  /// Something that has been read and is not yet durable.
  struct sent_batch {
    size_t bytes = 0;

    /// May be confirmed once this and all before it are durable; 0: nothing.
    lsn complete;
    bool durable = false;

    /// Times of its first and its last commit.
    int64_t oldest_commit = 0;
    int64_t newest_commit = 0;
  };

  unit context;
  capture_options options;
  capture_peers to;

  state_map_ptr saved;
  source_look_ptr look;

  /// Tables that cannot be published yet, because somebody has locked them.
  std::set<std::string> locked;

  /// The source as the state has it, if it does.
  source_state known;
  source_start_ptr start;

  /// Known tables and what is remembered of them, by full name.
  std::map<std::string, table_state> tables;

  /// By table: up to where a row that the source should have filled was gone.
  std::map<std::string, lsn> rows_gone;

  /// Rows of a table have to be taken again: why, and behind which position.
  struct outdated_mark {
    std::string why;
    lsn at;
  };

  /// By full name.
  std::map<std::string, outdated_mark> outdated;

  /// Until when updates and deletes of a table without key may still be told
  /// that its snapshot has seen, by full name.
  std::map<std::string, std::chrono::steady_clock::time_point> settling;

  /// Shapes in a row that the catalogue did not have any more, and up to where
  /// they are passed over.
  struct passed_shapes {
    size_t times = 0;
    lsn end;
  };
  std::map<std::string, passed_shapes> passed_over;

  reader_ptr reader;

  /// In the order in which they were read; `first_sent` numbers the front.
  std::deque<sent_batch> sent;
  uint64_t first_sent = 0;
  size_t in_flight_bytes = 0;

  /// All up to here is durable; so far the slot may be moved; so far it is.
  lsn durable;
  lsn confirmable;
  lsn confirmed;

  /// Tables that were let go and for which the slot waits.
  std::set<std::string> held;

  /// Of an earlier run: the slot did not wait, so they lack rows.
  std::set<std::string> lacking;

  /// `confirmable` is being written; it has been since the last tick.
  bool raising = false;
  bool raised_in_tick = false;

  /// Whether a `readable` message is on its way.
  bool reading = false;

  /// Read, and worked off before more is: values that the stream left out are
  /// too large to be filled together.
  std::deque<postgres::read_outcome> pieces;

  /// Reading waits for an answer: a description, filled values.
  bool paused = false;

  /// Commit time of the newest change received, microseconds since 1970 UTC.
  int64_t newest_commit = 0;

  /// The reader holds rows back, and a `flush` for them is on its way.
  bool gathering = false;
  bool stopping = false;
  uint64_t ticks = 0;

  /// Tables whose snapshots have been ordered and are not complete.
  std::set<std::string> snapshots;
  lsn saved_received;
  bool looking_for_tables = false;

  /// Destroyed first: its thread must not outlive the reader.
  std::unique_ptr<readiness_watch> watch;
};

capture_actor::behavior_type
capture(capture_actor::stateful_pointer<capture_state> self, unit context,
        capture_options options, capture_peers peers);

} // namespace millrace
