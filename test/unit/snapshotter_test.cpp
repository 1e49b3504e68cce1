#define CAF_SUITE snapshotter

#include "actors/snapshotter.hpp"
#include "test/unit/fake_agents.hpp"
#include "test/unit/table_fixture.hpp"

using namespace millrace;
using namespace millrace::test;

namespace {

using chunk_inbox = inbox_ptr<chunk_order_ptr, uint64_t>;
using fake_reader = fake<snapshot_reader_actor>;
using log_type = std::vector<std::string>;

fake_reader::behavior_type
reader_of(fake_reader::stateful_pointer<fake_state> self, chunk_inbox box) {
  return {
    [=](const chunk_order_ptr& order) {
      return keep<chunk_order_ptr, uint64_t>(self, box, order);
    },
    [](atom::readable) {},
    [](atom::tick) {},
    run_errands(),
  };
}

struct fixture : peers_fixture {
  fixture()
    : orders(table("orders", {column("id", value_kind::int8, false, 0)})),
      items(table("items", {column("id", value_kind::int8, false, 0)})),
      source_log(std::make_shared<source_script>()),
      store_log(std::make_shared<target_script>()),
      batches(make_inbox<change_batch_ptr, atom::ack>()) {
    source_log->tables = {orders, items};
    source = own(sys.spawn(fake_source_agent, source_log));
    store = own(sys.spawn(fake_target_agent, store_log));
    router = own(
      sys.spawn(fake_router_of, batches, make_inbox<std::string, atom::ack>()));
  }

  void start(size_t readers) {
    std::vector<snapshot_reader_actor> handles;
    for (size_t i = 0; i < readers; ++i) {
      chunks.push_back(make_inbox<chunk_order_ptr, uint64_t>());
      fakes.push_back(own(sys.spawn(reader_of, chunks.back())));
      handles.push_back(fakes.back());
    }
    hdl = own(sys.spawn(snapshotter, context, source,
                        caf::actor_cast<state_store_actor>(store), router,
                        std::move(handles)));
    end = watch_end(hdl);
    consume_messages();
  }

  asked_ptr<lsn> order(const table_description_ptr& x, table_state state = {}) {
    return ask<lsn>(hdl, snapshot_order_ptr{std::make_shared<snapshot_order>(
                           snapshot_order{x, std::move(state)})});
  }

  // The chunk orders that reader has got, by chunk.
  std::vector<size_t> given(size_t reader) {
    std::vector<size_t> result;
    for (const auto& x : chunks[reader]->all)
      result.push_back(x.what->chunk);
    return result;
  }

  void make_durable(size_t reader, size_t nth, uint64_t rows = 5) {
    answer(fakes[reader], chunks[reader], nth, rows);
  }

  table_state saved(const char* name = "public.orders") {
    auto x = parse_table_state(store_log->state("table", name));
    if (!x)
      CAF_FAIL(x.error().text);
    return *x;
  }

  table_metrics::view progress() {
    return context.numbers->table("public.orders")->look(now_microseconds());
  }

