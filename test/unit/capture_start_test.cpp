#define CAF_SUITE capture_start

#include "actors/capture_start.hpp"
#include "test/unit/capture_fixture.hpp"

using namespace millrace;
using namespace millrace::test;

namespace {

struct fixture : capture_fixture {
  // Starts with what is set up, and says how the start ended.
  std::string outcome() {
    start();
    if (end->empty() && batches->size() > 0)
      accept_announcement();
    return end->empty() ? "streams" : *end;
  }

  bool is_refused(const std::string& why) {
    auto x = outcome();
    CAF_MESSAGE(x);
    // Nothing is made, neither there nor in the target.
    CAF_CHECK_EQUAL(source_log->count("prepare"), 0u);
    CAF_CHECK_EQUAL(store_log->count("load"), 0u);
    CAF_CHECK_EQUAL(store_log->count("save"), 0u);
    return x.starts_with("source_changed: ")
           && x.find(why) != std::string::npos;
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(capture_start_tests, fixture)

CAF_TEST(the first start labels all tables with the beginning of the slot) {
  start_streaming();
  CAF_REQUIRE_EQUAL(source_log->prepares->size(), 1u);
  CAF_CHECK((source_log->prepares->back() == lsn{}));
  CAF_CHECK_EQUAL(batches->back()->tables.size(), 1u);
  CAF_CHECK(saved().at == table_state::phase::fresh);
  CAF_CHECK((saved().label == lsn{100}));
  CAF_CHECK_EQUAL(saved_source().system_identifier, "7000");
  CAF_CHECK_EQUAL(saved_source().timeline, 1u);
  CAF_CHECK_EQUAL(saved_source().database, "shop");
  CAF_CHECK((saved_source().received == lsn{100}));
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(snapshots->back()->table == orders);
  CAF_CHECK((snapshots->back()->state.label == lsn{100}));
  CAF_CHECK_EQUAL(stream->read_calls, 1u);
}

CAF_TEST(nothing is made for a source that will not do) {
  source_log->trouble = {ec::source_unsuitable, "wal_level"};
  start();
  CAF_CHECK_EQUAL(*end, "source_unsuitable: wal_level");
  CAF_CHECK_EQUAL(store_log->log, std::vector<std::string>{"look"});
  CAF_CHECK_EQUAL(source_log->count("prepare"), 0u);
}

CAF_TEST(tables are announced and remembered before the stream opens) {
  store_log->held = {"save"};
  start();
  CAF_CHECK_EQUAL(store_log->count("save"), 0u);
  accept_announcement();
  CAF_CHECK_EQUAL(store_log->count("save"), 1u);
  CAF_CHECK_EQUAL(stream->read_calls, 0u);
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  answer(store, store_log->saves, 0, atom::ack_v);
  CAF_CHECK_EQUAL(stream->read_calls, 1u);
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
}

CAF_TEST(nothing is remembered before the slot is ours) {
  source_log->held = {"connect"};
  start();
  accept_announcement();
  CAF_CHECK_EQUAL(source_log->count("connect"), 1u);
  CAF_CHECK_EQUAL(store_log->count("save"), 0u);
  answer(source, source_log->connects, 0, source_log->reader);
  CAF_CHECK_EQUAL(store_log->count("save"), 1u);
}

CAF_TEST(a state that another node has changed is not gone on with) {
  was_here();
  source_log->held = {"connect"};
  start();
  accept_announcement();
  store_log->stored[state_marks::source]
    = to_json(source_state{"7000", 1, "shop", lsn{5'000}, lsn{3'001}});
  answer(source, source_log->connects, 0, source_log->reader);
  CAF_CHECK_EQUAL(end->substr(0, 9), "slot_busy");
  CAF_CHECK_EQUAL(store_log->count("save"), 0u);
}

CAF_TEST(a later start says that there was a slot) {
  was_here();
  start_streaming();
  CAF_CHECK((source_log->prepares->back() == lsn{3'000}));
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  CAF_CHECK((saved().fill_until == lsn{500}));
  CAF_CHECK((saved_source().received == lsn{5'000}));
}

CAF_TEST(a state that does not know how far the slot was moved allows all) {
  was_here();
  store_log->stored[state_marks::source]
    = R"({"system_identifier":"7000","timeline":1,"database":"shop","received":"0/1388"})";
  start_streaming();
  CAF_CHECK((source_log->prepares->back() == lsn{UINT64_MAX}));
  CAF_CHECK((saved_source().confirmable == lsn{100}));
}

CAF_TEST(where the slot may be is remembered before the stream opens) {
  start_streaming();
  CAF_CHECK((saved_source().confirmable == lsn{100}));
}

CAF_TEST(a table that is new to the pipeline gets a label of its own) {
  was_here();
  auto items = table("items", {column("id", value_kind::int8, false, 0)});
  source_log->start.tables.push_back(items);
  start_streaming();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(snapshots->back()->table == items);
  CAF_CHECK((snapshots->back()->state.label == lsn{0}));
}

CAF_TEST(a snapshot goes on where it was) {
  was_here();
  table_state state;
  state.at = table_state::phase::snapshot;
  state.label = lsn{100};
  state.parts = {{0, 1, 10, 5}};
  state.done = {{1, 3}};
  store_log->stored[{"table", "public.orders"}] = to_json(state);
  start_streaming();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(snapshots->back()->state == state);
}

CAF_TEST(without snapshots a table is complete from the start) {
  options.snapshot = false;
  start_streaming();
  CAF_CHECK(saved().at == table_state::phase::streaming);
  CAF_CHECK((saved().fill_until == lsn{UINT64_MAX}));
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
}

CAF_TEST(the state shows until when snapshots are taken) {
  start_streaming();
  CAF_CHECK(context.numbers->look(0).state == pipeline_state::snapshotting);
  answer(snapshotter, snapshots, 0, lsn{900});
  CAF_CHECK(context.numbers->look(0).state == pipeline_state::streaming);
}

CAF_TEST(tables that do not exist yet are waited for visibly) {
  source_log->start.missing = {"public.later"};
  context.numbers->waits("public.orders", "does not exist yet");
  start_streaming();
  auto waits = context.numbers->look(0).waits;
  CAF_CHECK_EQUAL(waits.count("public.later"), 1u);
  CAF_CHECK_EQUAL(waits.count("public.orders"), 0u);
}

CAF_TEST(a table that was dropped meanwhile is let go of) {
  was_here();
  number_orders(5);
  start_streaming();
  CAF_CHECK_EQUAL(saved().oid, 5u);
  stop(hdl);
  source_log->start.tables.clear();
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  start_streaming();
  CAF_CHECK(saved().at == table_state::phase::dropped);
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "");
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
}

CAF_TEST(a table that was replaced meanwhile is taken in its place) {
  was_here();
  number_orders(5);
  start_streaming();
  stop(hdl);
  number_orders(6);
  options.snapshot = false;
  start_streaming();
  CAF_CHECK_EQUAL(saved().oid, 6u);
  CAF_CHECK(saved().retake);
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
}

// -- the source is the one we know --------------------------------------------

CAF_TEST(another system identifier is refused) {
  was_here();
  source_log->start.identity.system_identifier = "7001";
  CAF_CHECK(is_refused("system identifier 7001, not 7000"));
  CAF_CHECK_EQUAL(saved_source().system_identifier, "7000");
}

CAF_TEST(another source gets no advice about what it lacks) {
  was_here();
  source_log->trouble = {ec::slot_lost, "drop the slot"};
  source_log->start.identity.system_identifier = "7001";
  CAF_CHECK(is_refused("system identifier 7001, not 7000"));
}

CAF_TEST(a standby is told that it is one though its log is behind) {
  was_here(lsn{10'001});
  source_log->start.identity.in_recovery = true;
  source_log->trouble = {ec::source_unsuitable, "it is a standby"};
  CAF_CHECK_EQUAL(outcome(), "source_unsuitable: it is a standby");
}

CAF_TEST(a server that takes over during the start is looked at again) {
  was_here();
  source_log->held = {"prepare"};
  start();
  auto other = std::make_shared<postgres::source_start>(source_log->start);
  other->identity.timeline = 2;
  answer(source, source_log->prepares, 0, source_start_ptr{other});
  CAF_CHECK(end->starts_with("source_failed: another server took over"));
  CAF_CHECK_EQUAL(store_log->count("save"), 0u);
}

CAF_TEST(another database is refused) {
  was_here();
  source_log->start.identity.database = "shop2";
  CAF_CHECK(is_refused("\"shop2\", not \"shop\""));
}

CAF_TEST(a log that ends before what was received is refused) {
  was_here(lsn{10'001});
  CAF_CHECK(is_refused("ends at 0/2710"));
}

CAF_TEST(a log that ends where what was received ends is not ) {
  was_here(lsn{10'000});
  CAF_CHECK_EQUAL(outcome(), "streams");
}

CAF_TEST(a timeline that left ours before what was received is refused) {
  was_here();
  source_log->start.identity.timeline = 3;
  source_log->timeline_end = lsn{4'999};
  CAF_CHECK(is_refused("timeline 3, which left timeline 1"));
  CAF_REQUIRE_EQUAL(source_log->timelines->size(), 1u);
  CAF_CHECK_EQUAL(source_log->timelines->back(), 1u);
}

CAF_TEST(a timeline that left ours later is followed) {
  was_here();
  source_log->start.identity.timeline = 3;
  source_log->timeline_end = lsn{5'000};
  CAF_CHECK_EQUAL(outcome(), "streams");
  CAF_CHECK_EQUAL(saved_source().timeline, 3u);
}

CAF_TEST(what the target holds counts where more was written than remembered) {
  was_here();
  source_log->start.identity.timeline = 2;
  source_log->timeline_end = lsn{6'000};
  store_log->highest = lsn{6'001};
  CAF_CHECK(is_refused("0/1771"));
}

// -- quarantine
// -----------------------------------------------------------------

CAF_TEST(a table that was let go is taken again) {
  was_here();
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  start_streaming();
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "");
  CAF_CHECK(saved().retake);
  CAF_CHECK(saved().at == table_state::phase::fresh);
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(snapshots->back()->state.retake);
}

CAF_TEST(a table that still does not fit stays let go) {
  was_here();
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  start();
  context.numbers->table("public.orders")->quarantine("does not fit");
  accept_announcement();
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"),
                  "did not fit");
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  CAF_CHECK_EQUAL(source_log->count("connect"), 1u);
}

CAF_TEST(a table that does not fit at the first start has no snapshot) {
  start();
  context.numbers->table("public.orders")->quarantine("does not fit");
  accept_announcement();
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  CAF_CHECK(saved().at == table_state::phase::fresh);
}

CAF_TEST(a table whose snapshot cannot be taken is let go alone) {
  start_streaming();
  refuse(snapshotter, snapshots, 0, ec::table_unsuitable);
  CAF_CHECK_EQUAL(*end, "");
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "refused");
  CAF_CHECK_EQUAL(context.numbers->table("public.orders")->look(0).quarantine,
                  "refused");
  CAF_CHECK(context.numbers->look(0).state == pipeline_state::streaming);
}

// -- failures
// -------------------------------------------------------------------

CAF_TEST(each step that fails ends the start with its reason) {
  for (auto op : {"check", "prepare", "connect"}) {
    source_log->failing = {{op, ec::source_failed}};
    CAF_CHECK_EQUAL(outcome(), "source_failed: " + std::string{op} + " failed");
  }
  source_log->failing.clear();
  for (auto op : {"look", "load", "save"}) {
    store_log->failing = {{op, ec::target_refused}};
    CAF_CHECK_EQUAL(outcome(),
                    "target_refused: " + std::string{op} + " failed");
  }
}

CAF_TEST(a table that cannot be announced ends the start) {
  start();
  refuse(router, batches, 0, ec::target_refused);
  CAF_CHECK_EQUAL(*end, "target_refused: refused");
  CAF_CHECK_EQUAL(source_log->count("connect"), 0u);
}

CAF_TEST(a snapshot that fails ends the run) {
  start_streaming();
  refuse(snapshotter, snapshots, 0, ec::source_unavailable);
  CAF_CHECK_EQUAL(*end, "source_unavailable: refused");
}

CAF_TEST(an unreadable state ends the start) {
  was_here();
  store_log->stored[{"table", "public.orders"}] = "{}";
  CAF_CHECK(outcome().starts_with("target_unsuitable: unreadable table state"));
  was_here();
  store_log->stored[{"source", "identity"}] = "{}";
  CAF_CHECK(
    outcome().starts_with("target_unsuitable: unreadable source state"));
}

CAF_TEST(a peer that is silent is waited for) {
  source_log->held = {"prepare"};
  start();
  for (int i = 0; i < 100; ++i)
    pass(std::chrono::seconds{1});
  CAF_CHECK_EQUAL(*end, "");
  answer(source, source_log->prepares, 0,
         source_start_ptr{
           std::make_shared<postgres::source_start>(source_log->start)});
  accept_announcement();
  CAF_CHECK_EQUAL(stream->read_calls, 1u);
}

CAF_TEST(stops in the middle of a start) {
  source_log->held = {"prepare"};
  start();
  self->send(hdl, atom::stop_v);
  consume_messages();
  CAF_CHECK_EQUAL(*end, stopped);
}

CAF_TEST_FIXTURE_SCOPE_END()
