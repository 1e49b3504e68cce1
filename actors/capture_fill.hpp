#pragma once

#include "actors/capture_tables.hpp"

#include <functional>
#include <vector>

namespace millrace {

/// Those of `unchanged`, changes with values that the stream left out, that
/// only the source can fill: of rows that a snapshot may still bring, under a
/// new key, in an insert (a row filter makes one of an update). All others are
/// restored by the transformers.
std::vector<uint32_t>
to_fill(const capture_state& st, const change_batch& batch,
        const std::vector<uint32_t>& unchanged);

/// Cuts what was read so that the values that the stream left out of each piece
/// have at most `most` bytes, or are those of one change.
/// @param sizes bytes of the values, for each of `x.with_unchanged`.
std::deque<postgres::read_outcome>
split_by_size(postgres::read_outcome&& x, const std::vector<uint64_t>& sizes,
              size_t most);

/// Has the source fill in values, and calls `then` with the batch that has
/// them. A change whose row is gone by now becomes a delete of its key; later
/// changes up to now no longer find their values in the target then, so the
/// table's `fill_until` is raised, durably, before the batch goes on.
/// @param unchanged all changes of the batch with values that were left out.
void fill_unchanged(capture_ptr self, change_batch_ptr batch,
                    std::vector<uint32_t> unchanged,
                    std::function<void(change_batch_ptr)> then);

/// Raises the `fill_until` of a table whose snapshot is over. Calls `then`
/// once that is remembered.
void raise_fill_until(capture_ptr self, const std::string& table, lsn position,
                      std::function<void()> then);

} // namespace millrace
