#pragma once

#include "actors/capture.hpp"
#include "actors/state_marks.hpp"
#include "messages/source_state.hpp"
#include "test/unit/fake_agents.hpp"
#include "test/unit/table_fixture.hpp"

#include <deque>

namespace millrace::test {

/// What a fake replication stream brings, and what it was told.
struct fake_stream {
  std::deque<result<postgres::read_outcome>> reads;
  size_t read_calls = 0;
  size_t ticks = 0;
  std::vector<lsn> confirmed;
  std::vector<table_description_ptr> described;
  std::vector<std::string> skipped;
  std::vector<uint32_t> skipped_oids;
  std::vector<std::pair<std::string, lsn>> passed_over;
  result<void> tick_result;
  result<void> confirm_result;
  lsn server;
  lsn received;

  bool may_renew = false;
  size_t renewals = 0;

  /// Small batches are kept while the caller gathers.
  bool small = false;
};

class fake_replication : public postgres::replication_reader {
public:
  explicit fake_replication(std::shared_ptr<fake_stream> x) : x_(std::move(x)) {
    // nop
  }

  // Never readable: tests say when there is something.
  int fd() const override {
    return -1;
  }

  result<postgres::read_outcome>
  read(const postgres::read_limits& limits) override {
    ++x_->read_calls;
    if (x_->reads.empty() || (limits.gather && x_->small)) {
      postgres::read_outcome nothing;
      nothing.drained = true;
      return nothing;
    }
    auto result = x_->reads.front();
    x_->reads.pop_front();
    return result;
  }

  void describe(table_description_ptr table) override {
    x_->described.push_back(std::move(table));
  }

  void skip(const postgres::relation& x) override {
    x_->skipped.push_back(x.name);
    x_->skipped_oids.push_back(x.oid);
  }

  void skip_until(const postgres::relation& x, lsn end) override {
    x_->passed_over.emplace_back(x.name, end);
  }

  result<void> confirm(lsn pos) override {
    x_->confirmed.push_back(pos);
    return x_->confirm_result;
  }

  result<void> tick() override {
    ++x_->ticks;
    return x_->tick_result;
  }

  bool may_renew() const override {
    return x_->may_renew;
  }

  result<void> renew() override {
    ++x_->renewals;
    x_->may_renew = false;
    return {};
  }

  lsn server_position() const override {
    return x_->server;
  }

