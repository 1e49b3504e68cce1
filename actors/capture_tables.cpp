#include "actors/capture_tables.hpp"

#include "actors/capture_fill.hpp"
#include "actors/let_table_go.hpp"
#include "actors/setup.hpp"
#include "actors/state_marks.hpp"

#include <algorithm>

namespace millrace {

namespace {

using map_type = std::remove_const_t<state_map_ptr::element_type>;

auto quit_on_error(capture_ptr self) {
  return [self](const caf::error& err) { self->quit(err); };
}

void show_state(capture_state& st) {
  st.context.numbers->set_state(st.snapshots > 0 ? pipeline_state::snapshotting
                                                 : pipeline_state::streaming);
}

void snapshot_ended(capture_ptr self) {
  --self->state.snapshots;
  show_state(self->state);
}

void order_snapshot(capture_ptr self, const table_description_ptr& table) {
  auto& st = self->state;
  auto name = table->full_name();
  ++st.snapshots;
  snapshot_order_ptr order
    = std::make_shared<snapshot_order>(snapshot_order{table, st.tables[name]});
  self->request(st.to.snapshotter, caf::infinite, order)
    .then(
      [self, name](lsn end) {
        auto& x = self->state.tables[name];
        x.at = table_state::phase::streaming;
        x.fill_until = end;
        raise_fill_until(self, name, self->state.rows_gone[name],
                         [self] { snapshot_ended(self); });
      },
      [self, name](const caf::error& err) {
        if (err == ec::table_unsuitable)
          let_go(self, name, err, [self] { snapshot_ended(self); });
        else
          self->quit(err);
      });
}

// The publications contain the new tables now; each is announced, remembered,
// and gets a snapshot with a label of its own.
void take_in(capture_ptr self, const source_start_ptr& start) {
  auto& st = self->state;
  auto fresh = std::make_shared<std::vector<table_description_ptr>>();
  for (const auto& table : start->tables)
    if (st.tables.count(table->full_name()) == 0)
      fresh->push_back(table);
  if (fresh->empty()) {
    st.looking_for_tables = false;
    return;
  }
  report(st, *start);
  auto remembered = [self, fresh](atom::ack) {
    self->state.looking_for_tables = false;
    order_snapshots(self, *fresh);
  };
  auto announced = [self, fresh, remembered](atom::ack) {
    auto& st = self->state;
    map_type changes;
    for (const auto& table : *fresh) {
      auto name = table->full_name();
      spdlog::info("table {} is new", name);
      st.context.numbers->resumes(name);
      table_state state;
      if (!st.options.snapshot)
        state.at = table_state::phase::streaming;
      changes[{state_kind::table, name}] = to_json(state);
      st.tables.emplace(name, state);
    }
    self
      ->request(st.to.store, caf::infinite, atom::save_v,
                state_map_ptr{std::make_shared<map_type>(std::move(changes))})
      .then(remembered, quit_on_error(self));
  };
  self->request(st.to.router, caf::infinite, announcement(*fresh))
    .then(announced, quit_on_error(self));
}

} // namespace

bool is_quarantined(const capture_state& st, const std::string& table) {
  return !st.context.numbers->table(table)->look(0).quarantine.empty();
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

void look_for_tables(capture_ptr self) {
  auto& st = self->state;
  if (st.looking_for_tables)
    return;
  // Until the new ones are taken in: meanwhile they would be new again.
  st.looking_for_tables = true;
  auto give_up = [self](const caf::error& err) {
    self->state.looking_for_tables = false;
    spdlog::warn("cannot look for new tables: {}", render(err));
  };
  self->request(st.to.source, caf::infinite, atom::tables_v)
    .then(
      [self, give_up](const table_list_ptr& tables) {
        auto& st = self->state;
        auto is_new = [&](const table_description_ptr& x) {
          return st.tables.count(x->full_name()) == 0;
        };
        if (std::none_of(tables->begin(), tables->end(), is_new)) {
          st.looking_for_tables = false;
          return;
        }
        self->request(st.to.source, caf::infinite, atom::prepare_v, true)
          .then([self](const source_start_ptr& start) { take_in(self, start); },
                give_up);
      },
      give_up);
}

void let_go(capture_ptr self, const std::string& table, const caf::error& why,
            std::function<void()> then) {
  auto& st = self->state;
  let_table_go(self, st.to.store, *st.context.numbers->table(table),
               text_of(why), std::move(then));
}

} // namespace millrace
