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

/// Tables without rows; whoever gets them makes the target tables.
change_batch_ptr announcement(const std::vector<table_description_ptr>& tables);

/// Orders the snapshots of all tables that have not been taken, and shows it.
void order_snapshots(capture_ptr self,
                     const std::vector<table_description_ptr>& tables);

/// Takes in tables that have appeared since and match the configuration.
void look_for_tables(capture_ptr self);

/// Goes on without the table. Calls `then` once that is remembered, so that
/// its changes may be confirmed: whoever starts next takes the table again.
void let_go(capture_ptr self, const std::string& table, const caf::error& why,
            std::function<void()> then);

} // namespace millrace
