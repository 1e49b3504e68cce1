#include "actors/capture_confirm.hpp"

#include "actors/capture_start.hpp"
#include "actors/capture_tables.hpp"
#include "actors/failing.hpp"
#include "actors/setup.hpp"
#include "actors/state_marks.hpp"

namespace millrace {

namespace {

void tell_source(capture_ptr self, lsn position) {
  auto& st = self->state;
  if (position <= st.confirmed)
    return;
  if (fails_at(self, "confirm.before"))
    return;
  st.confirmed = position;
  auto done = st.reader->confirm(position);
  if (!done) {
    self->quit(to_error(done.error()));
    return;
  }
  st.context.numbers->confirmed_position.set(
    static_cast<int64_t>(position.value));
  fails_at(self, "confirm.after");
}

// Raises what may be confirmed to what is durable.
void raise_confirmable(capture_ptr self) {
  auto& st = self->state;
  st.raising = true;
  st.raised_in_tick = true;
  auto known = identity_of(st);
  known.received = std::max(st.saved_received, st.reader->received());
  known.confirmable = st.durable;
  state_map_ptr entry = std::make_shared<state_map>(
    state_map{{state_marks::source, to_json(known)}});
  self->request(st.to.store, caf::infinite, atom::save_v, std::move(entry))
    .then(
      [self, known](atom::ack) {
        auto& st = self->state;
        st.raising = false;
        st.saved_received = known.received;
        st.confirmable = known.confirmable;
        tell_source(self, st.confirmable);
        if (st.stopping)
          quit_when_done(self);
      },
      quit_on_error(self));
}

void show_held(capture_state& st) {
  std::string names;
  for (const auto& x : st.held)
    names += (names.empty() ? "" : ", ") + x;
  if (names.empty())
    st.context.numbers->resumes("slot");
  else
    st.context.numbers->waits("slot", "the slot waits at "
                                        + to_string(st.durable)
                                        + " for what is quarantined: " + names);
}

} // namespace

void note_held(capture_ptr self) {
  auto& st = self->state;
  if (!st.options.hold)
    return;
  auto marks = std::make_shared<state_map>();
  auto before = st.held.size();
  for (const auto& [name, x] : st.tables) {
    if (!is_quarantined(st, name) || !st.held.insert(name).second)
      continue;
    spdlog::warn("the slot waits at {} for table {}, which is quarantined",
                 to_string(st.durable), name);
    // It lacks nothing but what is still to come from the slot.
    if (x.at == table_state::phase::streaming && st.snapshots.count(name) == 0
        && st.lacking.count(name) == 0)
      (*marks)[{state_kind::held, name}] = to_string(st.durable);
  }
  if (st.held.size() != before)
    show_held(st);
  if (!marks->empty())
    self
      ->request(st.to.store, caf::infinite, atom::save_v, state_map_ptr{marks})
      .then([](atom::ack) {}, quit_on_error(self));
}

void release(capture_state& st, const std::string& table) {
  st.lacking.erase(table);
  if (st.held.erase(table) != 0)
    show_held(st);
}

void confirm(capture_ptr self, lsn position) {
  auto& st = self->state;
  note_held(self);
  if (position <= st.durable || !st.held.empty())
    return;
  st.durable = position;
  st.context.numbers->durable_position.set(
    static_cast<int64_t>(position.value));
  if (position <= st.confirmable)
    tell_source(self, position);
  else if (!st.raising && !st.raised_in_tick)
    raise_confirmable(self);
}

void note_position(capture_ptr self, lsn position) {
  auto& st = self->state;
  if (position.value == 0)
    return;
  if (st.sent.empty())
    confirm(self, position);
  else
    st.sent.back().complete = std::max(st.sent.back().complete, position);
}

void advance(capture_ptr self) {
  auto& st = self->state;
  lsn complete;
  while (!st.sent.empty() && st.sent.front().durable) {
    const auto& x = st.sent.front();
    complete = std::max(complete, x.complete);
    st.in_flight_bytes -= x.bytes;
    if (x.newest_commit != 0)
      st.context.numbers->durable_commit.set(x.newest_commit);
    ++st.first_sent;
    st.sent.pop_front();
  }
  show_in_flight(st);
  confirm(self, complete);
  if (st.stopping)
    quit_when_done(self);
}

void confirm_what_waits(capture_ptr self) {
  auto& st = self->state;
  st.raised_in_tick = false;
  if (st.durable > st.confirmable && !st.raising)
    raise_confirmable(self);
}

void quit_when_done(capture_ptr self) {
  auto& st = self->state;
  if (!st.sent.empty() || st.raising)
    return;
  if (st.durable > st.confirmable)
    raise_confirmable(self);
  else
    self->quit(caf::exit_reason::user_shutdown);
}

void show_in_flight(capture_state& st) {
  auto& numbers = *st.context.numbers;
  numbers.in_flight_bytes.set(static_cast<int64_t>(st.in_flight_bytes));
  numbers.oldest_pending_commit.set(
    st.sent.empty() ? 0 : st.sent.front().oldest_commit);
}

} // namespace millrace