  lsn received() const override {
    return x_->received;
  }

private:
  std::shared_ptr<fake_stream> x_;
};

using snapshot_inbox = inbox_ptr<snapshot_order_ptr, lsn>;
using fake_snapshotter = fake<snapshotter_actor>;

inline fake_snapshotter::behavior_type
snapshotter_of(fake_snapshotter::stateful_pointer<fake_state> self,
               snapshot_inbox box) {
  return {
    [=](const snapshot_order_ptr& order) {
      return keep<snapshot_order_ptr, lsn>(self, box, order);
    },
    [](atom::tick) {},
    run_errands(),
  };
}

/// CAPTURE among fakes. The source has the table `orders`; its slot begins at
/// 100.
struct capture_fixture : peers_fixture {
  capture_fixture()
    : orders(table("orders", {column("id", value_kind::int8, false, 0),
                              column("body", value_kind::text, false)})),
      source_log(std::make_shared<source_script>()),
      store_log(std::make_shared<target_script>()),
      stream(std::make_shared<fake_stream>()),
      batches(make_inbox<change_batch_ptr, atom::ack>()),
      snapshots(make_inbox<snapshot_order_ptr, lsn>()) {
    auto& start = source_log->start;
    start.identity = {"7000", 1, lsn{10'000}, "shop", 150'000};
    start.tables = {orders};
    start.start = lsn{100};
    source_log->tables = start.tables;
    source_log->reader = std::make_shared<fake_replication>(stream);
    source = own(sys.spawn(fake_source_agent, source_log));
    store = own(sys.spawn(fake_target_agent, store_log));
    router = own(
      sys.spawn(fake_router_of, batches, make_inbox<std::string, atom::ack>()));
    snapshotter = own(sys.spawn(snapshotter_of, snapshots));
  }

  /// Up to the announcement of the tables.
  void start() {
    hdl = own(sys.spawn(capture, context, options,
                        capture_peers{source, source,
                                      caf::actor_cast<state_store_actor>(store),
                                      router, snapshotter}));
    end = watch_end(hdl);
    consume_messages();
  }

  /// The target tables are there.
  void accept_announcement() {
    if (batches->size() == 0 || !batches->back()->changes.empty())
      CAF_FAIL("nothing was announced");
    answer(router, batches, batches->size() - 1, atom::ack_v);
    first_batch = batches->size();
  }

  /// The catalogue has `orders` under this OID from now on.
  void number_orders(uint32_t oid) {
    auto copy = std::make_shared<table_description>(*orders);
    copy->oid = oid;
    orders = copy;
    source_log->tables = source_log->start.tables = {orders};
  }

  /// Up to the stream.
  void start_streaming() {
    start();
    accept_announcement();
  }

  /// The state of a run before, in which `orders` was complete at 500.
  void was_here(lsn received = lsn{5'000}) {
    auto& stored = store_log->stored;
    stored[{"source", "identity"}]
      = to_json(source_state{"7000", 1, "shop", received, lsn{3'000}});
    table_state state;
    state.at = table_state::phase::streaming;
    state.fill_until = lsn{500};
    stored[{"table", "public.orders"}] = to_json(state);
  }

  table_state saved(const std::string& name = "public.orders") {
    auto x = parse_table_state(store_log->state("table", name));
    if (!x)
      CAF_FAIL(x.error().text);
    return *x;
  }

  source_state saved_source() {
    auto x = parse_source_state(store_log->state("source", "identity"));
    if (!x)
      CAF_FAIL(x.error().text);
    return *x;
  }

  /// The batch with this number after the announcement is durable.
  void make_durable(size_t batch) {
    answer(router, batches, first_batch + batch, atom::ack_v);
  }

  /// Batches of rows that have reached the router.
  size_t passed_on() const {
    return batches->size() - first_batch;
  }

  postgres::read_outcome rows(lsn complete, size_t bytes = 10) {
    batch_builder b{orders};
    b.batch.transactions.back().commit = complete;
    b.insert({"1", std::string(bytes, 'x')});
    return brings(b, complete);
  }

  static postgres::read_outcome brings(const batch_builder& b, lsn complete) {
    postgres::read_outcome result;
    result.batch = std::make_shared<change_batch>(b.batch);
    for (uint32_t i = 0; i < b.batch.changes.size(); ++i) {
      const auto& x = b.batch.changes[i];
      if (x.row == change::no_row)
        continue;
      auto width = b.batch.tables[x.table]->columns.size();
      for (size_t c = 0; c < width; ++c)
        if (b.batch.cells[x.row + c].size == cell::unchanged) {
          result.with_unchanged.push_back(i);
          break;
        }
    }
    result.complete = complete;
    return result;
  }

  void give(postgres::read_outcome x) {
    stream->reads.push_back(std::move(x));
  }

  /// The socket has turned readable.
  void readable() {
    caf::anon_send(hdl, atom::readable_v);
    consume_messages();
  }

  lsn confirmed() const {
    return stream->confirmed.empty() ? lsn{} : stream->confirmed.back();
  }

  capture_options options;
  table_description_ptr orders;
  source_script_ptr source_log;
  target_script_ptr store_log;
  std::shared_ptr<fake_stream> stream;
  router_inbox batches;
  snapshot_inbox snapshots;
  fake_source source;
  fake_target store;
  fake_router router;
  fake_snapshotter snapshotter;
  capture_actor hdl;
  std::shared_ptr<std::string> end;
  size_t first_batch = 0;
};

} // namespace millrace::test
