#include "actors/capture_shapes.hpp"

#include "actors/setup.hpp"
#include "actors/state_marks.hpp"

#include <algorithm>

namespace millrace {

namespace {

// So many shapes in a row that the catalogue does not have are no coincidence.
constexpr size_t max_passed_over = 20;

// What a server counts reaches its counters some seconds later.
constexpr auto time_to_settle = std::chrono::seconds{30};

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

bool has_key(const table_description& table) {
  return table.identity == table_identity::key;
}

std::string
why_other_rows(const table_state& x, const table_description& table) {
  auto why = why_outdated(x.shape, *table.shape);
  if (!why.empty() || has_key(table))
    return why;
  // Without a key only the whole table can be taken.
  auto added = added_heaps(x.shape, *table.shape);
  const auto& heaps = table.shape->heaps;
  auto attached = std::any_of(heaps.begin(), heaps.end(), [&](const auto& y) {
    return !y.born
           && std::find(added.begin(), added.end(), y.oid) != added.end();
  });
  return attached ? "a partition has been attached" : "";
}

// Partitions whose rows the log may not have told.
std::vector<uint32_t>
partitions_to_take(const capture_state& st, const table_state& x,
                   const table_description& table) {
  if (!st.options.snapshot || !has_key(table))
    return {};
  return added_heaps(x.shape, *table.shape);
}

// Rows of a table without key are updated or deleted, and the stream does not
// say so.
bool misses_edits(capture_ptr self, const table_state& x,
                  const table_description& table) {
  if (table.identity != table_identity::append_only || !x.shape.is_known())
    return false;
  const auto& settling = self->state.settling;
  auto i = settling.find(table.full_name());
  if (i != settling.end() && self->clock().now() < i->second)
    return false;
  return table.shape->edits > x.shape.edits;
}

void let_edited_go(capture_ptr self, const table_description& table,
                   const table_state& x) {
  auto name = table.full_name();
  auto why = "rows of it have been updated or deleted ("
             + std::to_string(table.shape->edits - x.shape.edits)
             + " times), and without a key the stream does not say which: give "
               "it one (ALTER TABLE ... ADD PRIMARY KEY, or a unique index and "
               "REPLICA IDENTITY USING INDEX) and drop the target table, or "
               "have it taken as it is: millrace snapshot --table "
             + name;
  let_go(self, name, caf::make_error(ec::table_unsuitable, why), [] {});
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
  auto why = why_other_rows(*x, *table);
  if (!why.empty() && st.options.snapshot) {
    note_outdated(self, name, why, st.reader->received(), std::move(then));
    return;
  }
  if (!why.empty())
    tell_outdated(st, name, why);
  if (!partitions_to_take(st, *x, *table).empty())
    look_for_tables(self);
  else if (table->shape->edits == x->shape.edits && adopt(st, *x, *table))
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
    auto why = noted != st.outdated.end() ? noted->second.why
                                          : why_other_rows(*x, *table);
    if (!why.empty() && st.options.snapshot) {
      spdlog::warn("table {} is taken again: {}", name, why);
      result.push_back(table);
    } else if (misses_edits(self, *x, *table)) {
      let_edited_go(self, *table, *x);
    } else if (why.empty() && !partitions_to_take(st, *x, *table).empty()) {
      spdlog::info("table {} has new partitions", name);
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
                        bool whole, state_map& changes) {
  auto name = table.full_name();
  auto result = replaced_table(table.oid);
  if (const auto* x = find(st, table)) {
    // A snapshot that was not at its end is one of all.
    if (!whole && st.outdated.count(name) == 0
        && x->at == table_state::phase::streaming
        && why_other_rows(*x, table).empty()) {
      result.only = partitions_to_take(st, *x, table);
      result.retake = result.only.empty();
    }
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
  st.settling[table] = self->clock().now() + time_to_settle;
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
