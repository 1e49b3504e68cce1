#include "actors/capture_tables.hpp"

#include "actors/capture_confirm.hpp"
#include "actors/capture_fill.hpp"
#include "actors/capture_shapes.hpp"
#include "actors/let_table_go.hpp"
#include "actors/setup.hpp"
#include "actors/state_marks.hpp"

#include <algorithm>

namespace millrace {

namespace {

void show_state(capture_state& st) {
  st.context.numbers->set_state(st.snapshots.empty()
                                  ? pipeline_state::streaming
                                  : pipeline_state::snapshotting);
}

void snapshot_ended(capture_ptr self, const std::string& name) {
  self->state.snapshots.erase(name);
  show_state(self->state);
  // It was altered meanwhile.
  if (self->state.outdated.count(name) != 0)
    look_for_tables(self);
}

void save(capture_ptr self, state_map&& changes, std::function<void()> then) {
  self
    ->request(self->state.to.store, caf::infinite, atom::save_v,
              state_map_ptr{std::make_shared<state_map>(std::move(changes))})
    .then([then = std::move(then)](atom::ack) { then(); }, quit_on_error(self));
}

bool is_gone(const std::vector<table_description_ptr>& now,
             const std::string& name, uint32_t oid) {
  return std::none_of(now.begin(), now.end(), [&](const auto& x) {
    return x->oid == oid && x->full_name() == name;
  });
}

// A snapshot cannot be taken: the table is gone, or it stops alone.
void snapshot_failed(capture_ptr self, const std::string& name,
                     const caf::error& why) {
  auto decide = [self, name, why](const table_list_ptr& now) {
    auto& st = self->state;
    auto end = [self, name] { snapshot_ended(self, name); };
    if (!is_gone(*now, name, st.tables[name].oid)) {
      let_go(self, name, why, end);
      return;
    }
    state_map changes;
    forget(self, name, changes);
    save(self, std::move(changes), end);
  };
  self->request(self->state.to.surveyor, caf::infinite, atom::tables_v)
    .then(decide, quit_on_error(self));
}

// Whoever took it has written the state meanwhile.
void snapshot_taken(capture_ptr self, const std::string& name, lsn end) {
  // Let go meanwhile, it lacks rows.
  note_held(self);
  auto read_back = [self, name, end](const state_map_ptr& stored) {
    auto& x = self->state.tables[name];
    x.at = table_state::phase::streaming;
    x.fill_until = end;
    x.retake = false;
    auto whole = x.only.empty();
    x.only.clear();
    auto i = stored->find({state_kind::table, name});
    if (i != stored->end()) {
      auto state = parse_table_state(i->second);
      if (!state) {
        self->quit(to_error(state.error()));
        return;
      }
      x.shape = std::move(state->shape);
      x.label = state->label;
    }
    auto then = [self, name] {
      raise_fill_until(self, name, self->state.rows_gone[name],
                       [self, name] { snapshot_ended(self, name); });
    };
    if (whole)
      table_taken(self, name, then);
    else
      then();
  };
  self->request(self->state.to.store, caf::infinite, atom::read_v)
    .then(std::move(read_back), quit_on_error(self));
}

void order_snapshot(capture_ptr self, const table_description_ptr& table) {
  auto& st = self->state;
  auto name = table->full_name();
  st.snapshots.insert(name);
  snapshot_order_ptr order
    = std::make_shared<snapshot_order>(snapshot_order{table, st.tables[name]});
  self->request(st.to.snapshotter, caf::infinite, order)
    .then([self, name](lsn end) { snapshot_taken(self, name, end); },
          [self, name](const caf::error& err) {
            if (err == ec::table_unsuitable)
              snapshot_failed(self, name, err);
            else
              self->quit(err);
          });
}

// From here on the stream brings the rows of these tables, and the target has
// tables for them. Each gets a snapshot with a label of its own.
void follow(capture_ptr self,
            std::shared_ptr<std::vector<table_description_ptr>> fresh,
            bool whole, std::function<void()> remembered) {
  auto& st = self->state;
  for (const auto& table : *fresh) {
    auto name = table->full_name();
    st.context.numbers->resumes(name);
    st.context.numbers->table(name)->quarantine({});
    st.reader->describe(table);
  }
  auto announced = [self, fresh, whole, remembered](atom::ack) {
    auto& st = self->state;
    state_map changes;
    for (const auto& table : *fresh) {
      auto name = table->full_name();
      auto known = st.tables.count(name) != 0;
      auto state = known ? taken_again(st, *table, whole, changes)
                         : new_table(st, *table);
      changes[{state_kind::table, name}] = to_json(state);
      // It may have been let go again.
      if (known && !is_quarantined(st, name))
        clear_marks(name, changes);
      st.tables[name] = std::move(state);
    }
    save(self, std::move(changes), [self, fresh, remembered] {
      for (const auto& table : *fresh)
        if (!is_quarantined(self->state, table->full_name()))
          release(self->state, table->full_name());
      remembered();
      order_snapshots(self, *fresh);
    });
  };
  self->request(st.to.router, caf::infinite, announcement(*fresh))
    .then(announced, quit_on_error(self));
}

// The publications contain the new tables now.
void take_in(capture_ptr self, const source_start_ptr& start) {
  auto& st = self->state;
  show_locked(st, *start);
  auto fresh = std::make_shared<std::vector<table_description_ptr>>();
  for (const auto& table : start->tables)
    if (is_new(st, *table) && st.snapshots.count(table->full_name()) == 0)
      fresh->push_back(table);
  if (fresh->empty()) {
    st.looking_for_tables = false;
    return;
  }
  report(st, *start);
  for (const auto& table : *fresh) {
    spdlog::info("table {} is new", table->full_name());
    st.context.numbers->table(table->full_name())->note({});
  }
  follow(self, fresh, true, [self] { self->state.looking_for_tables = false; });
}

void set_up_again(capture_ptr self) {
  self
    ->request(self->state.to.surveyor, caf::infinite, atom::prepare_v,
              lsn{UINT64_MAX})
    .then([self](const source_start_ptr& start) { take_in(self, start); },
          [self](const caf::error& err) {
            self->state.looking_for_tables = false;
            spdlog::warn("cannot take in new tables: {}", render(err));
          });
}

void compare_tables(capture_ptr self, const table_list_ptr& now) {
  auto& st = self->state;
  state_map changes;
  for (const auto& name : gone_tables(st, *now))
    forget(self, name, changes);
  auto outdated = std::make_shared<std::vector<table_description_ptr>>(
    outdated_tables(self, *now, changes));
  auto appeared = std::any_of(now->begin(), now->end(), [&](const auto& x) {
    return is_new(st, *x) && st.snapshots.count(x->full_name()) == 0;
  });
  // One that is gone is not waited for any more.
  if (!appeared)
    show_locked(st, {});
  auto take_new_ones = [self, appeared] {
    if (appeared)
      set_up_again(self);
    else
      self->state.looking_for_tables = false;
  };
  auto then = [self, outdated, take_new_ones] {
    if (outdated->empty())
      take_new_ones();
    else
      follow(self, outdated, false, take_new_ones);
  };
  if (changes.empty())
    then();
  else
    save(self, std::move(changes), then);
}

} // namespace

void clear_marks(const std::string& table, state_map& changes) {
  changes[{state_kind::quarantine, table}] = "";
  changes[{state_kind::held, table}] = "";
}

bool is_quarantined(const capture_state& st, const std::string& table) {
  return st.context.numbers->is_quarantined(table);
}

void report(capture_state& st, const postgres::source_start& start) {
  for (const auto& note : start.notes)
    spdlog::info("{}", note);
  for (const auto& x : start.warnings) {
    spdlog::warn("{}: {}; {}", x.subject, x.text, x.remedy);
    for (const auto& table : start.tables)
      if (table->full_name() == x.subject)
        st.context.numbers->table(x.subject)->note(x.text);
  }
}

void show_locked(capture_state& st, const postgres::source_start& start) {
  for (const auto& name : std::exchange(st.locked, {}))
    st.context.numbers->resumes(name);
  for (const auto& x : start.warnings)
    if (x.code == ec::source_failed) {
      st.context.numbers->waits(x.subject, x.text);
      st.locked.insert(x.subject);
    }
}

change_batch_ptr
announcement(const std::vector<table_description_ptr>& tables) {
  auto result = std::make_shared<change_batch>();
  result->tables = tables;
  return result;
}

void order_snapshots(capture_ptr self,
                     const std::vector<table_description_ptr>& tables) {
  auto& st = self->state;
  for (const auto& table : tables) {
    auto name = table->full_name();
    // Of a table that was let go when it was announced nothing is written.
    if (st.tables[name].at != table_state::phase::streaming
        && !is_quarantined(st, name))
      order_snapshot(self, table);
  }
  show_state(st);
}

table_state new_table(const capture_state& st, const table_description& table) {
  table_state result;
  result.oid = table.oid;
  if (table.shape)
    result.shape = *table.shape;
  if (!st.options.snapshot)
    result.at = table_state::phase::streaming;
  return result;
}

table_state replaced_table(uint32_t oid) {
  table_state result;
  result.oid = oid;
  result.retake = true;
  return result;
}

bool is_new(const capture_state& st, const table_description& table) {
  auto i = st.tables.find(table.full_name());
  return i == st.tables.end() || i->second.at == table_state::phase::dropped
         || (i->second.oid != 0 && i->second.oid != table.oid);
}

std::vector<std::string>
gone_tables(const capture_state& st,
            const std::vector<table_description_ptr>& now) {
  std::vector<std::string> result;
  // Whoever takes a snapshot finds out by itself.
  for (const auto& [name, x] : st.tables)
    if (x.at != table_state::phase::dropped && st.snapshots.count(name) == 0
        && x.oid != 0 && is_gone(now, name, x.oid))
      result.push_back(name);
  return result;
}

void forget(capture_ptr self, const std::string& name, state_map& changes) {
  auto& st = self->state;
  auto& x = st.tables[name];
  spdlog::warn("table {} is gone or not published any more: its rows stay in "
               "the target as they are",
               name);
  // What is still to come of it must not meet a successor.
  if (st.reader) {
    postgres::relation old;
    old.oid = x.oid;
    st.reader->skip(old);
  }
  auto oid = x.oid;
  x = table_state{};
  x.at = table_state::phase::dropped;
  x.oid = oid;
  auto numbers = st.context.numbers->table(name);
  numbers->quarantine({});
  numbers->note("gone from the source; its rows stay in the target");
  st.context.numbers->resumes(name);
  changes[{state_kind::table, name}] = to_json(x);
  clear_marks(name, changes);
  release(st, name);
  if (st.outdated.erase(name) != 0)
    changes[{state_kind::retake, name}] = "";
}

caf::result<atom::ack> retake(capture_ptr self, const std::string& name) {
  auto& st = self->state;
  auto refuse = [&](const char* why) {
    return to_error(failure{ec::table_unsuitable, "table " + name + why});
  };
  if (!st.reader || st.stopping)
    return to_error(
      failure{ec::source_unavailable, "the node does not stream yet"});
  auto known = st.tables.find(name);
  if (known == st.tables.end()
      || known->second.at == table_state::phase::dropped)
    return refuse(" is not followed");
  if (st.snapshots.count(name) != 0 || st.looking_for_tables)
    return refuse(" cannot be taken again now: a snapshot of it is being "
                  "taken, or tables are being looked for; try again later");
  st.looking_for_tables = true;
  auto promise = self->make_response_promise<atom::ack>();
  auto found = [self, name, promise](const table_list_ptr& now) mutable {
    auto& st = self->state;
    auto i = std::find_if(now->begin(), now->end(), [&](const auto& x) {
      return x->full_name() == name && x->oid == st.tables[name].oid;
    });
    if (i == now->end()) {
      st.looking_for_tables = false;
      promise.deliver(
        to_error(failure{ec::table_unsuitable, "table " + name + " is gone"}));
      return;
    }
    spdlog::info("table {} is taken again: somebody asked for it", name);
    follow(self, std::make_shared<std::vector<table_description_ptr>>(1, *i),
           true, [self, promise]() mutable {
             self->state.looking_for_tables = false;
             promise.deliver(atom::ack_v);
           });
  };
  self->request(st.to.surveyor, caf::infinite, atom::tables_v)
    .then(found, [self, promise](caf::error& err) mutable {
      self->state.looking_for_tables = false;
      promise.deliver(std::move(err));
    });
  return promise;
}

void look_for_tables(capture_ptr self) {
  auto& st = self->state;
  if (st.looking_for_tables)
    return;
  // Until the new ones are taken in: meanwhile they would be new again.
  st.looking_for_tables = true;
  self->request(st.to.surveyor, caf::infinite, atom::tables_v)
    .then([self](const table_list_ptr& now) { compare_tables(self, now); },
          [self](const caf::error& err) {
            self->state.looking_for_tables = false;
            spdlog::warn("cannot look for new tables: {}", render(err));
          });
}

void let_go(capture_ptr self, const std::string& table, const caf::error& why,
            std::function<void()> then) {
  auto& st = self->state;
  let_table_go(self, st.to.store, *st.context.numbers->table(table),
               text_of(why), std::move(then));
}

} // namespace millrace