  table_description_ptr orders;
  table_description_ptr items;
  source_script_ptr source_log;
  target_script_ptr store_log;
  router_inbox batches;
  fake_source source;
  fake_target store;
  fake_router router;
  std::vector<chunk_inbox> chunks;
  std::vector<fake_reader> fakes;
  snapshotter_actor hdl;
  std::shared_ptr<std::string> end;
};

using indexes = std::vector<size_t>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(snapshotter_tests, fixture)

CAF_TEST(a snapshot is done when all its chunks are durable) {
  start(2);
  table_state state;
  state.label = lsn{500};
  auto done = order(orders, state);
  CAF_REQUIRE_EQUAL(source_log->plans->size(), 1u);
  CAF_CHECK((source_log->plans->back().label == lsn{500}));
  CAF_CHECK_EQUAL(given(0), (indexes{0, 2}));
  CAF_CHECK_EQUAL(given(1), indexes{1});
  source_log->position = lsn{777};
  make_durable(0, 0);
  make_durable(1, 0);
  CAF_CHECK_EQUAL(source_log->count("position"), 0u);
  CAF_CHECK(done->pending());
  make_durable(0, 1);
  CAF_REQUIRE(done->answered());
  CAF_CHECK((*done->value == lsn{777}));
  CAF_CHECK(saved().at == table_state::phase::streaming);
  CAF_CHECK((saved().fill_until == lsn{777}));
  CAF_CHECK_EQUAL(batches->size(), 0u);
  CAF_CHECK(progress().phase == snapshot_phase::done);
  CAF_CHECK_EQUAL(progress().rows, 15u);
}

CAF_TEST(chunks are read while the plan is written) {
  store_log->held = {"save"};
  start(1);
  order(orders);
  CAF_CHECK(saved().at == table_state::phase::snapshot);
  CAF_CHECK_EQUAL(chunks[0]->size(), 2u);
  // What is done is written once the plan is, and the end comes after that.
  for (size_t i = 0; i < source_log->chunks; ++i)
    make_durable(0, i);
  CAF_CHECK_EQUAL(store_log->count("save"), 1u);
  CAF_CHECK_EQUAL(source_log->count("position"), 0u);
  answer(store, store_log->saves, 0, atom::ack_v);
  CAF_CHECK_EQUAL(store_log->count("save"), 2u);
  CAF_CHECK_EQUAL(saved().count_done(), source_log->chunks);
  CAF_CHECK_EQUAL(source_log->count("position"), 0u);
  answer(store, store_log->saves, 1, atom::ack_v);
  CAF_CHECK_EQUAL(source_log->count("position"), 1u);
}

CAF_TEST(without key the plan is durable before anything else) {
  store_log->held = {"save"};
  auto keyless = std::make_shared<table_description>(*orders);
  keyless->identity = table_identity::append_only;
  start(1);
  order(keyless);
  CAF_CHECK(saved().at == table_state::phase::snapshot);
  CAF_CHECK((saved().label == source_log->position));
  CAF_CHECK((saved().fill_until == lsn{UINT64_MAX}));
  CAF_CHECK_EQUAL(source_log->count("running"), 0u);
  CAF_CHECK_EQUAL(chunks[0]->size(), 0u);
  answer(store, store_log->saves, 0, atom::ack_v);
  CAF_CHECK_EQUAL(source_log->count("running"), 1u);
  CAF_CHECK_EQUAL(chunks[0]->size(), 2u);
}

CAF_TEST(no chunk is read while a transaction of before runs) {
  source_log->running = {11, 12};
  start(1);
  order(orders);
  CAF_CHECK_EQUAL(chunks[0]->size(), 0u);
  auto waits = context.numbers->look(0).waits;
  CAF_REQUIRE_EQUAL(waits.count("transactions"), 1u);
  CAF_CHECK_NOT_EQUAL(waits["transactions"].why.find("11 12"),
                      std::string::npos);
  CAF_CHECK(progress().phase == snapshot_phase::waiting);
  source_log->running = {12};
  pass(std::chrono::milliseconds{200});
  pass(std::chrono::milliseconds{200});
  CAF_CHECK_EQUAL(chunks[0]->size(), 0u);
  // Those that began later do not matter: it asks for the known ones only.
  CAF_CHECK_EQUAL(source_log->count("running"), 1u);
  CAF_REQUIRE_EQUAL(source_log->still_runnings->size(), 2u);
  CAF_CHECK_EQUAL(*source_log->still_runnings->back(),
                  std::vector<uint64_t>{12});
  source_log->running = {};
  pass(std::chrono::milliseconds{200});
  CAF_CHECK_EQUAL(chunks[0]->size(), 2u);
  CAF_CHECK_EQUAL(context.numbers->look(0).waits.count("transactions"), 0u);
}

CAF_TEST(a source that is slow to answer is not asked again meanwhile) {
  source_log->running = {11};
  source_log->held = {"still running"};
  start(1);
  order(orders);
  for (int i = 0; i < 20; ++i)
    pass(std::chrono::milliseconds{200});
  CAF_CHECK_EQUAL(source_log->count("still running"), 1u);
  answer(source, source_log->still_runnings, 0,
         xid_list_ptr{std::make_shared<std::vector<uint64_t>>()});
  CAF_CHECK_EQUAL(chunks[0]->size(), 2u);
}

CAF_TEST(each durable chunk is remembered) {
  start(1);
  order(orders);
  make_durable(0, 1);
  CAF_CHECK_EQUAL(saved().count_done(), 1u);
  CAF_CHECK(saved().is_done(1));
  CAF_CHECK(!saved().is_done(0));
  CAF_CHECK(saved().at == table_state::phase::snapshot);
}

CAF_TEST(the state is written once at a time) {
  start(2);
  order(orders);
  store_log->held = {"save"};
  auto before = store_log->count("save");
  for (auto [reader, nth] : {std::pair{0, 0}, {1, 0}, {0, 1}})
    make_durable(reader, nth);
  CAF_CHECK_EQUAL(store_log->count("save"), before + 1);
  CAF_CHECK_EQUAL(source_log->count("position"), 0u);
  answer(store, store_log->saves, before, atom::ack_v);
  CAF_CHECK_EQUAL(store_log->count("save"), before + 2);
  CAF_CHECK_EQUAL(saved().count_done(), 3u);
  CAF_CHECK_EQUAL(source_log->count("position"), 0u);
  answer(store, store_log->saves, before + 1, atom::ack_v);
  CAF_CHECK_EQUAL(source_log->count("position"), 1u);
}

CAF_TEST(a restart goes on with the chunks that were not durable) {
  table_state state;
  state.at = table_state::phase::snapshot;
  state.label = lsn{500};
  state.committed_at = 42;
  state.parts = {{0, 777, 10, 4}, {900, 901, 0, 1}};
  state.done = {{0, 1}, {2, 3}};
  start(2);
  auto done = order(orders, state);
  CAF_CHECK_EQUAL(source_log->count("plan"), 0u);
  // Transactions are waited for again: who knows whether it was done before.
  CAF_CHECK_EQUAL(source_log->count("running"), 1u);
  CAF_CHECK_EQUAL(given(0), (indexes{1, 4}));
  CAF_CHECK_EQUAL(given(1), (indexes{3}));
  const auto& plan = *chunks[0]->back()->plan;
  CAF_CHECK((plan.label == lsn{500}));
  CAF_CHECK_EQUAL(plan.committed_at, 42);
  CAF_CHECK_EQUAL(plan.filenode, 777u);
  CAF_REQUIRE_EQUAL(plan.chunks.size(), 5u);
  CAF_CHECK_EQUAL(plan.chunks[1].first, 10u);
  CAF_CHECK_EQUAL(plan.chunks[1].last, 20u);
  CAF_CHECK_EQUAL(plan.chunks[3].last, 0u);
  CAF_CHECK_EQUAL(plan.chunks[4].partition, 900u);
  CAF_CHECK_EQUAL(plan.chunks[4].filenode, 901u);
  CAF_CHECK_EQUAL(plan.chunks[4].first, 0u);
  CAF_CHECK_EQUAL(plan.chunks[4].last, 0u);
  make_durable(0, 0);
  make_durable(0, 1);
  make_durable(1, 0);
  CAF_CHECK(done->answered());
}

CAF_TEST(a plan survives being remembered) {
  start(1);
  order(orders);
  make_durable(0, 0);
  auto state = saved();
  auto before = *chunks[0]->back()->plan;
  stop(hdl);
  start(1);
  order(orders, state);
  CAF_REQUIRE_GREATER(chunks[1]->size(), 0u);
  const auto& after = *chunks[1]->back()->plan;
  CAF_CHECK((after.label == before.label));
  CAF_CHECK_EQUAL(after.filenode, before.filenode);
  CAF_REQUIRE_EQUAL(after.chunks.size(), before.chunks.size());
  for (size_t i = 0; i < before.chunks.size(); ++i) {
    CAF_CHECK_EQUAL(after.chunks[i].first, before.chunks[i].first);
    CAF_CHECK_EQUAL(after.chunks[i].last, before.chunks[i].last);
  }
  CAF_CHECK_EQUAL(given(1), (indexes{1, 2}));
}

CAF_TEST(no reader has more than two chunks) {
  source_log->chunks = 10;
  start(2);
  order(orders);
  CAF_CHECK_EQUAL(chunks[0]->size(), 2u);
  CAF_CHECK_EQUAL(chunks[1]->size(), 2u);
  make_durable(1, 0);
  CAF_CHECK_EQUAL(given(0), (indexes{0, 2}));
  CAF_CHECK_EQUAL(given(1), (indexes{1, 3, 4}));
}

CAF_TEST(tables share the readers) {
  start(1);
  auto first = order(orders);
  auto second = order(items);
  for (size_t i = 0; i < 6; ++i)
    make_durable(0, i);
  CAF_CHECK(first->answered());
  CAF_CHECK(second->answered());
}

CAF_TEST(a table without pages is done at once) {
  source_log->chunks = 0;
  start(1);
  CAF_CHECK(order(orders)->answered());
}

// -- a table that is rewritten under its snapshot
// -------------------------------

CAF_TEST(a rewritten table is planned again under a later label) {
  start(1);
  table_state state;
  state.label = lsn{500};
  auto done = order(orders, state);
  auto wider = std::make_shared<table_description>(*orders);
  wider->columns.push_back(column("more", value_kind::text));
  source_log->tables = {wider, items};
  source_log->position = lsn{900};
  refuse(fakes[0], chunks[0], 0, ec::table_unsuitable);
  CAF_REQUIRE_EQUAL(source_log->plans->size(), 2u);
  CAF_CHECK((source_log->plans->back().label == lsn{0}));
  CAF_CHECK(*source_log->plans->back().table == *wider);
  CAF_CHECK((saved().label == lsn{900}));
  CAF_CHECK(saved().retake);
  CAF_CHECK_EQUAL(saved().count_done(), 0u);
  // The reader still has the second chunk of the old plan: its rows do not
  // count for the new one.
  make_durable(0, 1);
  CAF_CHECK_EQUAL(saved().count_done(), 0u);
  CAF_REQUIRE_EQUAL(chunks[0]->size(), 4u);
  CAF_CHECK((chunks[0]->back()->plan->label == lsn{900}));
  for (size_t i = 2; i < 5; ++i)
    make_durable(0, i);
  // All rows of before the label go, through the router.
  CAF_CHECK(done->pending());
  CAF_REQUIRE_EQUAL(batches->size(), 1u);
  const auto& removal = *batches->back();
  CAF_REQUIRE_EQUAL(removal.changes.size(), 1u);
  CAF_CHECK(removal.changes[0].op == operation::truncate);
  CAF_CHECK(
    (removal.version_of(removal.changes[0]) == version{899, UINT64_MAX}));
  CAF_CHECK(*removal.tables[0] == *wider);
  CAF_CHECK(saved().at == table_state::phase::snapshot);
  answer(router, batches, 0, atom::ack_v);
  CAF_CHECK(done->answered());
  CAF_CHECK(saved().at == table_state::phase::streaming);
  CAF_CHECK(!saved().retake);
}

CAF_TEST(what is saved while a table is planned again is no plan) {
  start(2);
  order(orders);
  store_log->held = {"save"};
  auto n = store_log->count("save");
  make_durable(0, 0); // its save is on the way
  make_durable(1, 0); // wants another one
  source_log->held = {"plan"};
  refuse(fakes[0], chunks[0], 1, ec::table_unsuitable);
  answer(store, store_log->saves, n, atom::ack_v);
  CAF_REQUIRE_EQUAL(store_log->count("save"), n + 2);
  CAF_CHECK(saved().at == table_state::phase::fresh);
  CAF_CHECK((saved().label == lsn{0}));
  CAF_CHECK(saved().retake);
}

CAF_TEST(a second chunk of the old plan does not start it a third time) {
  start(1);
  order(orders);
  refuse(fakes[0], chunks[0], 0, ec::table_unsuitable);
  refuse(fakes[0], chunks[0], 1, ec::table_unsuitable);
  CAF_CHECK_EQUAL(source_log->count("plan"), 2u);
  CAF_CHECK_EQUAL(chunks[0]->size(), 4u);
}

CAF_TEST(a retake that was asked for removes what is gone) {
  start(1);
  table_state state;
  state.retake = true;
  auto done = order(orders, state);
  for (size_t i = 0; i < 3; ++i)
    make_durable(0, i);
  CAF_CHECK(done->pending());
  CAF_REQUIRE_EQUAL(batches->size(), 1u);
  answer(router, batches, 0, atom::ack_v);
  CAF_CHECK(done->answered());
}

CAF_TEST(a retake is remembered until its removal is durable) {
  start(1);
  table_state state;
  state.retake = true;
  order(orders, state);
  CAF_CHECK(saved().retake);
  for (size_t i = 0; i < 3; ++i)
    make_durable(0, i);
  CAF_CHECK(saved().retake);
  CAF_CHECK_EQUAL(saved().count_done(), 3u);
}

CAF_TEST(what a table that is gone means is decided by who ordered it) {
  start(1);
  source_log->failing["plan"] = ec::table_unsuitable;
  auto first = order(orders);
  CAF_CHECK_EQUAL(first->error, "table_unsuitable: plan failed");
  source_log->failing.clear();
  auto second = order(items);
  source_log->tables = {orders};
  refuse(fakes[0], chunks[0], 0, ec::table_unsuitable);
  CAF_CHECK_EQUAL(second->error,
                  "table_unsuitable: public.items: it is not there any more");
  CAF_CHECK_EQUAL(*end, "");
  auto third = order(orders);
  make_durable(0, 1);
  for (size_t i = 2; i < 5; ++i)
    make_durable(0, i);
  CAF_CHECK(third->answered());
}

// -- a table that is locked
// -----------------------------------------------------

CAF_TEST(a chunk of a locked table is tried again while others go on) {
  source_log->chunks = 1;
  start(1);
  auto first = order(orders);
  refuse(fakes[0], chunks[0], 0, ec::source_failed);
  CAF_CHECK_EQUAL(*end, "");
  CAF_CHECK(first->pending());
  auto waits = context.numbers->look(0).waits;
  CAF_REQUIRE_EQUAL(waits.count("public.orders"), 1u);
  CAF_CHECK_EQUAL(waits["public.orders"].why, "its snapshot waits: refused");
  auto second = order(items);
  make_durable(0, 1);
  CAF_CHECK(second->answered());
  for (int i = 0; i < 4; ++i)
    pass(std::chrono::milliseconds{200});
  CAF_CHECK_EQUAL(chunks[0]->size(), 2u);
  pass(std::chrono::milliseconds{200});
  CAF_REQUIRE_EQUAL(chunks[0]->size(), 3u);
  // It takes longer each time, and is planned only once.
  refuse(fakes[0], chunks[0], 2, ec::source_failed);
  for (int i = 0; i < 9; ++i)
    pass(std::chrono::milliseconds{200});
  CAF_CHECK_EQUAL(chunks[0]->size(), 3u);
  pass(std::chrono::milliseconds{200});
  CAF_REQUIRE_EQUAL(chunks[0]->size(), 4u);
  make_durable(0, 3);
  CAF_CHECK(first->answered());
  CAF_CHECK_EQUAL(source_log->count("plan"), 2u);
  CAF_CHECK_EQUAL(context.numbers->look(0).waits.size(), 0u);
}

CAF_TEST(one chunk finds out whether the lock is gone) {
  source_log->chunks = 4;
  start(2);
  order(orders);
  for (auto [reader, nth] : {std::pair{0, 0}, {0, 1}, {1, 0}, {1, 1}})
    refuse(fakes[reader], chunks[reader], nth, ec::source_failed);
  auto tries = [&] { return chunks[0]->size() + chunks[1]->size() - 4; };
  for (int i = 0; i < 60 && tries() == 0; ++i)
    pass(std::chrono::milliseconds{200});
  CAF_CHECK_EQUAL(tries(), 1u);
  auto reader = chunks[0]->size() > 2 ? 0 : 1;
  make_durable(reader, 2);
  CAF_CHECK_EQUAL(tries(), 4u);
}

CAF_TEST(a table that is locked is planned later) {
  source_log->failing["plan"] = ec::source_failed;
  start(1);
  auto done = order(orders);
  CAF_CHECK_EQUAL(*end, "");
  CAF_CHECK_EQUAL(context.numbers->look(0).waits.count("public.orders"), 1u);
  source_log->failing.clear();
  for (int i = 0; i < 5; ++i)
    pass(std::chrono::milliseconds{200});
  CAF_CHECK_EQUAL(source_log->count("plan"), 2u);
  CAF_CHECK_EQUAL(context.numbers->look(0).waits.size(), 0u);
  for (size_t i = 0; i < 3; ++i)
    make_durable(0, i);
  CAF_CHECK(done->answered());
}

// -- failures
// -------------------------------------------------------------------

CAF_TEST(ends with the reason when a peer fails) {
  for (auto op : {"plan", "running", "position", "still running"}) {
    source_log->failing = {{op, ec::source_unavailable}};
    source_log->running.clear();
    if (op == std::string{"still running"})
      source_log->running = {1};
    source_log->chunks = 0;
    start(1);
    auto done = order(orders);
    pass(std::chrono::milliseconds{200});
    CAF_CHECK_EQUAL(*end, "source_unavailable: " + std::string{op} + " failed");
    CAF_CHECK(!done->answered());
  }
}

CAF_TEST(ends with the reason when the state cannot be written) {
  store_log->failing = {{"save", ec::target_refused}};
  start(1);
  order(orders);
  CAF_CHECK_EQUAL(*end, "target_refused: save failed");
}

CAF_TEST(ends with the reason when a chunk cannot be read) {
  start(1);
  order(orders);
  refuse(fakes[0], chunks[0], 0, ec::source_unavailable);
  CAF_CHECK_EQUAL(*end, "source_unavailable: refused");
}

CAF_TEST(ends with a reader that dies) {
  start(2);
  order(orders);
  caf::anon_send_exit(fakes[1], caf::exit_reason::kill);
  consume_messages();
  CAF_CHECK_NOT_EQUAL(*end, "");
}

CAF_TEST(silent readers keep the snapshot open) {
  start(1);
  auto done = order(orders);
  for (int i = 0; i < 300; ++i)
    pass(std::chrono::milliseconds{200});
  CAF_CHECK(done->pending());
  CAF_CHECK_EQUAL(chunks[0]->size(), 2u);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(stops in the middle) {
  start(1);
  auto done = order(orders);
  make_durable(0, 0);
  stop(hdl);
  CAF_CHECK_EQUAL(*end, stopped);
  CAF_CHECK(!done->answered());
  CAF_CHECK_EQUAL(saved().count_done(), 1u);
}

// -- tables without key -------------------------------------------------------

CAF_TEST(without a key what the stream brought before the label is removed) {
  auto keyless = std::make_shared<table_description>(*orders);
  keyless->identity = table_identity::append_only;
  start(1);
  table_state state;
  state.label = lsn{500};
  auto done = order(keyless, state);
  CAF_REQUIRE_EQUAL(source_log->plans->size(), 1u);
  auto label = saved().label;
  for (size_t i = 0; i < chunks[0]->size(); ++i)
    make_durable(0, i);
  // The stream may still bring rows of before the label.
  context.numbers->durable_position.set(static_cast<int64_t>(label.value) - 1);
  pass(std::chrono::seconds{1});
  CAF_CHECK_EQUAL(batches->size(), 0u);
  CAF_CHECK(saved().at == table_state::phase::snapshot);
  context.numbers->durable_position.set(static_cast<int64_t>(label.value));
  pass(std::chrono::seconds{1});
  CAF_REQUIRE_EQUAL(batches->size(), 1u);
  const auto& removal = *batches->back();
  CAF_CHECK(removal.changes.front().op == operation::truncate);
  CAF_CHECK_EQUAL(removal.transactions.front().commit.value, label.value - 1);
  CAF_CHECK(!done->value);
  answer(router, batches, 0, atom::ack_v);
  CAF_REQUIRE(done->value);
  CAF_CHECK_EQUAL(*done->value, label);
  CAF_CHECK(saved().at == table_state::phase::streaming);
  CAF_CHECK_EQUAL(saved().fill_until, label);
}

CAF_TEST(without a key one table is read after the other) {
  auto keyless = [](const table_description& x) {
    auto result = std::make_shared<table_description>(x);
    result->identity = table_identity::append_only;
    return result;
  };
  start(1);
  order(keyless(*orders));
  order(keyless(*items));
  pass(std::chrono::seconds{5});
  CAF_CHECK_EQUAL(source_log->plans->size(), 1u);
  context.numbers->durable_position.set(INT64_MAX);
  for (size_t i = 0; i < chunks[0]->size(); ++i)
    make_durable(0, i);
  answer(router, batches, 0, atom::ack_v);
  pass(std::chrono::seconds{5});
  CAF_CHECK_EQUAL(source_log->plans->size(), 2u);
}

CAF_TEST(without a key a snapshot that was interrupted is planned anew) {
  auto keyless = std::make_shared<table_description>(*orders);
  keyless->identity = table_identity::append_only;
  start(1);
  table_state state;
  state.at = table_state::phase::snapshot;
  state.label = lsn{500};
  state.parts = {{0, 1, 10, 3}};
  state.set_done(0);
  order(keyless, state);
  CAF_REQUIRE_EQUAL(source_log->plans->size(), 1u);
  CAF_CHECK_EQUAL(source_log->plans->back().label, lsn{0});
  CAF_CHECK(saved().retake);
  CAF_CHECK_EQUAL(saved().count_done(), 0u);
}

CAF_TEST_FIXTURE_SCOPE_END()
