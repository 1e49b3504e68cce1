#pragma once

#include "actors/capture.hpp"

#include <functional>
#include <string>
#include <vector>

namespace millrace {

using capture_ptr = capture_actor::stateful_pointer<capture_state>;

/// Logs what was done and what should be known; the latter stays with its
/// table.
void report(capture_state& st, const postgres::source_start& start);

/// Whether the table has been let go.
bool is_quarantined(const capture_state& st, const std::string& table);

/// Shows the tables that cannot be published yet.
void show_locked(capture_state& st, const postgres::source_start& start);

/// The table's quarantine is over: adds that to what is to be stored.
void clear_marks(const std::string& table, state_map& changes);

/// What is remembered of a table that is followed from now on.
table_state new_table(const capture_state& st, const table_description& table);

/// The same for one whose name has been followed before: it is taken in any
/// case, and what the target has from before goes.
table_state replaced_table(uint32_t oid);

/// Whether the table has not been followed yet: its name is not known, or was
/// that of another table.
bool is_new(const capture_state& st, const table_description& table);

/// Names of followed tables that are not among these: dropped, or not published
/// any more, or replaced by another of the same name.
std::vector<std::string>
gone_tables(const capture_state& st,
            const std::vector<table_description_ptr>& now);

/// Goes on without a table that is gone; its rows stay in the target. Adds to
/// what is to be stored.
void forget(capture_ptr self, const std::string& name, state_map& changes);

/// Takes a table again: its quarantine ends, a snapshot is ordered. Answers
/// once that is remembered.
caf::result<atom::ack> retake(capture_ptr self, const std::string& name);

/// Tables without rows; whoever gets them makes the target tables.
change_batch_ptr announcement(const std::vector<table_description_ptr>& tables);

/// Orders the snapshots of all tables that have not been taken, and shows it.
void order_snapshots(capture_ptr self,
                     const std::vector<table_description_ptr>& tables);

/// Takes in tables that have appeared since and match the configuration, and
/// lets go of those that are gone.
void look_for_tables(capture_ptr self);

/// Goes on without the table. Calls `then` once that is remembered, so that
/// its changes may be confirmed: whoever starts next takes the table again.
void let_go(capture_ptr self, const std::string& table, const caf::error& why,
            std::function<void()> then);

} // namespace millrace
