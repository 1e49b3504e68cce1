#include "actors/batching_sink.hpp"

#include "actors/failing.hpp"
#include "actors/setup.hpp"

#include <algorithm>

namespace millrace {

namespace {

using sink_ptr = sink_actor::stateful_pointer<batching_sink_state>;
using std::chrono::milliseconds;

bool is_full(const batching_sink_state& st) {
  return st.queued_rows >= st.limits.rows || st.queued_bytes >= st.limits.bytes;
}

// What is older than a second is not made later by waiting a little.
bool is_catching_up(const batching_sink_state& st) {
  auto oldest = st.queue.front().block->oldest_commit;
  return oldest == 0 || now_microseconds() - oldest > 1'000'000;
}

// When the next insert may start.
batching_sink_state::time_point due(const batching_sink_state& st) {
  auto share = milliseconds{static_cast<int64_t>(
    1000.0 * st.active->load() / st.limits.inserts_per_second)};
  auto earliest = st.last_start + std::max(st.limits.flush_wait, share);
  if (!is_catching_up(st))
    return earliest;
  return std::max(earliest, std::min(st.last_start + st.limits.catch_up_wait,
                                     st.last_block + st.limits.catch_up_quiet));
}

void set_active(batching_sink_state& st, bool active) {
  if (st.is_active == active)
    return;
  st.is_active = active;
  *st.active += active ? 1 : -1;
}

void plan_flush(sink_ptr self);

// Each shard of a table makes a description of its own.
bool same_shape(const target_table_ptr& a, const target_table_ptr& b) {
  return a == b || a->columns == b->columns;
}

// Takes blocks of one shape from the queue.
std::vector<batching_sink_state::queued>
take(batching_sink_state& st, insert_job& job) {
  std::vector<batching_sink_state::queued> result;
  auto shape = st.queue.front().block->table;
  while (!st.queue.empty() && same_shape(st.queue.front().block->table, shape)
         && job.rows < st.limits.rows && job.bytes < st.limits.bytes) {
    auto& x = st.queue.front();
    if (x.alone && !result.empty())
      break;
    auto alone = x.alone;
    job.rows += x.block->rows;
    job.bytes += x.block->native.size();
    job.blocks.push_back(x.block);
    result.push_back(std::move(x));
    st.queue.pop_front();
    if (alone)
      break;
  }
  st.queued_rows -= job.rows;
  st.queued_bytes -= job.bytes;
  return result;
}

void count_insert(batching_sink_state& st, const insert_job& job,
                  std::chrono::duration<double> took) {
  auto& all = *st.context.numbers;
  all.insert_seconds.observe(took.count());
  all.insert_rows.observe(static_cast<double>(job.rows));
  st.numbers->inserts.add();
  st.numbers->rows_written.add(job.rows);
  st.numbers->bytes_written.add(job.bytes);
  auto now = now_microseconds();
  for (const auto& block : job.blocks)
    if (block->oldest_commit != 0)
      all.commit_to_visible.observe(
        static_cast<double>(now - block->oldest_commit) / 1e6);
}

// Some rows of a refused insert: of several blocks each is tried alone.
void refused(sink_ptr self, std::vector<batching_sink_state::queued>& taken,
             const insert_job& job, const caf::error& err) {
  auto& st = self->state;
  --st.inserting;
  if (err == ec::rows_refused && taken.size() > 1) {
    for (auto i = taken.rbegin(); i != taken.rend(); ++i) {
      i->alone = true;
      st.queue.push_front(std::move(*i));
    }
    st.queued_rows += job.rows;
    st.queued_bytes += job.bytes;
    st.urgent = true;
  } else {
    for (auto& x : taken)
      x.promise.deliver(err);
  }
  set_active(st, st.inserting > 0 || !st.queue.empty());
  plan_flush(self);
}

void flush(sink_ptr self) {
  auto& st = self->state;
  auto job = std::make_shared<insert_job>();
  auto taken = take(st, *job);
  ++st.inserting;
  st.urgent = st.urgent && !st.queue.empty();
  auto start = self->clock().now();
  st.last_start = start;
  auto sent = std::make_shared<std::vector<batching_sink_state::queued>>(
    std::move(taken));
  self->request(st.pool, caf::infinite, insert_job_ptr{job})
    .then(
      [self, job, start, sent](atom::ack) {
        if (fails_at(self, "insert_answered.before"))
          return;
        auto& st = self->state;
        count_insert(st, *job, self->clock().now() - start);
        for (auto& x : *sent)
          x.promise.deliver(atom::ack_v);
        if (fails_at(self, "insert_answered.after"))
          return;
        --st.inserting;
        set_active(st, st.inserting > 0 || !st.queue.empty());
        plan_flush(self);
      },
      [self, job, sent](const caf::error& err) {
        if (err == ec::rows_refused || err == ec::table_unsuitable) {
          refused(self, *sent, *job, err);
          return;
        }
        spdlog::error("{} cannot write: {}", *self, render(err));
        self->quit(err);
      });
}

// The server is better used by two inserts that are large than by one; small
// ones would only be more.
bool may_insert(const batching_sink_state& st) {
  constexpr size_t most = 2;
  return st.inserting == 0 || (st.inserting < most && is_full(st));
}

// Keeps exactly one timer, and none while an insert is in flight.
void plan_flush(sink_ptr self) {
  auto& st = self->state;
  if (st.queue.empty() || !may_insert(st))
    return;
  if (st.urgent || is_full(st)) {
    flush(self);
    return;
  }
  auto wait = due(st) - self->clock().now();
  if (wait.count() <= 0) {
    flush(self);
    return;
  }
  if (st.timer_set)
    return;
  st.timer_set = true;
  self->delayed_send(self, std::chrono::ceil<milliseconds>(wait), atom::tick_v);
}

} // namespace

sink_actor::behavior_type
batching_sink(sink_ptr self, unit context, std::string table,
              inserter_actor pool, sink_limits limits, active_sinks active) {
  set_default_handlers(self);
  auto& st = self->state;
  st.context = std::move(context);
  st.numbers = st.context.numbers->table(table);
  st.pool = std::move(pool);
  st.limits = limits;
  st.active = std::move(active);
  // Nothing was written for long: the first row does not wait.
  st.last_start = self->clock().now() - std::chrono::hours{1};
  return {
    [self](const row_block_ptr& block) -> caf::result<atom::ack> {
      auto& st = self->state;
      auto promise = self->make_response_promise<atom::ack>();
      st.queued_rows += block->rows;
      st.queued_bytes += block->native.size();
      st.urgent = st.urgent || block->urgent;
      st.queue.push_back({block, promise, block->alone});
      st.last_block = self->clock().now();
      set_active(st, true);
      plan_flush(self);
      return promise;
    },
    [self](atom::flush) {
      self->state.urgent = !self->state.queue.empty();
      plan_flush(self);
    },
    [self](atom::tick) {
      self->state.timer_set = false;
      plan_flush(self);
    },
  };
}

} // namespace millrace
