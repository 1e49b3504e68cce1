#include "actors/capture_fill.hpp"

#include "actors/setup.hpp"
#include "actors/state_marks.hpp"

#include <algorithm>

namespace millrace {

namespace {

struct filling {
  change_batch_ptr batch;

  /// What has not been looked up.
  std::vector<uint32_t> unchanged;

  /// Table by table: one whose rows cannot be looked up any more must not hold
  /// up the others.
  std::vector<std::vector<uint32_t>> todo;
  std::function<void(change_batch_ptr)> then;
};

using filling_ptr = std::shared_ptr<filling>;

std::vector<std::vector<uint32_t>>
split_by_table(const change_batch& batch, const std::vector<uint32_t>& xs) {
  std::map<uint32_t, std::vector<uint32_t>> tables;
  for (auto i : xs)
    tables[batch.changes[i].table].push_back(i);
  std::vector<std::vector<uint32_t>> result;
  result.reserve(tables.size());
  for (auto& [_, changes] : tables)
    result.push_back(std::move(changes));
  return result;
}

bool became_delete(const change_batch& before, const change_batch& after,
                   const std::vector<uint32_t>& changes) {
  return std::any_of(changes.begin(), changes.end(), [&](uint32_t i) {
    return before.changes[i].op != after.changes[i].op;
  });
}

void fill_next(capture_ptr self, const filling_ptr& x);

// What follows in the batch may have to be filled now, too.
void look_again(capture_ptr self, const filling_ptr& x, uint32_t table) {
  auto more = to_fill(self->state, *x->batch, x->unchanged);
  std::erase_if(more, [&](uint32_t i) {
    return x->batch->changes[i].table != table;
  });
  if (!more.empty())
    x->todo.push_back(std::move(more));
  fill_next(self, x);
}

void rows_are_gone(capture_ptr self, const filling_ptr& x, uint32_t table) {
  self->request(self->state.to.source, caf::infinite, atom::position_v)
    .then(
      [self, x, table](lsn now) {
        raise_fill_until(self, x->batch->tables[table]->full_name(), now,
                         [self, x, table] { look_again(self, x, table); });
      },
      quit_on_error(self));
}

void fill_next(capture_ptr self, const filling_ptr& x) {
  if (x->todo.empty()) {
    x->then(std::move(x->batch));
    return;
  }
  change_list_ptr list
    = std::make_shared<std::vector<uint32_t>>(std::move(x->todo.back()));
  x->todo.pop_back();
  auto table = x->batch->changes[list->front()].table;
  self
    ->request(self->state.to.source, caf::infinite, atom::fill_v, x->batch,
              list)
    .then(
      [self, x, list, table](const change_batch_ptr& filled) {
        auto gone = became_delete(*x->batch, *filled, *list);
        x->batch = filled;
        std::erase_if(x->unchanged, [&](uint32_t i) {
          return std::binary_search(list->begin(), list->end(), i);
        });
        if (gone)
          rows_are_gone(self, x, table);
        else
          fill_next(self, x);
      },
      [self, x, table](const caf::error& err) {
        if (err != ec::table_unsuitable) {
          self->quit(err);
          return;
        }
        // The target may still have the values; what it has not goes to the
        // dead letters.
        spdlog::warn("cannot look up values of {} that the stream left out: {}",
                     x->batch->tables[table]->full_name(), render(err));
        fill_next(self, x);
      });
}

} // namespace

std::vector<uint32_t>
to_fill(const capture_state& st, const change_batch& batch,
        const std::vector<uint32_t>& unchanged) {
  std::vector<uint32_t> result;
  for (auto i : unchanged) {
    const auto& x = batch.changes[i];
    auto known = st.tables.find(batch.tables[x.table]->full_name());
    auto commit = batch.transactions[x.transaction].commit;
    if (known == st.tables.end() || commit < known->second.fill_until
        || x.op == operation::insert || x.old == old_row::key)
      result.push_back(i);
  }
  return result;
}

std::deque<postgres::read_outcome>
split_by_size(postgres::read_outcome&& x, const std::vector<uint64_t>& sizes,
              size_t most) {
  std::vector<uint32_t> cuts;
  uint64_t bytes = 0;
  for (size_t i = 0; i < x.with_unchanged.size(); ++i) {
    if (i > 0 && bytes + sizes[i] > most) {
      cuts.push_back(x.with_unchanged[i]);
      bytes = 0;
    }
    bytes += sizes[i];
  }
  std::deque<postgres::read_outcome> result;
  if (!cuts.empty()) {
    cuts.push_back(static_cast<uint32_t>(x.batch->changes.size()));
    uint32_t first = 0;
    for (auto last : cuts) {
      auto& piece = result.emplace_back();
      piece.batch = slice(*x.batch, first, last);
      for (auto i : x.with_unchanged)
        if (i >= first && i < last)
          piece.with_unchanged.push_back(i - first);
      first = last;
    }
    // The last piece ends where the whole ends.
    x.batch = std::move(result.back().batch);
    x.with_unchanged = std::move(result.back().with_unchanged);
    result.pop_back();
  }
  result.push_back(std::move(x));
  return result;
}

void fill_unchanged(capture_ptr self, change_batch_ptr batch,
                    std::vector<uint32_t> unchanged,
                    std::function<void(change_batch_ptr)> then) {
  auto todo = split_by_table(*batch, to_fill(self->state, *batch, unchanged));
  fill_next(self, std::make_shared<filling>(
                    filling{std::move(batch), std::move(unchanged),
                            std::move(todo), std::move(then)}));
}

void raise_fill_until(capture_ptr self, const std::string& table, lsn position,
                      std::function<void()> then) {
  auto& st = self->state;
  auto& raised = st.rows_gone[table];
  raised = std::max(raised, position);
  auto known = st.tables.find(table);
  // Until the end of a snapshot all is filled.
  if (known == st.tables.end()
      || known->second.at != table_state::phase::streaming
      || raised <= known->second.fill_until) {
    then();
    return;
  }
  known->second.fill_until = raised;
  state_map_ptr entry = std::make_shared<state_map>(
    state_map{{{state_kind::table, table}, to_json(known->second)}});
  self->request(st.to.store, caf::infinite, atom::save_v, std::move(entry))
    .then([then = std::move(then)](atom::ack) { then(); }, quit_on_error(self));
}

} // namespace millrace
