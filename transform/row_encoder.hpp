#pragma once

#include "messages/change_batch.hpp"
#include "messages/row_block.hpp"
#include "transform/mapping.hpp"

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace millrace::transform {

/// A change that the target cannot hold.
struct rejected {
  /// Index in `change_batch::changes`.
  uint32_t change = 0;
  std::string error;
};

/// Turns changes of one table into a Native block: values by column, then
/// `_version`, `_deleted`, `_committed_at`. An update that changes the key
/// becomes a tombstone and a row; a delete a tombstone with type defaults in
/// all columns but the key. One virtual call a column and block, none a value.
class row_encoder {
public:
  row_encoder(target_table_ptr table, const server_limits& limits);
  ~row_encoder();
  row_encoder(const row_encoder&) = delete;

  struct outcome {
    /// Without the rejected changes; null when no row is left.
    row_block_ptr block;
    std::vector<rejected> rejects;

    /// Names of source columns that had a NULL although the description says
    /// that they have none: it is of another time than the rows. These are
    /// among the rejects.
    std::set<std::string> nulls;

    /// Values stored as the nearest end of the range, by target column.
    std::vector<uint64_t> saturated;
    uint64_t upserts = 0;
    uint64_t tombstones = 0;
  };

  /// `changes` are indexes into `batch.changes`, all of this encoder's table
  /// description. Cells marked `patched` are RowBinary slices of `patches`:
  /// `offset` is the index. Large values of the block stay where they are: in
  /// the batch or what the patches refer to, which `owner` keeps.
  outcome encode(const change_batch& batch, std::span<const uint32_t> changes,
                 const std::vector<cell>& cells,
                 std::span<const std::string_view> patches,
                 const std::shared_ptr<const void>& owner = nullptr);

  /// The key of a row in RowBinary, as `target_admin::read` wants it. Failure
  /// when a key value cannot be represented.
  result<std::string> key_of(const change_batch& batch, const cell* row);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// The change as JSON for the dead letters: {"before": ..., "after": ...}.
std::string event_json(const change_batch& batch, const change& x);

/// The key columns as a JSON object; empty for tables without key.
std::string key_json(const change_batch& batch, const change& x);

} // namespace millrace::transform
