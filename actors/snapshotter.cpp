#include "actors/snapshotter.hpp"

#include "actors/failing.hpp"
#include "actors/setup.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace millrace {

namespace {

using snapshotter_ptr = snapshotter_actor::stateful_pointer<snapshotter_state>;
using job_ptr = snapshotter_state::job_ptr;

constexpr auto tick_interval = std::chrono::milliseconds{200};
constexpr size_t ticks_per_log_line = 50;

// Between tries of a table that is locked: a second, up to ten.
constexpr size_t first_pause = 5;
constexpr size_t longest_pause = 50;

// One chunk is read while the one before becomes durable.
constexpr size_t chunks_per_reader = 2;

void make_plan(snapshotter_ptr self, const job_ptr& x);
void hand_out(snapshotter_ptr self);
void save_progress(snapshotter_ptr self, const job_ptr& x);

state_map_ptr as_state(const snapshotter_state::job& x) {
  return std::make_shared<state_map>(
    state_map{{{"table", x.order.table->full_name()}, to_json(x.state)}});
}

void tick_later(snapshotter_ptr self) {
  auto& st = self->state;
  if (st.ticking || st.jobs.empty())
    return;
  st.ticking = true;
  self->delayed_send(self, tick_interval, atom::tick_v);
}

// -- the plan -----------------------------------------------------------------

snapshot_plan_ptr
restore_plan(const snapshot_order& order, const table_state& state) {
  auto plan = std::make_shared<postgres::snapshot_plan>();
  plan->table = order.table;
  plan->label = state.label;
  plan->committed_at = state.committed_at;
  plan->row_estimate = state.row_estimate;
  for (const auto& part : state.parts) {
    if (part.partition == 0)
      plan->filenode = part.filenode;
    for (uint64_t i = 0; i < part.chunks; ++i) {
      postgres::chunk x;
      x.partition = part.partition;
      x.filenode = part.filenode;
      x.first = static_cast<uint32_t>(i * part.pages_per_chunk);
      x.last = i + 1 == part.chunks ? 0 : x.first + part.pages_per_chunk;
      plan->chunks.push_back(x);
    }
  }
  return plan;
}

// The chunks of some partitions.
snapshot_plan_ptr part_of(const postgres::snapshot_plan& plan,
                          const std::vector<uint32_t>& partitions) {
  auto result = std::make_shared<postgres::snapshot_plan>(plan);
  std::erase_if(result->chunks, [&](const auto& x) {
    return std::find(partitions.begin(), partitions.end(), x.partition)
           == partitions.end();
  });
  return result;
}

std::vector<table_state::part> parts_of(const postgres::snapshot_plan& plan) {
  std::vector<table_state::part> result;
  for (const auto& x : plan.chunks) {
    if (x.first == 0)
      result.push_back({x.partition,
                        x.partition == 0 ? plan.filenode : x.filenode, x.last,
                        0});
    ++result.back().chunks;
  }
  return result;
}

void remember_plan(table_state& state, const postgres::snapshot_plan& plan) {
  state.at = table_state::phase::snapshot;
  state.label = plan.label;
  state.committed_at = plan.committed_at;
  state.row_estimate = plan.row_estimate;
  state.parts = parts_of(plan);
  state.fill_until = lsn{UINT64_MAX};
  state.done.clear();
}

void start_reading(snapshotter_ptr self, const job_ptr& x) {
  x->awaited = nullptr;
  self->state.context.numbers->resumes("transactions");
  x->reading = true;
  x->todo.clear();
  for (uint64_t i = 0; i < x->plan->chunks.size(); ++i)
    if (!x->state.is_done(i))
      x->todo.push_back(i);
  x->numbers->snapshot_reading();
  spdlog::info("snapshot of {}: {} of {} chunk(s) to read, about {} rows, "
               "label {}",
               x->order.table->full_name(), x->todo.size(),
               x->plan->chunks.size(), x->state.row_estimate,
               to_string(x->state.label));
  hand_out(self);
}

void look_for_transactions(snapshotter_ptr self, const job_ptr& x,
                           const xid_list_ptr& running) {
  if (running->empty()) {
    start_reading(self, x);
    return;
  }
  auto fresh = x->awaited == nullptr;
  x->awaited = running;
  std::string names;
  for (auto id : *running)
    names += " " + std::to_string(id);
  self->state.context.numbers->waits(
    "transactions", "snapshot of " + x->order.table->full_name()
                      + " waits for transactions" + names);
  if (fresh)
    spdlog::info("snapshot of {} waits until these transactions have ended:{}",
                 x->order.table->full_name(), names);
  tick_later(self);
}

void wait_for_transactions(snapshotter_ptr self, const job_ptr& x) {
  x->numbers->snapshot_planned(x->state.row_estimate, x->plan->chunks.size(),
                               x->state.count_done(), 0);
  self->request(self->state.source, caf::infinite, atom::running_v)
    .then(
      [self, x](const xid_list_ptr& xs) { //
        look_for_transactions(self, x, xs);
      },
      quit_on_error(self));
}

// Shown until the table answers.
void try_later(snapshotter_ptr self, const job_ptr& x, const caf::error& why) {
  auto& st = self->state;
  auto name = x->order.table->full_name();
  if (x->pause == 0)
    spdlog::warn("the snapshot of {} waits: {}", name, text_of(why));
  x->pause = std::clamp(x->pause * 2, first_pause, longest_pause);
  x->try_at = st.ticks + x->pause;
  st.context.numbers->waits(name, "its snapshot waits: " + text_of(why));
  tick_later(self);
}

void goes_on(snapshotter_ptr self, snapshotter_state::job& x) {
  if (x.pause == 0)
    return;
  x.pause = 0;
  x.try_at = 0;
  auto name = x.order.table->full_name();
  spdlog::info("the snapshot of {} goes on", name);
  self->state.context.numbers->resumes(name);
}

// Who ordered the snapshot decides what that means.
void drop_job(snapshotter_ptr self, const job_ptr& x, const caf::error& why) {
  auto& jobs = self->state.jobs;
  goes_on(self, *x);
  jobs.erase(std::find(jobs.begin(), jobs.end(), x));
  x->promise.deliver(why);
}

bool has_key(const snapshotter_state::job& x) {
  return x.order.table->identity == table_identity::key;
}

// Without a key a table is read in an exported snapshot, which takes a slot:
// one after the other.
bool must_wait_for_others(snapshotter_ptr self, const job_ptr& x) {
  auto& st = self->state;
  auto exports = [&](const job_ptr& y) { return y != x && y->exporting; };
  if (has_key(*x) || std::none_of(st.jobs.begin(), st.jobs.end(), exports))
    return false;
  x->unplanned = true;
  x->pause = 1;
  x->try_at = st.ticks + 1;
  tick_later(self);
  return true;
}

// Waits for transactions in either case: an exported snapshot may take for
// committed what is in the log and not yet so for those who look.
void start_plan(snapshotter_ptr self, const job_ptr& x) {
  if (has_key(*x)) {
    // Rows may come before the plan is durable: read again by another plan,
    // each has the same version or a higher one.
    save_progress(self, x);
    wait_for_transactions(self, x);
    return;
  }
  self->request(self->state.store, caf::infinite, atom::save_v, as_state(*x))
    .then([self, x](atom::ack) { wait_for_transactions(self, x); },
          quit_on_error(self));
}

void make_plan(snapshotter_ptr self, const job_ptr& x) {
  if (must_wait_for_others(self, x))
    return;
  x->exporting = !has_key(*x);
  self
    ->request(self->state.source, caf::infinite, atom::plan_v, x->order.table,
              x->state.label)
    .then(
      [self, x](const snapshot_plan_ptr& plan) {
        x->plan = x->state.only.empty() ? plan : part_of(*plan, x->state.only);
        goes_on(self, *x);
        remember_plan(x->state, *x->plan);
        start_plan(self, x);
      },
      [self, x](const caf::error& err) {
        if (err == ec::table_unsuitable) {
          drop_job(self, x, err);
        } else if (err == ec::source_failed) {
          x->exporting = false;
          x->unplanned = true;
          try_later(self, x, err);
        } else {
          self->quit(err);
        }
      });
}

// -- the end ------------------------------------------------------------------

// Rows that the target has from before the label are gone in the source: a
// truncate just below it, which passes through the router as any other.
change_batch_ptr removal_of_old_rows(const snapshotter_state::job& x) {
  auto result = std::make_shared<change_batch>();
  result->tables.push_back(x.order.table);
  result->transactions.push_back(
    {lsn{x.state.label.value - 1}, x.state.committed_at, 0});
  change c;
  c.op = operation::truncate;
  c.minor = UINT64_MAX;
  result->changes.push_back(c);
  return result;
}

void finish(snapshotter_ptr self, const job_ptr& x) {
  self->request(self->state.store, caf::infinite, atom::save_v, as_state(*x))
    .then(
      [self, x](atom::ack) {
        auto& jobs = self->state.jobs;
        x->numbers->snapshot_done();
        spdlog::info("snapshot of {} is complete: {} rows",
                     x->order.table->full_name(), x->rows);
        jobs.erase(std::find(jobs.begin(), jobs.end(), x));
        x->promise.deliver(x->state.fill_until);
      },
      quit_on_error(self));
}

// The stream has passed the label when all before it is durable.
bool stream_is_behind(snapshotter_ptr self, const job_ptr& x) {
  auto durable = self->state.context.numbers->durable_position.value();
  return lsn{static_cast<uint64_t>(durable)} < x->state.label;
}

void end_job(snapshotter_ptr self, const job_ptr& x) {
  x->ending = true;
  // Rows of before the label, which the snapshot has too, are removed below:
  // none may come after that.
  x->behind = !has_key(*x) && stream_is_behind(self, x);
  if (x->behind) {
    tick_later(self);
    return;
  }
  self->request(self->state.source, caf::infinite, atom::position_v)
    .then(
      [self, x](lsn end) {
        x->state.at = table_state::phase::streaming;
        x->state.only.clear();
        x->state.fill_until = has_key(*x) ? end : x->state.label;
        x->state.done.clear();
        if (!x->state.retake && has_key(*x)) {
          finish(self, x);
          return;
        }
        x->state.retake = false;
        self
          ->request(self->state.router, caf::infinite, removal_of_old_rows(*x))
          .then([self, x](atom::ack) { finish(self, x); }, quit_on_error(self));
      },
      quit_on_error(self));
}

// -- chunks -------------------------------------------------------------------

// Writes the state, at most one write at a time.
void save_progress(snapshotter_ptr self, const job_ptr& x) {
  if (x->saving) {
    x->save_again = true;
    return;
  }
  x->saving = true;
  x->save_again = false;
  self->request(self->state.store, caf::infinite, atom::save_v, as_state(*x))
    .then(
      [self, x](atom::ack) {
        if (fails_at(self, "chunk_durable.after"))
          return;
        x->saving = false;
        if (x->save_again)
          save_progress(self, x);
        else
          hand_out(self);
      },
      quit_on_error(self));
}

void chunk_done(snapshotter_ptr self, const job_ptr& x, uint64_t chunk,
                uint64_t rows) {
  if (fails_at(self, "chunk_durable.before"))
    return;
  x->state.set_done(chunk);
  x->rows += rows;
  x->numbers->snapshot_chunk(rows);
  save_progress(self, x);
}

void plan_again(snapshotter_ptr self, const job_ptr& x, const caf::error& why) {
  spdlog::warn("snapshot of {} starts again: {}", x->order.table->full_name(),
               render(why));
  ++x->generation;
  goes_on(self, *x);
  x->reading = false;
  x->todo.clear();
  // What may be saved meanwhile: the old plan is of no use.
  x->state.at = table_state::phase::fresh;
  x->state.label = lsn{};
  x->state.only.clear();
  x->state.retake = true;
  // Its columns may have changed too: a plan by the old ones would fail again.
  self->request(self->state.source, caf::infinite, atom::tables_v)
    .then(
      [self, x](const table_list_ptr& tables) {
        auto name = x->order.table->full_name();
        auto i
          = std::find_if(tables->begin(), tables->end(), [&](const auto& t) {
              return t->full_name() == name && t->oid == x->order.table->oid;
            });
        if (i == tables->end()) {
          drop_job(self, x,
                   caf::make_error(ec::table_unsuitable,
                                   name + ": it is not there any more"));
          return;
        }
        x->order.table = *i;
        if ((*i)->shape)
          x->state.shape = successor(x->state.shape, *(*i)->shape);
        make_plan(self, x);
      },
      quit_on_error(self));
}

void send_chunk(snapshotter_ptr self, const job_ptr& x, size_t reader,
                uint64_t chunk) {
  auto& st = self->state;
  ++x->open;
  ++st.readers[reader].open;
  auto order = std::make_shared<chunk_order>();
  order->plan = x->plan;
  order->chunk = chunk;
  auto returned = [self, x, reader] {
    --x->open;
    --self->state.readers[reader].open;
  };
  self
    ->request(st.readers[reader].reader, caf::infinite, chunk_order_ptr{order})
    .then(
      [self, x, chunk, returned, generation = x->generation](uint64_t rows) {
        returned();
        goes_on(self, *x);
        if (generation == x->generation)
          chunk_done(self, x, chunk, rows);
        hand_out(self);
      },
      [self, x, chunk, returned,
       generation = x->generation](const caf::error& err) {
        returned();
        auto current = generation == x->generation;
        if (err == ec::source_failed) {
          if (current) {
            x->todo.push_front(chunk);
            try_later(self, x, err);
          }
          hand_out(self);
        } else if (err != ec::table_unsuitable) {
          self->quit(err);
        } else if (current) {
          plan_again(self, x, err);
        } else {
          hand_out(self);
        }
      });
}

size_t least_busy(const snapshotter_state& st) {
  auto less = [](const auto& a, const auto& b) { return a.open < b.open; };
  auto i = std::min_element(st.readers.begin(), st.readers.end(), less);
  return i - st.readers.begin();
}

// Gives each reader that has room the next chunk; ends tables without any.
void hand_out(snapshotter_ptr self) {
  auto& st = self->state;
  auto jobs = st.jobs;
  for (const auto& x : jobs) {
    if (!x->reading || x->ending)
      continue;
    // Of a table that was locked one chunk is enough to see whether it is.
    auto locked = x->pause != 0;
    while (!x->todo.empty() && st.ticks >= x->try_at) {
      auto reader = least_busy(st);
      if (st.readers[reader].open >= chunks_per_reader)
        break;
      auto chunk = x->todo.front();
      x->todo.pop_front();
      if (locked)
        x->try_at = SIZE_MAX;
      send_chunk(self, x, reader, chunk);
    }
    if (x->todo.empty() && x->open == 0 && !x->saving)
      end_job(self, x);
  }
}

void log_progress(const snapshotter_state& st) {
  for (const auto& x : st.jobs) {
    if (!x->reading)
      continue;
    auto seen = x->numbers->look(now_microseconds());
    auto left = seen.seconds_left < 0
                  ? std::string{}
                  : fmt::format(", about {:.0f} s left", seen.seconds_left);
    spdlog::info(
      "snapshot of {}: {} of about {} rows, {} of {} chunk(s), {:.0f} "
      "rows/s{}",
      x->order.table->full_name(), x->rows, x->state.row_estimate,
      x->state.count_done(), x->plan->chunks.size(), seen.rows_per_second,
      left);
  }
}

void ask_for_transactions(snapshotter_ptr self, const job_ptr& x) {
  x->asking = true;
  self->request(self->state.source, caf::infinite, atom::running_v, x->awaited)
    .then(
      [self, x](const xid_list_ptr& xs) {
        x->asking = false;
        look_for_transactions(self, x, xs);
      },
      quit_on_error(self));
}

void tick(snapshotter_ptr self) {
  auto& st = self->state;
  st.ticking = false;
  if (++st.ticks % ticks_per_log_line == 0)
    log_progress(st);
  auto due = false;
  for (const auto& x : st.jobs) {
    if (x->awaited && !x->asking)
      ask_for_transactions(self, x);
    if (x->behind)
      end_job(self, x);
    if (x->pause == 0 || st.ticks < x->try_at)
      continue;
    due = true;
    if (std::exchange(x->unplanned, false))
      make_plan(self, x);
  }
  if (due)
    hand_out(self);
  tick_later(self);
}

} // namespace

