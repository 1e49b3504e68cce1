#pragma once

#include "messages/change_batch.hpp"
#include "messages/ec.hpp"
#include "postgres/options.hpp"
#include "postgres/pgoutput.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace millrace::postgres {

/// Who the server is (IDENTIFY_SYSTEM and friends).
struct source_identity {
  std::string system_identifier;
  uint32_t timeline = 0;
  lsn position;
  std::string database;
  int server_version = 0;
  /// A standby: its log ends where it has been replayed to.
  bool in_recovery = false;
};

/// One thing that is wrong, and what to do about it.
struct problem {
  ec code = ec::source_unsuitable;
  /// What is concerned: `public.orders`, `slot "shop"`, `wal_level`.
  std::string subject;
  /// What is wrong, one line.
  std::string text;
  /// What to run or to change, one line.
  std::string remedy;
  /// Whether millrace may run all the same.
  bool warning = false;
};

/// What the source looks like, without changing anything.
struct source_survey {
  source_identity identity;
  /// Tables that the patterns match and that can be followed.
  std::vector<table_description_ptr> tables;
  /// Patterns without `*` that match nothing yet: waited for.
  std::vector<std::string> missing;
  std::vector<problem> problems;
  /// Statements that `set_up` would run.
  std::vector<std::string> plan;
  bool slot_exists = false;
  lsn slot_confirmed;
  /// WAL that the slot holds back, in bytes.
  uint64_t slot_lag = 0;
};

/// What has to be known of the source before anything is made in it.
struct source_look {
  source_identity identity;
  /// As `source_admin::tables`.
  std::vector<table_description_ptr> tables;
  /// What stands in the way of set-up, all in one; `none` when nothing does.
  failure trouble;
};

/// The slot and the tables to stream, once everything is there.
struct source_start {
  source_identity identity;
  std::vector<table_description_ptr> tables;
  std::vector<std::string> missing;
  std::vector<std::string> publications;
  /// Whether this call created the slot.
  bool slot_created = false;
  /// Consistent point of a new slot, else its `confirmed_flush_lsn`.
  lsn start;
  /// What was done, one line each, for the log.
  std::vector<std::string> notes;
  /// What is not as it should be, though millrace runs all the same.
  std::vector<problem> warnings;
};

/// A page range of one table, half open; `last` 0 means to the end.
struct chunk {
  uint32_t first = 0;
  uint32_t last = 0;

  /// Of a partitioned table: the partition whose pages these are, and its
  /// filenode. 0: the table itself and the plan's.
  uint32_t partition = 0;
  uint32_t filenode = 0;
};

/// How a table will be read: fixed before the first chunk.
struct snapshot_plan {
  table_description_ptr table;
  lsn label;
  int64_t committed_at = 0;
  uint32_t filenode = 0;
  uint64_t row_estimate = 0;
  std::vector<chunk> chunks;

  /// The snapshot in which a table without key is read, exactly as of the
  /// label; it can be taken while the holder lives.
  std::string exported;
  std::shared_ptr<void> holder;
};

/// Ordinary SQL on the source: all that is not the stream. Every call blocks;
/// one thread at a time. A broken connection is made again by the next call.
class source_admin {
public:
  explicit source_admin(source_options options);
  ~source_admin();
  source_admin(const source_admin&) = delete;

  /// Looks at everything that set-up needs; changes nothing. A failure means
  /// that the server could not be asked at all.
  result<source_survey> survey();

  /// Creates publications and slot when they are missing, adds tables to
  /// millrace's own publications, and describes the tables. Problems that are
  /// not warnings are a failure that names all of them. `highest_start` zero:
  /// there has been no slot. Else there has been one, which was never told to
  /// move further: a missing one, or one that is further, is `slot_lost`.
  /// Making one waits for transactions that run; after 20 s of it the failure
  /// names them.
  result<source_start> set_up(lsn highest_start = {});

  /// Describes one table as the Relation message has it. Null when the
  /// configuration does not ask for the table, or when it has been dropped
  /// since: skip it. `table_unsuitable` when the catalogue of now disagrees
  /// with the message of then.
  result<table_description_ptr> describe(const relation& x);

  /// Tables that match the patterns now, and are published. Those that set-up
  /// would have to publish first come with OID 0.
  result<std::vector<table_description_ptr>> tables();

  /// Switch points: first LSN of each timeline after `timeline`.
  /// Used to tell a clean failover from a lossy one.
  result<std::optional<lsn>> end_of_timeline(uint32_t timeline);

  /// Where the server's log ends now (`pg_current_wal_insert_lsn`).
  result<lsn> current_position();

  /// WAL held back by the slot in bytes and whether the slot is in use.
  struct slot_state {
    uint64_t lag = 0;
    bool active = false;
    std::string wal_status;

    /// No commit before it can come again.
    lsn restart;
  };
  result<slot_state> slot();

  /// Plans the snapshot of a table under the given label: page ranges of
  /// about `chunk_bytes`, filenode, row estimate.
  result<snapshot_plan>
  plan(table_description_ptr table, lsn label, uint64_t chunk_bytes);

  /// IDs of transactions that may be in the log and not yet visible. Taken
  /// once after the labels are known; chunks wait until all have ended.
  result<std::vector<uint64_t>> running_transactions();
  /// Those of `xs` that still run.
  result<std::vector<uint64_t>> still_running(const std::vector<uint64_t>& xs);

  /// About how many bytes `fill_unchanged` would fill into each of the given
  /// changes (ascending indexes); values of a row that is gone have none. Reads
  /// no value that the server can tell the length of.
  result<std::vector<uint64_t>>
  unchanged_sizes(const change_batch& batch,
                  const std::vector<uint32_t>& changes);

  /// Fills unchanged TOAST cells of the given changes (indexes into
  /// `batch.changes`) by one SELECT by key for each table. A change whose row
  /// is gone becomes a delete of its key.
  result<change_batch_ptr> fill_unchanged(const change_batch& batch,
                                          const std::vector<uint32_t>& changes);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace millrace::postgres
