#include "actors/cleaner.hpp"

#include "actors/setup.hpp"
#include "actors/state_marks.hpp"

#include <algorithm>
#include <utility>

namespace millrace {

namespace {

using cleaner_ptr = cleaner_actor::stateful_pointer<cleaner_state>;

constexpr uint64_t most_rounds_off = 64;

void next_table(cleaner_ptr self);
void next_partition(cleaner_ptr self);

void report(cleaner_state& st) {
  auto& x = st.current;
  auto removed = std::exchange(x.removed, 0);
  if (removed == 0)
    return;
  x.numbers->tombstones_removed.add(removed);
  x.numbers->cleaned_at.set(st.options.now());
  spdlog::info("{} old tombstones of {} removed: all below {}", removed,
               x.table->source->full_name(), to_string(lsn{x.below.major}));
}

void end_round(cleaner_ptr self) {
  auto& st = self->state;
  report(st);
  st.todo.clear();
  st.current = {};
  self->delayed_send(self, st.options.interval, atom::tick_v);
}

// Whoever was asked cannot tell now.
auto try_later(cleaner_ptr self) {
  return [self](const caf::error& why) {
    spdlog::debug("tombstones are not looked for now: {}", render(why));
    end_round(self);
  };
}

void put_off(cleaner_ptr self, const std::string& table, const failure& why) {
  auto& st = self->state;
  if (st.context.stopping())
    return;
  auto& x = st.failures[table];
  x.rounds = std::clamp(x.rounds * 2, uint64_t{1}, most_rounds_off);
  x.until = st.rounds + x.rounds;
  spdlog::warn("old tombstones of {} stay for now: {}", table, why.text);
}

// -- which tables -------------------------------------------------------------

// Nothing of its last snapshot can be on its way any more.
bool is_settled(const cleaner_state& st, const table_description& table,
                const table_state& x) {
  if (table.identity == table_identity::key)
    return x.fill_until == lsn{UINT64_MAX} ? x.label.value == 0
                                           : x.fill_until < st.settled;
  // Without a key nothing tells where the log was when its snapshot ended.
  auto seen = st.sightings.find(table.full_name());
  return seen != st.sightings.end()
         && st.options.now() - seen->second.since
              >= std::chrono::microseconds{st.options.age}.count();
}

bool may_be_cleaned(const cleaner_state& st, const table_description& table) {
  auto name = table.full_name();
  auto state = st.quiet->find(name);
  if (state == st.quiet->end() || state->second.oid != table.oid
      || !is_settled(st, table, state->second))
    return false;
  auto failed = st.failures.find(name);
  return failed == st.failures.end() || failed->second.until <= st.rounds;
}

void note_sightings(cleaner_state& st) {
  std::erase_if(st.sightings,
                [&](const auto& x) { return st.quiet->count(x.first) == 0; });
  for (const auto& [name, x] : *st.quiet) {
    auto& seen = st.sightings[name];
    if (seen.since == 0 || seen.snapshot != x.fill_until)
      seen = {x.fill_until, st.options.now()};
  }
}

// -- one table ----------------------------------------------------------------

void end_table(cleaner_ptr self) {
  report(self->state);
  next_table(self);
}

void remove(cleaner_ptr self) {
  auto& st = self->state;
  auto& x = st.current;
  auto name = x.table->source->full_name();
  auto partition = std::move(x.partitions.front());
  x.partitions.pop_front();
  auto removed = st.target->remove(*x.table, partition, x.below);
  if (!removed) {
    put_off(self, name, removed.error());
    end_table(self);
    return;
  }
  st.failures.erase(name);
  x.removed += *removed;
  next_partition(self);
}

// While it was waited for, a snapshot may have been ordered.
void remove_if_quiet(cleaner_ptr self) {
  self->request(self->state.to.capture, caf::infinite, atom::tables_v)
    .then(
      [self](const table_states_ptr& quiet) {
        auto& st = self->state;
        st.quiet = quiet;
        auto state = quiet->find(st.current.table->source->full_name());
        if (state == quiet->end()
            || state->second.fill_until != st.current.snapshot)
          end_table(self);
        else
          remove(self);
      },
      try_later(self));
}

void next_partition(cleaner_ptr self) {
  auto& st = self->state;
  if (st.current.partitions.empty() || st.context.stopping()) {
    end_table(self);
    return;
  }
  self
    ->request(st.to.router, caf::infinite, atom::flush_v,
              st.current.table->source->full_name())
    .then([self](atom::ack) { remove_if_quiet(self); }, try_later(self));
}

bool is_worth_it(const cleaner_state& st,
                 const clickhouse::old_tombstones::partition& x) {
  return x.tombstones * 100 >= x.rows * st.options.percent;
}

void mention_letters(cleaner_state& st, const std::string& table,
                     const clickhouse::old_tombstones& found) {
  if (!found.held_by_letter)
    st.mentioned.erase(table);
  else if (st.mentioned.insert(table).second)
    spdlog::info("tombstones of {} from {} on are kept: a dead letter of then "
                 "may still be replayed (millrace dlq)",
                 table, to_string(lsn{found.below.major}));
}

// Whether there is something to remove; then it has begun.
bool begin(cleaner_ptr self, const table_description_ptr& table) {
  auto& st = self->state;
  auto name = table->full_name();
  auto target = transform::map_table(table, st.mapping);
  if (!target)
    return false; // nothing is written to it
  auto found = st.target->look(**target, version{st.settled.value, 0});
  if (!found) {
    put_off(self, name, found.error());
    return false;
  }
  mention_letters(st, name, *found);
  st.current.table = std::move(*target);
  st.current.numbers = st.context.numbers->table(name);
  st.current.snapshot = st.quiet->at(name).fill_until;
  st.current.below = found->below;
  for (const auto& x : found->partitions)
    if (is_worth_it(st, x))
      st.current.partitions.push_back(x.id);
  if (st.current.partitions.empty())
    return false;
  next_partition(self);
  return true;
}

void next_table(cleaner_ptr self) {
  auto& st = self->state;
  while (!st.todo.empty() && !st.context.stopping()) {
    auto table = std::move(st.todo.front());
    st.todo.pop_front();
    st.current = {};
    if (may_be_cleaned(st, *table) && begin(self, table))
      return;
  }
  end_round(self);
}

// -- how far ------------------------------------------------------------------

void list_tables(cleaner_ptr self) {
  auto& st = self->state;
  st.settled = st.marks.settled(st.options.now(), st.options.age);
  note_sightings(st);
  if (st.settled.value == 0) {
    end_round(self);
    return;
  }
  self->request(st.to.source, caf::infinite, atom::tables_v)
    .then(
      [self](const table_list_ptr& tables) {
        self->state.todo.assign(tables->begin(), tables->end());
        next_table(self);
      },
      try_later(self));
}

void note_mark(cleaner_ptr self, lsn position) {
  auto& st = self->state;
  if (!st.marks.add(position, st.options.now(), st.options.age)) {
    list_tables(self);
    return;
  }
  state_map_ptr entry = std::make_shared<state_map>(
    state_map{{state_marks::low_water, to_json(st.marks)}});
  self->request(st.to.store, caf::infinite, atom::save_v, std::move(entry))
    .then([self](atom::ack) { list_tables(self); }, try_later(self));
}

// Marks of earlier runs: the age goes on over restarts.
void load_marks(cleaner_ptr self, lsn position) {
  auto& st = self->state;
  if (st.loaded) {
    note_mark(self, position);
    return;
  }
  self->request(st.to.store, caf::infinite, atom::read_v)
    .then(
      [self, position](const state_map_ptr& saved) {
        auto& st = self->state;
        st.loaded = true;
        auto i = saved->find(state_marks::low_water);
        if (i != saved->end()) {
          auto marks = parse_low_water_marks(i->second);
          if (marks)
            st.marks = std::move(*marks);
          else
            spdlog::warn("the age of tombstones counts from now on: {}",
                         marks.error().text);
        }
        note_mark(self, position);
      },
      try_later(self));
}

// Nothing is stored before CAPTURE streams: the state may be another node's.
void ask_for_tables(cleaner_ptr self, lsn position) {
  self->request(self->state.to.capture, caf::infinite, atom::tables_v)
    .then(
      [self, position](const table_states_ptr& quiet) {
        self->state.quiet = quiet;
        load_marks(self, position);
      },
      try_later(self));
}

void start_round(cleaner_ptr self) {
  auto& st = self->state;
  ++st.rounds;
  self->request(st.to.source, caf::infinite, atom::slot_v)
    .then(
      [self](const slot_state_ptr& x) { //
        ask_for_tables(self, x->restart);
      },
      try_later(self));
}

} // namespace

cleaner_actor::behavior_type
cleaner(cleaner_ptr self, unit context, cleaner_options options,
        cleaner_peers peers, transform::mapping_options mapping,
        clickhouse::tombstone_store_ptr target) {
  set_default_handlers(self);
  auto& st = self->state;
  st.context = std::move(context);
  st.options = std::move(options);
  st.to = std::move(peers);
  st.mapping = std::move(mapping);
  st.target = std::move(target);
  // A node that starts has other things to do.
  constexpr std::chrono::milliseconds first{60'000};
  self->delayed_send(self, std::min(st.options.interval, first), atom::tick_v);
  return {
    [self](atom::tick) { start_round(self); },
  };
}

} // namespace millrace
