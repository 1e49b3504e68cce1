#include "actors/capture.hpp"

#include "actors/capture_confirm.hpp"
#include "actors/capture_early.hpp"
#include "actors/capture_fill.hpp"
#include "actors/capture_quiet.hpp"
#include "actors/capture_shapes.hpp"
#include "actors/capture_start.hpp"
#include "actors/capture_tables.hpp"
#include "actors/failing.hpp"
#include "actors/setup.hpp"
#include "postgres/pacing.hpp"

#include <caf/send.hpp>

namespace millrace {

namespace {

constexpr auto tick_interval = std::chrono::seconds{1};
constexpr uint64_t ticks_per_survey = 10;

bool window_is_full(const capture_state& st) {
  return st.in_flight_bytes >= st.options.window_bytes;
}

// Keeps exactly one `readable` on its way while there is room.
void read_again(capture_ptr self) {
  auto& st = self->state;
  if (!st.reader || st.reading || st.paused || st.stopping
      || window_is_full(st))
    return;
  st.reading = true;
  self->send(self, atom::readable_v);
}

void wait_for_data(capture_ptr self) {
  auto& st = self->state;
  if (st.reading)
    return;
  if (!st.watch)
    st.watch = std::make_unique<readiness_watch>(
      st.reader->fd(), [hdl = capture_actor{self},
                        pace = postgres::pacing{st.reader->fd()}]() mutable {
        pace.settle();
        caf::anon_send(hdl, atom::readable_v);
      });
  st.reading = true;
  st.watch->arm();
}

void forward(capture_ptr self, change_batch_ptr batch, lsn complete) {
  if (fails_at(self, "dispatch.before"))
    return;
  auto& st = self->state;
  auto number = st.first_sent + st.sent.size();
  auto bytes = batch->bytes();
  auto committed_at = batch->transactions.back().committed_at;
  st.context.numbers->received_position.set(
    static_cast<int64_t>(st.reader->received().value));
  st.context.numbers->received_commit.set(committed_at);
  st.newest_commit = committed_at;
  st.sent.push_back({bytes, complete, false,
                     batch->transactions.front().committed_at, committed_at});
  st.in_flight_bytes += bytes;
  show_in_flight(st);
  // No deadline: a target may be away for hours, and a stage that dies takes
  // the whole unit with it.
  self->request(st.to.router, caf::infinite, std::move(batch))
    .then(
      [self, number](atom::ack) {
        auto& st = self->state;
        st.sent[number - st.first_sent].durable = true;
        advance(self);
        read_again(self);
      },
      quit_on_error(self));
  fails_at(self, "dispatch.after");
}

// -- reading ------------------------------------------------------------------

void resume(capture_ptr self) {
  self->state.paused = false;
  read_again(self);
}

void describe(capture_ptr self, const postgres::relation& x) {
  auto& st = self->state;
  st.paused = true;
  // Let go once, it has a gap whatever its rows look like from here on.
  if (is_quarantined(st, x.schema + "." + x.name)) {
    st.reader->skip(x);
    resume(self);
    return;
  }
  relation_ptr message = std::make_shared<postgres::relation>(x);
  self->request(st.to.source, caf::infinite, atom::describe_v, message)
    .then(
      [self, message](const table_description_ptr& table) {
        if (!table) {
          self->state.reader->skip(*message);
          resume(self);
          return;
        }
        self->state.passed_over.erase(table->full_name());
        look_at_shape(self, table, [self, table] {
          self->state.reader->describe(table);
          resume(self);
        });
      },
      [self, message](const caf::error& err) {
        if (err != ec::table_unsuitable)
          self->quit(err);
        else
          pass_over_shape(self, message, err, [self] { resume(self); });
      });
}

void fill(capture_ptr self, postgres::read_outcome&& outcome) {
  self->state.paused = true;
  fill_unchanged(self, std::move(outcome.batch),
                 std::move(outcome.with_unchanged),
                 [self, complete = outcome.complete,
                  unknown = std::move(outcome.unknown)](change_batch_ptr x) {
                   forward(self, std::move(x), complete);
                   if (unknown)
                     describe(self, *unknown);
                   else
                     resume(self);
                 });
}

bool is_lagging(const capture_state& st) {
  auto lag = now_microseconds() - st.newest_commit;
  return st.newest_commit != 0
         && std::chrono::microseconds{lag} > st.options.lagging;
}

// The reader keeps small batches for a while; they are fetched in any case.
void gather(capture_ptr self) {
  auto& st = self->state;
  if (st.gathering)
    return;
  st.gathering = true;
  self->delayed_send(self, st.options.gather, atom::flush_v);
}

// Values that are filled in together have to fit into memory.
void measure(capture_ptr self, postgres::read_outcome&& outcome) {
  auto& st = self->state;
  st.paused = true;
  auto x = std::make_shared<postgres::read_outcome>(std::move(outcome));
  change_list_ptr list
    = std::make_shared<std::vector<uint32_t>>(x->with_unchanged);
  self->request(st.to.source, caf::infinite, atom::check_v, x->batch, list)
    .then(
      [self, x](const size_list_ptr& sizes) {
        auto& st = self->state;
        st.pieces = split_by_size(std::move(*x), *sizes, st.options.fill_bytes);
        resume(self);
      },
      [self](const caf::error& err) { self->quit(err); });
}

void pass_on(capture_ptr self, postgres::read_outcome&& x, bool measured) {
  auto& st = self->state;
  if (x.batch) {
    if (!to_fill(st, *x.batch, x.with_unchanged).empty()) {
      if (measured || x.with_unchanged.size() == 1)
        fill(self, std::move(x));
      else
        measure(self, std::move(x));
      return;
    }
    forward(self, std::move(x.batch), x.complete);
  } else {
    note_position(self, x.complete);
  }
  if (x.unknown)
    describe(self, *x.unknown);
  else if (x.drained && !window_is_full(st))
    wait_for_data(self);
  else
    read_again(self);
}

void read(capture_ptr self, bool may_gather) {
  auto& st = self->state;
  if (!st.reader || st.paused || st.stopping || window_is_full(st))
    return;
  if (!st.pieces.empty()) {
    auto piece = std::move(st.pieces.front());
    st.pieces.pop_front();
    piece.drained = false;
    pass_on(self, std::move(piece), true);
    return;
  }
  auto limits = st.options.batch;
  limits.gather = may_gather && is_lagging(st);
  auto outcome = st.reader->read(limits);
  if (!outcome) {
    self->quit(to_error(outcome.error()));
    return;
  }
  if (outcome->batch)
    drop_early(st, *outcome);
  else if (limits.gather)
    gather(self);
  pass_on(self, std::move(*outcome), false);
}

// -- once a second ------------------------------------------------------------

void ask_for_slot(capture_ptr self) {
  auto& st = self->state;
  self->request(st.to.source, caf::infinite, atom::slot_v)
    .then(
      [self](const slot_state_ptr& x) {
        self->state.context.numbers->set_slot(
          {x->lag, x->active, x->wal_status});
      },
      [self](const caf::error& err) {
        spdlog::warn("cannot look at the slot: {}", render(err));
        // A server that shuts down waits until everything it sends has been
        // read: not before the target is back.
        if (err == ec::source_unavailable && window_is_full(self->state))
          self->quit(err);
      });
}

// A huge row leaves a huge buffer in the connection. While nothing is under way
// a new connection costs little.
void renew(capture_ptr self) {
  auto& st = self->state;
  if (!st.sent.empty() || st.paused || !st.pieces.empty()
      || !st.reader->may_renew())
    return;
  st.watch = nullptr;
  st.reading = false;
  auto renewed = st.reader->renew();
  if (!renewed) {
    self->quit(to_error(renewed.error()));
    return;
  }
  spdlog::info("replication goes on over a new connection: the old one held on "
               "to the memory of a huge row");
  read_again(self);
}

void tick(capture_ptr self) {
  auto& st = self->state;
  self->delayed_send(self, tick_interval, atom::tick_v);
  if (!st.reader)
    return;
  renew(self);
  auto alive = st.reader->tick();
  if (!alive) {
    self->quit(to_error(alive.error()));
    return;
  }
  st.context.numbers->server_position.set(
    static_cast<int64_t>(st.reader->server_position().value));
  confirm_what_waits(self);
  if (st.ticks++ % ticks_per_survey != 0)
    return;
  ask_for_slot(self);
  look_for_tables(self);
}

} // namespace

void start_streaming(capture_ptr self, reader_ptr reader) {
  auto& st = self->state;
  st.reader = std::move(reader);
  read_again(self);
}

capture_actor::behavior_type
capture(capture_ptr self, unit context, capture_options options,
        capture_peers peers) {
  set_default_handlers(self);
  auto& st = self->state;
  st.context = std::move(context);
  st.options = options;
  st.to = std::move(peers);
  st.context.numbers->window_bytes.set(
    static_cast<int64_t>(options.window_bytes));
  look_at_source(self);
  self->delayed_send(self, tick_interval, atom::tick_v);
  return {
    [self](atom::tables) -> caf::result<table_states_ptr> {
      auto quiet = quiet_tables(self->state);
      if (!quiet)
        return to_error(quiet.error());
      return *quiet;
    },
    [self](atom::snapshot, const std::string& table) {
      return retake(self, table);
    },
    [self](atom::readable) {
      self->state.reading = false;
      read(self, true);
    },
    [self](atom::flush) {
      self->state.gathering = false;
      // The watch may be armed: what this leaves unread has left the socket.
      self->state.reading = false;
      read(self, false);
    },
    [self](atom::tick) { tick(self); },
    [self](atom::stop) {
      self->state.stopping = true;
      quit_when_done(self);
    },
  };
}

} // namespace millrace
