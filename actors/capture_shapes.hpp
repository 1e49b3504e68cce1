#pragma once

#include "actors/capture_tables.hpp"

#include <functional>
#include <string>
#include <vector>

namespace millrace {

/// Compares a table as the catalogue has it now with what is remembered of it.
/// When rows from before may differ from what the log has told, notes that its
/// rows have to be taken again. Calls `then` once that is durable: only then
/// rows of the new shape may go on.
void look_at_shape(capture_ptr self, const table_description_ptr& table,
                   std::function<void()> then);

/// Notes that the table's rows have to be taken again, durably, by a snapshot
/// with a label not before `at`; `then` is called after that. The next look for
/// tables orders it.
void note_outdated(capture_ptr self, const std::string& table,
                   const std::string& why, lsn at, std::function<void()> then);

/// The stream has rows of a shape that the catalogue does not have any more.
/// They are passed over, and the table is taken again under a label behind
/// them. Calls `then` when the stream may go on.
void pass_over_shape(capture_ptr self, const relation_ptr& shape,
                     const caf::error& why, std::function<void()> then);

/// Those of the tables that have to be taken again now: of which it is noted,
/// or which have another shape, or more partitions. Shapes that make no
/// difference are remembered, and added to what is to be stored. A table whose
/// changes the stream does not carry, and which has some, is let go.
std::vector<table_description_ptr>
outdated_tables(capture_ptr self, const std::vector<table_description_ptr>& now,
                state_map& changes);

/// What is remembered of a table that is taken again as it is now. Adds that to
/// what is to be stored: it is noted no more.
/// @param whole all of it, also if only some partitions are new.
table_state taken_again(capture_state& st, const table_description& table,
                        bool whole, state_map& changes);

/// A snapshot of the whole table is complete, and what is remembered of the
/// table is that: it may have been what was noted meanwhile.
void table_taken(capture_ptr self, const std::string& table,
                 std::function<void()> then);

} // namespace millrace
