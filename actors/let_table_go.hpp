#pragma once

#include "actors/logging.hpp"
#include "actors/metrics.hpp"
#include "actors/state_marks.hpp"

#include <string>
#include <utility>

namespace millrace {

/// Goes on without a table until its rows are taken again: says so, shows it,
/// and stores it. Calls `then` once that is durable; only then changes of the
/// table may be confirmed. The actor ends when it cannot be stored.
/// @param store a STATE STORE, or an actor that is one too.
template <class Self, class Store, class F>
void let_table_go(Self self, const Store& store, table_metrics& numbers,
                  const std::string& why, F then) {
  spdlog::error("table {} is quarantined, its changes are not written: {}",
                numbers.name, why);
  numbers.quarantine(why);
  self
    ->request(store, caf::infinite, atom::save_v,
              quarantine_mark(numbers.name, why))
    .then([then = std::move(then)](atom::ack) { then(); }, quit_on_error(self));
}

} // namespace millrace