snapshotter_actor::behavior_type
snapshotter(snapshotter_ptr self, unit context, source_agent_actor source,
            state_store_actor store, router_actor router,
            std::vector<snapshot_reader_actor> readers) {
  set_default_handlers(self);
  auto& st = self->state;
  st.context = std::move(context);
  st.source = std::move(source);
  st.store = std::move(store);
  st.router = std::move(router);
  for (auto& x : readers) {
    self->link_to(x);
    st.readers.push_back({std::move(x), 0});
  }
  return {
    [self](const snapshot_order_ptr& order) -> caf::result<lsn> {
      auto& st = self->state;
      auto x = std::make_shared<snapshotter_state::job>();
      x->order = *order;
      x->state = order->state;
      x->promise = self->make_response_promise<lsn>();
      x->numbers = st.context.numbers->table(order->table->full_name());
      st.jobs.push_back(x);
      tick_later(self);
      if (x->state.at == table_state::phase::snapshot && !has_key(*x)) {
        // The snapshot in which it was read has ended with its session.
        x->state = table_state{};
        x->state.oid = x->order.state.oid;
        x->state.shape = x->order.state.shape;
        x->state.retake = true;
      }
      if (x->state.at == table_state::phase::snapshot) {
        x->plan = restore_plan(x->order, x->state);
        wait_for_transactions(self, x);
      } else {
        make_plan(self, x);
      }
      return x->promise;
    },
    [self](atom::tick) { tick(self); },
  };
}

} // namespace millrace
