#include "actors/capture_shapes.hpp"

#include "actors/setup.hpp"
#include "actors/state_marks.hpp"

#include <algorithm>

namespace millrace {

namespace {

// So many shapes in a row that the catalogue does not have are no coincidence.
constexpr size_t max_passed_over = 20;

void save(capture_ptr self, state_map&& changes, std::function<void()> then) {
  self
    ->request(self->state.to.store, caf::infinite, atom::save_v,
              state_map_ptr{std::make_shared<state_map>(std::move(changes))})
    .then([then = std::move(then)](atom::ack) { then(); }, quit_on_error(self));
}

// Null when nothing is remembered of this very table.
table_state* find(capture_state& st, const table_description& table) {
  auto i = st.tables.find(table.full_name());
  if (i == st.tables.end() || i->second.at == table_state::phase::dropped
      || i->second.oid != table.oid || !table.shape)
    return nullptr;
  return &i->second;
}

bool adopt(capture_state& st, table_state& x, const table_description& table) {
  // Whoever takes a snapshot writes the state meanwhile.
  if (!table.shape->is_known() || st.snapshots.count(table.full_name()) != 0)
    return false;
  auto next = successor(x.shape, *table.shape);
  if (next == x.shape)
    return false;
  x.shape = std::move(next);
  return true;
}

// Without snapshots the target has no more than what the log has told.
void tell_outdated(capture_state& st, const std::string& table,
                   const std::string& why) {
  spdlog::warn("table {}: {}; rows from before are not taken again because of "
               "[source] snapshot = \"never\"",
               table, why);
  st.context.numbers->table(table)->note("rows from before may differ: " + why);
}

} // namespace

void look_at_shape(capture_ptr self, const table_description_ptr& table,
                   std::function<void()> then) {
  auto& st = self->state;
  auto* x = find(st, *table);
  if (x == nullptr) {
    then();
    return;
  }
  auto name = table->full_name();
  auto why = why_outdated(x->shape, *table->shape);
  if (!why.empty() && st.options.snapshot) {
    note_outdated(self, name, why, st.reader->received(), std::move(then));
    return;
  }
  if (!why.empty())
    tell_outdated(st, name, why);
  if (adopt(st, *x, *table))
    save(self, {{{state_kind::table, name}, to_json(*x)}}, [] {});
  then();
}

void note_outdated(capture_ptr self, const std::string& table,
                   const std::string& why, lsn at, std::function<void()> then) {
  auto& mark = self->state.outdated[table];
  if (mark.why.empty())
    mark.why = why;
  mark.at = std::max(mark.at, at);
  save(self, {{{state_kind::retake, table}, mark.why}},
       [self, then = std::move(then)] {
         then();
         look_for_tables(self);
       });
}

void pass_over_shape(capture_ptr self, const relation_ptr& shape,
                     const caf::error& why, std::function<void()> then) {
  auto& st = self->state;
  auto name = shape->schema + "." + shape->name;
  auto& passed = st.passed_over[name];
  // One of several that were gone when the catalogue was looked at: the table
  // is being taken again already, under a label behind all of them.
  if (passed.end.value != 0 && st.reader->received() <= passed.end) {
    st.reader->skip_until(*shape, passed.end);
    then();
    return;
  }
  if (!st.options.snapshot || ++passed.times > max_passed_over) {
    let_go(self, name, why, [self, shape, then = std::move(then)] {
      self->state.reader->skip(*shape);
      then();
    });
    return;
  }
  // All that the log has of this shape lies before here: the catalogue, which
  // is asked once the transaction is visible, is ahead.
  auto pass = [self, shape, name, why, then = std::move(then)](lsn end) {
    self->state.passed_over[name].end = end;
    note_outdated(self, name, text_of(why), end, [self, shape, end, then] {
      self->state.reader->skip_until(*shape, end);
      then();
    });
  };
  self->request(st.to.source, caf::infinite, atom::position_v)
    .then(std::move(pass), quit_on_error(self));
}

std::vector<table_description_ptr>
outdated_tables(capture_ptr self, const std::vector<table_description_ptr>& now,
                state_map& changes) {
  auto& st = self->state;
  std::vector<table_description_ptr> result;
  for (const auto& table : now) {
    auto name = table->full_name();
    auto* x = find(st, *table);
    if (x == nullptr || st.snapshots.count(name) != 0
        || is_quarantined(st, name))
      continue;
    auto noted = st.outdated.find(name);
    auto why = noted != st.outdated.end()
                 ? noted->second.why
                 : why_outdated(x->shape, *table->shape);
    if (!why.empty() && st.options.snapshot) {
      spdlog::warn("table {} is taken again: {}", name, why);
      result.push_back(table);
    } else {
      if (!why.empty())
        tell_outdated(st, name, why);
      if (adopt(st, *x, *table))
        changes[{state_kind::table, name}] = to_json(*x);
    }
  }
  return result;
}

table_state taken_again(capture_state& st, const table_description& table,
                        state_map& changes) {
  auto name = table.full_name();
  auto result = replaced_table(table.oid);
  if (const auto* x = find(st, table)) {
    result.shape = successor(x->shape, *table.shape);
  } else if (table.shape) {
    result.shape = *table.shape;
  }
  if (st.outdated.erase(name) != 0)
    changes[{state_kind::retake, name}] = "";
  return result;
}

void table_taken(capture_ptr self, const std::string& table,
                 std::function<void()> then) {
  auto& st = self->state;
  // It was noted, and then planned anew, while its snapshot was taken.
  auto noted = st.outdated.find(table);
  if (noted == st.outdated.end() || st.tables[table].label < noted->second.at) {
    then();
    return;
  }
  st.outdated.erase(noted);
  save(self, {{{state_kind::retake, table}, ""}}, std::move(then));
}

} // namespace millrace
