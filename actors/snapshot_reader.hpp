#pragma once

#include "actors/readiness_watch.hpp"
#include "actors/unit.hpp"
#include "messages/actors.hpp"
#include "postgres/chunk_reader.hpp"

#include <caf/actor_clock.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <deque>
#include <memory>

namespace millrace {

/// Limits of one SNAPSHOT READER.
struct snapshot_limits {
  /// Bytes that are read and not yet durable. Soft: one batch may overshoot.
  size_t window_bytes = 16 << 20;
  postgres::read_limits batch{16'384, 2 << 20};

  /// With a full window and no answer for so long, a chunk's transaction is
  /// ended, since it holds back vacuum and whoever wants to alter the table.
  /// The chunk is read again later; each time this is twice as long.
  std::chrono::milliseconds patience{5'000};
};

/// Where a SNAPSHOT READER reads; the seam that lets tests run without a
/// server. As `postgres::chunk_reader`.
class chunk_source {
public:
  virtual ~chunk_source() = default;
  virtual int fd() const = 0;
  virtual result<void>
  start(const postgres::snapshot_plan& plan, const postgres::chunk& x) = 0;
  virtual result<postgres::chunk_reader::outcome>
  read(const postgres::read_limits& limits) = 0;
  virtual result<void> finish() = 0;
  virtual void abandon() = 0;
};

using chunk_source_ptr = std::unique_ptr<chunk_source>;

chunk_source_ptr make_chunk_source(postgres::source_options options);

/// Reads chunks of snapshots, one after another, on one connection, never with
/// more than its window unanswered. Spawn it detached: a chunk begins and ends
/// with a round trip. A chunk's order is answered when all its rows are
/// durable; meanwhile the next one is read.
struct snapshot_reader_state {
  static inline const char* name = "snapshot-reader";

  /// A chunk with rows that are not yet durable.
  struct open_chunk {
    caf::typed_response_promise<uint64_t> promise;
    uint64_t rows = 0;
    size_t batches = 0;
    bool read = false;
  };

  struct waiting_order {
    chunk_order_ptr order;
    std::shared_ptr<open_chunk> chunk;

    /// How often it has been let go of.
    uint32_t abandoned = 0;
  };

  /// Takes what is in flight out of the sum of all readers.
  ~snapshot_reader_state() {
    if (context.numbers)
      context.numbers->snapshot_in_flight_bytes.add(
        -static_cast<int64_t>(in_flight_bytes));
  }

  unit context;
  snapshot_limits limits;
  router_actor router;
  chunk_source_ptr source;
  std::deque<waiting_order> orders;

  /// The front order has been started.
  bool started = false;

  /// A `readable` message is on its way.
  bool reading = false;
  size_t in_flight_bytes = 0;

  /// When the last batch was sent or answered.
  caf::actor_clock::time_point moved{};
  bool ticking = false;

  /// Destroyed first: its thread must not outlive the connection.
  std::unique_ptr<readiness_watch> watch;
  int watched_fd = -1;
};

snapshot_reader_actor::behavior_type snapshot_reader(
  snapshot_reader_actor::stateful_pointer<snapshot_reader_state> self,
  unit context, chunk_source_ptr source, router_actor router,
  snapshot_limits limits);

} // namespace millrace
