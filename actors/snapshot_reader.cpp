#include "actors/snapshot_reader.hpp"

#include "actors/failing.hpp"
#include "actors/setup.hpp"

#include <caf/send.hpp>

namespace millrace {

namespace {

using self_ptr = snapshot_reader_actor::stateful_pointer<snapshot_reader_state>;
using chunk_ptr = std::shared_ptr<snapshot_reader_state::open_chunk>;

class connection : public chunk_source {
public:
  explicit connection(postgres::source_options options)
    : reader_(std::move(options)) {
    // nop
  }

  int fd() const override {
    return reader_.fd();
  }

  result<void> start(const postgres::snapshot_plan& plan,
                     const postgres::chunk& x) override {
    return reader_.start(plan, x);
  }

  result<postgres::chunk_reader::outcome>
  read(const postgres::read_limits& limits) override {
    return reader_.read(limits);
  }

  result<void> finish() override {
    return reader_.finish();
  }

  void abandon() override {
    reader_.abandon();
  }

private:
  postgres::chunk_reader reader_;
};

bool window_is_full(const snapshot_reader_state& st) {
  return st.in_flight_bytes >= st.limits.window_bytes;
}

void read_again(self_ptr self) {
  auto& st = self->state;
  if (st.reading || st.orders.empty() || window_is_full(st))
    return;
  st.reading = true;
  self->send(self, atom::readable_v);
}

void wait_for_data(self_ptr self) {
  auto& st = self->state;
  if (!st.watch || st.watched_fd != st.source->fd()) {
    st.watched_fd = st.source->fd();
    st.watch = std::make_unique<readiness_watch>(
      st.watched_fd, [hdl = snapshot_reader_actor{self}] {
        caf::anon_send(hdl, atom::readable_v);
      });
  }
  st.reading = true;
  st.watch->arm();
}

void answer_if_durable(snapshot_reader_state::open_chunk& x) {
  if (x.read && x.batches == 0)
    x.promise.deliver(x.rows);
}

void count_in_flight(snapshot_reader_state& st, int64_t delta) {
  st.in_flight_bytes += delta;
  st.context.numbers->snapshot_in_flight_bytes.add(delta);
}

void forward(self_ptr self, change_batch_ptr batch, const chunk_ptr& chunk) {
  auto& st = self->state;
  auto bytes = static_cast<int64_t>(batch->bytes());
  count_in_flight(st, bytes);
  ++chunk->batches;
  chunk->rows += batch->changes.size();
  st.moved = self->clock().now();
  self->request(st.router, caf::infinite, std::move(batch))
    .then(
      [self, chunk, bytes](atom::ack) {
        count_in_flight(self->state, -bytes);
        self->state.moved = self->clock().now();
        --chunk->batches;
        answer_if_durable(*chunk);
        read_again(self);
      },
      quit_on_error(self));
}

// The table is not what the plan describes, or somebody keeps it locked: who
// ordered the chunk decides. Anything else ends the unit.
void give_up(self_ptr self, failure why) {
  auto& st = self->state;
  const auto& order = st.orders.front();
  // Without a key rows have other places when they are read again.
  if (why.code == ec::source_failed && order.chunk->rows > 0
      && order.order->plan->table->identity != table_identity::key)
    why.code = ec::table_unsuitable;
  if (why.code != ec::table_unsuitable && why.code != ec::source_failed) {
    self->quit(to_error(why));
    return;
  }
  auto chunk = st.orders.front().chunk;
  st.orders.pop_front();
  st.started = false;
  chunk->promise.deliver(to_error(why));
  read_again(self);
}

void end_chunk(self_ptr self) {
  auto& st = self->state;
  if (fails_at(self, "chunk_read.after"))
    return;
  auto done = st.source->finish();
  if (!done)
    return give_up(self, done.error());
  auto chunk = st.orders.front().chunk;
  st.orders.pop_front();
  st.started = false;
  chunk->read = true;
  answer_if_durable(*chunk);
  read_again(self);
}

void tick_later(self_ptr self) {
  auto& st = self->state;
  if (st.ticking || !st.started)
    return;
  st.ticking = true;
  self->delayed_send(self, std::chrono::seconds{1}, atom::tick_v);
}

// The target is away: the chunk's transaction must not stay open as long.
void abandon(self_ptr self) {
  auto& st = self->state;
  auto& front = st.orders.front();
  const auto& table = *front.order->plan->table;
  spdlog::info("the target does not answer: a chunk of {} will be read again",
               table.full_name());
  st.watch = nullptr;
  st.watched_fd = -1;
  st.reading = false;
  st.source->abandon();
  st.started = false;
  ++front.abandoned;
  if (table.identity != table_identity::key)
    give_up(self, {ec::source_failed, "reading was interrupted"});
  else
    front.chunk->rows = 0;
}

void tick(self_ptr self) {
  auto& st = self->state;
  st.ticking = false;
  if (!st.started)
    return;
  auto patience
    = st.limits.patience * (1 << std::min(st.orders.front().abandoned, 7u));
  if (window_is_full(st) && self->clock().now() - st.moved >= patience)
    abandon(self);
  tick_later(self);
}

void read(self_ptr self) {
  auto& st = self->state;
  if (st.orders.empty() || window_is_full(st))
    return;
  const auto& front = st.orders.front();
  if (!st.started) {
    if (fails_at(self, "chunk_read.before"))
      return;
    auto begun = st.source->start(
      *front.order->plan, front.order->plan->chunks[front.order->chunk]);
    if (!begun)
      return give_up(self, begun.error());
    st.started = true;
    st.moved = self->clock().now();
    tick_later(self);
  }
  auto outcome = st.source->read(st.limits.batch);
  if (!outcome)
    return give_up(self, outcome.error());
  if (outcome->batch)
    forward(self, std::move(outcome->batch), front.chunk);
  if (outcome->done)
    end_chunk(self);
  else if (outcome->drained)
    wait_for_data(self);
  else
    read_again(self);
}

} // namespace

chunk_source_ptr make_chunk_source(postgres::source_options options) {
  return std::make_unique<connection>(std::move(options));
}

snapshot_reader_actor::behavior_type
snapshot_reader(self_ptr self, unit context, chunk_source_ptr source,
                router_actor router, snapshot_limits limits) {
  set_default_handlers(self);
  auto& st = self->state;
  st.context = std::move(context);
  st.source = std::move(source);
  st.router = std::move(router);
  st.limits = limits;
  return {
    [self](const chunk_order_ptr& order) -> caf::result<uint64_t> {
      auto promise = self->make_response_promise<uint64_t>();
      auto chunk = std::make_shared<snapshot_reader_state::open_chunk>();
      chunk->promise = promise;
      self->state.orders.push_back({order, chunk});
      read_again(self);
      return promise;
    },
    [self](atom::readable) {
      self->state.reading = false;
      read(self);
    },
    [self](atom::tick) { tick(self); },
  };
}

} // namespace millrace
