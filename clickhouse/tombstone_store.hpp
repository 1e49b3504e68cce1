#pragma once

#include "clickhouse/options.hpp"
#include "messages/ec.hpp"
#include "messages/lsn.hpp"
#include "messages/target_table.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace::clickhouse {

/// What a table has of tombstones that may go.
struct old_tombstones {
  /// They have a lower version: the one that was asked for, or that of the
  /// table's oldest open dead letter. A letter may be replayed while nothing
  /// newer is there for its key, so what is newer has to stay.
  version below;

  /// A dead letter keeps tombstones from going.
  bool held_by_letter = false;

  struct partition {
    std::string id;

    /// Rows and tombstones that lie there, replaced ones included.
    uint64_t rows = 0;
    uint64_t tombstones = 0;
  };

  /// Those with tombstones that may go.
  std::vector<partition> partitions;
};

/// Removes tombstones from target tables. Calls block; one thread at a time.
class tombstone_store {
public:
  virtual ~tombstone_store();

  /// Counts tombstones below a version; changes nothing.
  virtual result<old_tombstones> look(const target_table& x, version below) = 0;

  /// Merges a partition until one row of each key is left, then deletes its
  /// tombstones below `below`, and tells how many. Nothing is deleted unless
  /// the merge succeeded: an older row in another part would be back. The
  /// caller knows that nothing below `below` will ever be written again.
  virtual result<uint64_t>
  remove(const target_table& x, const std::string& partition, version below)
    = 0;
};

using tombstone_store_ptr = std::unique_ptr<tombstone_store>;

/// In the configured target. `stop` ends a running call within 100 ms.
tombstone_store_ptr
make_tombstone_store(target_options options, std::string pipeline,
                     std::shared_ptr<std::atomic<bool>> stop);

} // namespace millrace::clickhouse
