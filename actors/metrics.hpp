#pragma once

#include "actors/instruments.hpp"
#include "messages/change_batch.hpp"
#include "messages/lsn.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace millrace {

/// Microseconds since 1970-01-01 UTC, the unit of all times in here.
int64_t now_microseconds();

/// Where a table's snapshot stands.
enum class snapshot_phase : uint8_t {
  /// None was asked for, or the table was taken in an earlier run.
  none,
  /// Waits for transactions that are in the log and not yet visible.
  waiting,
  reading,
  /// All rows are durable.
  done,
};

const char* to_string(snapshot_phase x);

/// What is counted for one source table. Shared by the actors that handle the
/// table and the HTTP endpoint; every member function is thread safe and takes
/// at most an uncontended lock, so call them once a batch, not once a row.
class table_metrics {
public:
  explicit table_metrics(std::string name);
  table_metrics(const table_metrics&) = delete;

  /// `schema.name` of the source table.
  const std::string name;

  /// Changes passed on by the router, by `operation`.
  std::array<counter, 5> events;

  /// Rows that the target confirmed, tombstones included.
  counter rows_written;
  counter bytes_written;
  counter inserts;

  /// Inserts that were tried again.
  counter insert_retries;
  counter dead_letters;

  /// Old tombstones that were removed, and when last; 0: not in this run.
  counter tombstones_removed;
  gauge cleaned_at;

  /// Unchanged values that could not be restored from the target.
  counter enrichment_errors;

  /// A commit of the stream that touches the table came in.
  void received(lsn at, int64_t committed_at);

  /// All of the table's changes up to `at` are durable.
  void durable(lsn at, int64_t committed_at);

  /// Values stored as the nearest end of the range of their column's type.
  void saturated(const std::string& column, uint64_t values);

  /// The table stopped for good, and why; empty takes it back.
  void quarantine(std::string why);

  /// What a user should know although the table is followed ("inserts only:
  /// ..."); empty takes it back.
  void note(std::string text);

  /// A snapshot begins or goes on: what is durable of it already counts too.
  void snapshot_planned(uint64_t row_estimate, uint64_t chunks,
                        uint64_t chunks_durable, uint64_t rows_durable);
  void snapshot_reading();

  /// A chunk of `rows` rows is durable.
  void snapshot_chunk(uint64_t rows);
  void snapshot_done();

  /// All of it at one moment.
  struct view {
    lsn received;
    lsn durable;
    int64_t received_commit = 0;
    int64_t durable_commit = 0;
    double lag_seconds = 0;
    std::map<std::string, uint64_t> saturated;
    std::string quarantine;
    std::string note;
    snapshot_phase phase = snapshot_phase::none;
    uint64_t rows = 0;
    uint64_t row_estimate = 0;
    uint64_t chunks = 0;
    uint64_t chunks_durable = 0;
    int64_t started = 0;
    int64_t ended = 0;
    /// Rows a second of this run; time left is -1 when unknown.
    double rows_per_second = 0;
    double seconds_left = -1;
  };

  view look(int64_t now) const;

private:
  mutable std::mutex mutex_;
  view state_;
  /// Commit time of the oldest change that is not durable; 0 without one.
  int64_t pending_ = 0;
  uint64_t rows_at_start_ = 0;
};

/// What the pipeline as a whole does.
enum class pipeline_state : uint8_t {
  starting,
  snapshotting,
  streaming,
  stopping,
  failed,
};

const char* to_string(pipeline_state x);

/// What is known of the replication slot.
struct slot_report {
  /// WAL that it holds back, in bytes.
  uint64_t lag = 0;
  bool active = false;
  /// reserved, extended, unreserved, lost; empty before it was asked.
  std::string wal_status;
};

/// All that a node counts and says about itself. Made once for a process and
/// shared by pointer, so that counters outlive restarts of the pipeline.
class metrics {
public:
  metrics(std::string pipeline, std::string version);
  metrics(const metrics&) = delete;

  const std::string pipeline;
  const std::string version;
  const int64_t started;

  /// The table's counters, made when first asked for. Look it up once.
  std::shared_ptr<table_metrics> table(const std::string& full_name);

  /// Whether the table is quarantined; one without counters is not.
  bool is_quarantined(const std::string& full_name) const;

  /// Seconds that the transformation of one batch took, by flow (a table's
  /// full name, later a view's). Look it up once.
  std::shared_ptr<histogram> flow(const std::string& name);

  /// From the commit in the source to the target's answer, in seconds; one
  /// value a block, of its oldest commit.
  histogram commit_to_visible;
  histogram insert_seconds;
  histogram insert_rows;

  /// Bytes that were read and are not yet durable, and the window for them.
  gauge in_flight_bytes;
  gauge window_bytes;
  gauge snapshot_in_flight_bytes;
  gauge snapshot_window_bytes;

  counter restarts;

  /// Positions as `lsn::value`. Confirmed: what the source was told.
  gauge server_position;
  gauge received_position;
  gauge durable_position;
  gauge confirmed_position;

  /// Commit times of the last transaction received, and of the last that is
  /// durable with all before it.
  gauge received_commit;
  gauge durable_commit;

  /// Commit time of the oldest transaction that is not durable; 0 without one.
  gauge oldest_pending_commit;

  /// To be called about every second by the pipeline's supervisor: a process
  /// in which nothing moves is not healthy.
  void beat();

  void set_state(pipeline_state x, std::string reason = {});

  /// Something outside holds the pipeline up: `whom` is "source", "target", or
  /// a name of one's own ("transactions", "public.orders"). Shown until
  /// `resumes`; the first two make the node not ready.
  void waits(const std::string& whom, std::string why);
  void resumes(const std::string& whom);

  /// The last error that restarted or stopped something, one line.
  void set_error(std::string text);
  void set_slot(slot_report x);

  struct waiting {
    std::string why;
    int64_t since = 0;
  };

  struct view {
    pipeline_state state = pipeline_state::starting;
    std::string reason;
    int64_t since = 0;
    std::map<std::string, waiting> waits;
    std::string error;
    int64_t error_at = 0;
    slot_report slot;
    double lag_seconds = 0;
    uint64_t lag_bytes = 0;
    int64_t heartbeat = 0;
    std::vector<std::shared_ptr<table_metrics>> tables;
    std::vector<std::pair<std::string, std::shared_ptr<histogram>>> flows;
  };

  view look(int64_t now) const;

private:
  mutable std::mutex mutex_;
  view state_;
  gauge heartbeat_;
  std::map<std::string, std::shared_ptr<table_metrics>> tables_;
  std::map<std::string, std::shared_ptr<histogram>> flows_;
};

/// Whether the node is well, and what speaks against it, one line each.
struct verdict {
  bool ok = true;
  std::vector<std::string> reasons;
};

/// The process works: it has not failed, and its supervisor moves.
verdict healthy(const metrics& xs, int64_t now = now_microseconds());

/// It streams or takes snapshots, nothing outside holds it up, it lags less
/// than `limit`, and no table is quarantined.
verdict ready(const metrics& xs, std::chrono::nanoseconds limit,
              int64_t now = now_microseconds());

/// What it does in a few words: `streaming`, `waiting for target: ...`.
std::string summary(const metrics::view& x);

/// Prometheus' text format, version 0.0.4.
std::string to_prometheus(const metrics& xs, int64_t now = now_microseconds());

/// One JSON object: what `millrace status` shows.
std::string to_json(const metrics& xs, std::chrono::nanoseconds ready_lag,
                    int64_t now = now_microseconds());

} // namespace millrace
