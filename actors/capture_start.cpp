#include "actors/capture_start.hpp"

#include "actors/capture_shapes.hpp"
#include "actors/capture_tables.hpp"
#include "actors/setup.hpp"
#include "actors/state_marks.hpp"
#include "postgres/known_source.hpp"

#include <algorithm>

namespace millrace {

namespace {

bool is_known(const capture_state& st) {
  return st.saved->count(state_marks::source) != 0;
}

// But for tables that were let go.
bool is_same_state(const state_map& a, const state_map& b) {
  auto without_quarantines = [](state_map x) {
    std::erase_if(x, [](const auto& entry) {
      return entry.first.first != state_kind::source
             && entry.first.first != state_kind::table;
    });
    return x;
  };
  return without_quarantines(a) == without_quarantines(b);
}

// Whether nobody has written since the state was read last.
bool is_still_ours(capture_ptr self, const state_map_ptr& saved) {
  auto before = std::exchange(self->state.saved, saved);
  if (is_same_state(*before, *saved))
    return true;
  self->quit(caf::make_error(ec::slot_busy,
                             "the state has just been written by another "
                             "node, or by this one's last try"));
  return false;
}

// -- tables -------------------------------------------------------------------

// A table that is seen for the first time. When the pipeline starts its life,
// the slot's start is the label of all; later each gets its own.
table_state
fresh_table(const capture_state& st, const table_description& table) {
  auto result = new_table(st, table);
  if (st.options.snapshot && !is_known(st))
    result.label = st.start->start;
  return result;
}

void open_stream(capture_ptr self, const reader_ptr& reader) {
  auto& st = self->state;
  spdlog::info("streaming {} table(s) from {}", st.start->tables.size(),
               to_string(st.start->start));
  st.context.numbers->resumes("source");
  order_snapshots(self, st.start->tables);
  start_streaming(self, reader);
}

// Whether the slot has waited for a table that was let go.
bool was_held(const capture_state& st, const std::string& table) {
  auto mark = st.saved->find({state_kind::held, table});
  return st.options.hold && mark != st.saved->end() && !mark->second.empty();
}

// Tables that were quarantined and fit now (the announcement has been answered;
// one that still does not fit is quarantined again) are taken anew: changes of
// theirs have been let go, unless the slot has waited.
void retake_quarantined(capture_state& st, state_map& changes) {
  for (const auto& [key, why] : *st.saved) {
    const auto& name = key.second;
    auto table = st.tables.find(name);
    if (key.first != state_kind::quarantine || why.empty()
        || table == st.tables.end()
        || table->second.at == table_state::phase::dropped)
      continue;
    if (is_quarantined(st, name)) {
      if (!was_held(st, name))
        st.lacking.insert(name);
      continue;
    }
    if (was_held(st, name)) {
      spdlog::info("table {} was quarantined and goes on where the slot has "
                   "waited: {}",
                   name, why);
    } else {
      spdlog::info("table {} was quarantined and is taken again: {}", name,
                   why);
      auto& x = table->second;
      const auto& now = st.start->tables;
      auto i = std::find_if(now.begin(), now.end(), [&](const auto& y) {
        return y->full_name() == name;
      });
      x = i != now.end() ? taken_again(st, **i, true, changes)
                         : replaced_table(x.oid);
      changes[{state_kind::table, name}] = to_json(x);
    }
    clear_marks(name, changes);
  }
  // From now on the slot does not wait.
  if (!st.options.hold)
    for (const auto& [key, _] : *st.saved)
      if (key.first == state_kind::held)
        changes[key] = "";
}

// Source and tables are remembered before a row is read.
void remember(capture_ptr self, const reader_ptr& reader) {
  auto& st = self->state;
  state_map changes;
  for (const auto& name : gone_tables(st, st.start->tables))
    forget(self, name, changes);
  for (const auto& table : st.start->tables) {
    auto name = table->full_name();
    if (!is_new(st, *table)) {
      auto& x = st.tables[name];
      if (x.oid != table->oid) {
        x.oid = table->oid; // a state of an earlier version
        changes[{state_kind::table, name}] = to_json(x);
      }
      continue;
    }
    auto known = st.tables.count(name) != 0;
    auto fresh = known ? taken_again(st, *table, true, changes)
                       : fresh_table(st, *table);
    changes[{state_kind::table, name}] = to_json(fresh);
    st.tables[name] = std::move(fresh);
  }
  retake_quarantined(st, changes);
  for (const auto& table : outdated_tables(self, st.start->tables, changes)) {
    auto& x = st.tables[table->full_name()];
    x = taken_again(st, *table, false, changes);
    changes[{state_kind::table, table->full_name()}] = to_json(x);
  }
  auto source = identity_of(st);
  source.received = std::max(st.saved_received, st.start->start);
  source.confirmable = std::max(st.confirmable, st.start->start);
  st.confirmable = source.confirmable;
  st.durable = st.start->start;
  changes[state_marks::source] = to_json(source);
  self
    ->request(st.to.store, caf::infinite, atom::save_v,
              state_map_ptr{std::make_shared<state_map>(std::move(changes))})
    .then([self, reader](atom::ack) { open_stream(self, reader); },
          quit_on_error(self));
}

// Whoever has the slot owns the state: what was read before may be what
// another node has replaced since. Making the target tables may have found, and
// noted, that one was gone.
void read_again(capture_ptr self, const reader_ptr& reader) {
  self->request(self->state.to.store, caf::infinite, atom::read_v)
    .then(
      [self, reader](const state_map_ptr& saved) {
        if (is_still_ours(self, saved))
          remember(self, reader);
      },
      quit_on_error(self));
}

void connect(capture_ptr self) {
  auto& st = self->state;
  self->request(st.to.source, caf::infinite, atom::connect_v, st.start)
    .then([self](const reader_ptr& reader) { read_again(self, reader); },
          quit_on_error(self));
}

void announce(capture_ptr self) {
  auto& st = self->state;
  report(st, *st.start);
  show_locked(st, *st.start);
  for (const auto& name : st.start->missing) {
    spdlog::warn("waiting for table {}, which does not exist yet", name);
    st.context.numbers->waits(name, "table " + name + " does not exist yet");
  }
  // One may have been waited for in an earlier run.
  for (const auto& table : st.start->tables)
    st.context.numbers->resumes(table->full_name());
  self->request(st.to.router, caf::infinite, announcement(st.start->tables))
    .then([self](atom::ack) { connect(self); }, quit_on_error(self));
}

// -- the first steps ----------------------------------------------------------

// Several hosts may answer to one URI.
bool is_same_server(const postgres::source_identity& a,
                    const postgres::source_identity& b) {
  return a.system_identifier == b.system_identifier && a.timeline == b.timeline
         && a.database == b.database;
}

result<void> read_tables(capture_state& st) {
  for (const auto& [key, value] : *st.saved) {
    if (key.first == state_kind::retake && !value.empty())
      st.outdated[key.second] = {value, lsn{UINT64_MAX}};
    if (key.first != state_kind::table)
      continue;
    auto x = parse_table_state(value);
    if (!x)
      return tl::unexpected{std::move(x.error())};
    st.tables.emplace(key.second, std::move(*x));
  }
  return {};
}

// It is the source that we know, or the first one. Nothing is made in the
// target for a source that will not do.
void prepare(capture_ptr self) {
  auto& st = self->state;
  if (st.look->trouble.code != ec::none) {
    self->quit(to_error(st.look->trouble));
    return;
  }
  auto done = std::make_shared<int>(0);
  auto go = [self, done] {
    if (++*done == 2)
      announce(self);
  };
  self
    ->request(st.to.surveyor, caf::infinite, atom::prepare_v,
              is_known(st) ? postgres::highest_start(st.known) : lsn{})
    .then(
      [self, go](const source_start_ptr& start) {
        auto& st = self->state;
        st.start = start;
        if (is_same_server(start->identity, st.look->identity))
          go();
        else
          self->quit(caf::make_error(
            ec::source_failed,
            "another server took over while it was being looked at"));
      },
      quit_on_error(self));
  self->request(st.to.store, caf::infinite, atom::load_v)
    .then(
      [self, go](const state_map_ptr& saved) {
        if (!is_still_ours(self, saved))
          return;
        auto good = read_tables(self->state);
        if (good)
          go();
        else
          self->quit(to_error(good.error()));
      },
      quit_on_error(self));
}

// -- the source is the one we know --------------------------------------------

// Goes on if the source has been found to be the one we know.
bool accept(capture_ptr self, const result<void>& judged) {
  if (!judged)
    self->quit(to_error(judged.error()));
  return judged.has_value();
}

void check_switch_point(capture_ptr self, lsn highest) {
  auto& st = self->state;
  self
    ->request(st.to.source, caf::infinite, atom::position_v, st.known.timeline)
    .then(
      [self, highest](lsn end) {
        auto& st = self->state;
        if (accept(self, postgres::judge_switch_point(
                           st.known, st.look->identity, end, highest)))
          prepare(self);
      },
      quit_on_error(self));
}

// What the target holds is exact; what was remembered may be seconds old.
void check_position(capture_ptr self) {
  auto& st = self->state;
  table_list_ptr tables
    = std::make_shared<table_list_ptr::element_type>(st.look->tables);
  self->request(st.to.store, caf::infinite, atom::position_v, tables)
    .then(
      [self](lsn stored) {
        auto& st = self->state;
        auto highest = std::max(stored, st.known.received);
        const auto& now = st.look->identity;
        if (!accept(self, postgres::judge_log_end(now, highest)))
          return;
        if (now.timeline != st.known.timeline)
          check_switch_point(self, highest);
        else
          prepare(self);
      },
      quit_on_error(self));
}

void check_identity(capture_ptr self) {
  auto& st = self->state;
  if (!is_known(st)) {
    prepare(self);
    return;
  }
  auto known = parse_source_state(st.saved->at(state_marks::source));
  if (!known) {
    self->quit(to_error(known.error()));
    return;
  }
  const auto& now = st.look->identity;
  st.known = *known;
  st.saved_received = known->received;
  st.confirmable = known->confirmable;
  if (!accept(self, postgres::judge_identity(*known, now)))
    return;
  if (now.in_recovery)
    prepare(self); // which says that it is one
  else
    check_position(self);
}

} // namespace

// Another source gets no advice about slots and publications, and nothing is
// made in it.
void look_at_source(capture_ptr self) {
  auto& st = self->state;
  auto compare = [self] {
    if (self->state.look && self->state.saved)
      check_identity(self);
  };
  self->request(st.to.surveyor, caf::infinite, atom::check_v)
    .then(
      [self, compare](const source_look_ptr& look) {
        self->state.look = look;
        compare();
      },
      quit_on_error(self));
  self->request(st.to.store, caf::infinite, atom::read_v)
    .then(
      [self, compare](const state_map_ptr& saved) {
        self->state.saved = saved;
        compare();
      },
      quit_on_error(self));
}

source_state identity_of(const capture_state& st) {
  const auto& x = st.start->identity;
  return {x.system_identifier, x.timeline, x.database, {}, {}};
}

} // namespace millrace
