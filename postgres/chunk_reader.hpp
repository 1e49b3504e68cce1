#pragma once

#include "messages/change_batch.hpp"
#include "messages/ec.hpp"
#include "postgres/options.hpp"
#include "postgres/replication_reader.hpp"
#include "postgres/source_admin.hpp"

#include <memory>

namespace millrace::postgres {

/// Reads chunks of snapshots by COPY on a connection of its own. Usage: `start`
/// a chunk, `read` until `done`, `finish`; then the next one. Only `start` and
/// `finish` block (a round trip). The chunk's transaction, and with it the lock
/// that holds a TRUNCATE off, lasts until `finish`: call it after the last
/// batch has been passed on.
class chunk_reader {
public:
  explicit chunk_reader(source_options options);
  ~chunk_reader();
  chunk_reader(const chunk_reader&) = delete;

  /// Readable when `read` may bring something; valid after `start`.
  int fd() const;

  /// `table_unsuitable` when the table is not the plan's any more (filenode
  /// changed, dropped): it has to be planned again. `source_failed` when
  /// somebody keeps it locked, with who: try again later.
  result<void> start(const snapshot_plan& plan, const chunk& x);

  struct outcome {
    change_batch_ptr batch;
    bool done = false;
    bool drained = false;
  };
  result<outcome> read(const read_limits& limits);

  result<void> finish();

  /// Lets go of the chunk at hand, its transaction and its lock. What has been
  /// read of it is right, and comes again when the chunk is read again.
  void abandon();

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace millrace::postgres
