#define CAF_SUITE capture

#include "test/unit/capture_fixture.hpp"

using namespace millrace;
using namespace millrace::test;
using namespace std::literals;

namespace {

const auto& u = unchanged_mark;
using positions = std::vector<lsn>;
using indexes = std::vector<uint32_t>;

struct fixture : capture_fixture {
  fixture() {
    was_here();
  }

  void stop_reading() {
    self->send(hdl, atom::stop_v);
    consume_messages();
  }

  // A stream that is not caught up: commits an hour ago.
  postgres::read_outcome late_rows(lsn complete) {
    batch_builder b{orders};
    b.batch.transactions.back().committed_at
      = now_microseconds() - 3'600'000'000;
    b.insert({"1", "x"});
    return brings(b, complete);
  }

  // A commit at 1000, which is after the end of the table's snapshot.
  batch_builder changes(uint64_t commit = 1'000) {
    batch_builder b{orders};
    b.batch.transactions.back().commit = lsn{commit};
    return b;
  }

  postgres::relation relation_of(const table_description& x) {
    postgres::relation result;
    result.schema = x.schema;
    result.name = x.name;
    return result;
  }

  void read(const batch_builder& b) {
    give(brings(b, lsn{2'000}));
    readable();
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(capture_tests, fixture)

// -- the low-water mark
// ---------------------------------------------------------

CAF_TEST(a position is confirmed when its rows are durable) {
  start_streaming();
  give(rows(lsn{200}));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 1u);
  CAF_CHECK(stream->confirmed.empty());
  make_durable(0);
  CAF_CHECK((stream->confirmed == positions{lsn{200}}));
  CAF_CHECK_EQUAL(context.numbers->confirmed_position.value(), 200);
}

CAF_TEST(no position is confirmed before all that was read earlier) {
  start_streaming();
  for (uint64_t i = 1; i <= 3; ++i)
    give(rows(lsn{i * 100 + 100}));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 3u);
  make_durable(2);
  make_durable(1);
  CAF_CHECK(stream->confirmed.empty());
  make_durable(0);
  CAF_CHECK((stream->confirmed == positions{lsn{400}}));
}

CAF_TEST(rows of an open transaction confirm nothing) {
  start_streaming();
  give(rows(lsn{0}));
  give(rows(lsn{0}));
  give(rows(lsn{300}));
  readable();
  make_durable(0);
  make_durable(1);
  CAF_CHECK(stream->confirmed.empty());
  make_durable(2);
  CAF_CHECK((stream->confirmed == positions{lsn{300}}));
}

CAF_TEST(a keepalive of an idle stream is confirmed at once) {
  start_streaming();
  postgres::read_outcome alive;
  alive.complete = lsn{700};
  give(alive);
  readable();
  CAF_CHECK_EQUAL(passed_on(), 0u);
  CAF_CHECK((stream->confirmed == positions{lsn{700}}));
}

CAF_TEST(a keepalive waits for what is in flight) {
  start_streaming();
  give(rows(lsn{200}));
  give(rows(lsn{300}));
  postgres::read_outcome alive;
  alive.complete = lsn{700};
  give(alive);
  readable();
  CAF_CHECK(stream->confirmed.empty());
  make_durable(0);
  CAF_CHECK((confirmed() == lsn{200}));
  make_durable(1);
  CAF_CHECK((confirmed() == lsn{700}));
}

CAF_TEST(a position never goes back) {
  start_streaming();
  give(rows(lsn{500}));
  readable();
  make_durable(0);
  postgres::read_outcome alive;
  alive.complete = lsn{400};
  give(alive);
  readable();
  give(rows(lsn{450}));
  readable();
  make_durable(1);
  CAF_CHECK((stream->confirmed == positions{lsn{500}}));
}

CAF_TEST(the slot moves once the store knows that it may) {
  start_streaming();
  store_log->held = {"save"};
  auto saves = store_log->count("save");
  stream->received = lsn{6'000};
  give(rows(lsn{4'000}));
  readable();
  make_durable(0);
  CAF_CHECK_EQUAL(store_log->count("save"), saves + 1);
  CAF_CHECK((saved_source().confirmable == lsn{4'000}));
  CAF_CHECK((saved_source().received == lsn{6'000}));
  CAF_CHECK_EQUAL(saved_source().system_identifier, "7000");
  CAF_CHECK(stream->confirmed.empty());
  CAF_CHECK_EQUAL(context.numbers->durable_position.value(), 4'000);
  answer(store, store_log->saves, saves, atom::ack_v);
  CAF_CHECK((stream->confirmed == positions{lsn{4'000}}));
  CAF_CHECK_EQUAL(context.numbers->confirmed_position.value(), 4'000);
}

CAF_TEST(that it may is written once a second) {
  start_streaming();
  auto saves = store_log->count("save");
  for (uint64_t i = 0; i < 3; ++i) {
    give(rows(lsn{4'000 + i}));
    readable();
    make_durable(i);
  }
  CAF_CHECK_EQUAL(store_log->count("save"), saves + 1);
  CAF_CHECK((stream->confirmed == positions{lsn{4'000}}));
  pass(1s);
  CAF_CHECK_EQUAL(store_log->count("save"), saves + 2);
  CAF_CHECK((stream->confirmed == positions{lsn{4'000}, lsn{4'002}}));
  pass(1s);
  CAF_CHECK_EQUAL(store_log->count("save"), saves + 2);
}

CAF_TEST(what the store has not answered is not asked again) {
  start_streaming();
  store_log->held = {"save"};
  auto saves = store_log->count("save");
  give(rows(lsn{4'000}));
  give(rows(lsn{5'000}));
  readable();
  make_durable(0);
  make_durable(1);
  for (int i = 0; i < 3; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(store_log->count("save"), saves + 1);
  answer(store, store_log->saves, saves, atom::ack_v);
  // Not what came later: the store does not know of that.
  CAF_CHECK((stream->confirmed == positions{lsn{4'000}}));
}

CAF_TEST(stopping waits until all that is durable is confirmed) {
  start_streaming();
  give(rows(lsn{4'000}));
  readable();
  make_durable(0);
  give(rows(lsn{5'000}));
  readable();
  make_durable(1);
  CAF_CHECK((confirmed() == lsn{4'000}));
  store_log->held = {"save"};
  auto saves = store_log->count("save");
  stop_reading();
  CAF_CHECK_EQUAL(*end, "");
  answer(store, store_log->saves, saves, atom::ack_v);
  CAF_CHECK((confirmed() == lsn{5'000}));
  CAF_CHECK_NOT_EQUAL(*end, "");
}

// -- the window
// -----------------------------------------------------------------

CAF_TEST(stops reading while the window is full) {
  options.window_bytes = 3'000;
  start_streaming();
  for (uint64_t i = 1; i <= 5; ++i)
    give(rows(lsn{i * 100 + 100}, 2'000));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 2u);
  CAF_CHECK_EQUAL(stream->reads.size(), 3u);
  auto in_flight = context.numbers->in_flight_bytes.value();
  CAF_CHECK_GREATER_OR_EQUAL(in_flight, 4'000);
  // Being told that there is something does not change that.
  readable();
  CAF_CHECK_EQUAL(passed_on(), 2u);
  make_durable(0);
  CAF_CHECK_EQUAL(passed_on(), 3u);
}

CAF_TEST(a batch that is durable out of turn keeps its place in the window) {
  options.window_bytes = 3'000;
  start_streaming();
  for (uint64_t i = 1; i <= 5; ++i)
    give(rows(lsn{i * 100 + 100}, 2'000));
  readable();
  make_durable(1);
  CAF_CHECK_EQUAL(passed_on(), 2u);
}

CAF_TEST(a silent router stops reading and nothing else) {
  options.window_bytes = 3'000;
  start_streaming();
  for (uint64_t i = 1; i <= 5; ++i)
    give(rows(lsn{i * 100 + 100}, 2'000));
  readable();
  for (int i = 0; i < 3'600; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(passed_on(), 2u);
  CAF_CHECK_EQUAL(*end, "");
  CAF_CHECK(stream->confirmed.empty());
  // The server still hears from us.
  CAF_CHECK_GREATER_OR_EQUAL(stream->ticks, 3'600u);
}

CAF_TEST(a window that is not full is read on) {
  start_streaming();
  auto drained = rows(lsn{200});
  drained.drained = true;
  give(drained);
  readable();
  give(rows(lsn{300}));
  CAF_CHECK_EQUAL(passed_on(), 1u);
  readable();
  CAF_CHECK_EQUAL(passed_on(), 2u);
}

// -- descriptions
// ---------------------------------------------------------------

CAF_TEST(reading waits until an unknown relation is described) {
  source_log->held = {"describe"};
  start_streaming();
  auto first = rows(lsn{200});
  first.unknown = relation_of(*orders);
  give(first);
  give(rows(lsn{300}));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 1u);
  auto reads = stream->read_calls;
  // Neither an answer nor the socket makes it read on.
  make_durable(0);
  readable();
  CAF_CHECK_EQUAL(stream->read_calls, reads);
  CAF_REQUIRE_EQUAL(source_log->describes->size(), 1u);
  answer(source, source_log->describes, 0, orders);
  CAF_REQUIRE_EQUAL(stream->described.size(), 1u);
  CAF_CHECK(stream->described[0] == orders);
  CAF_CHECK_EQUAL(passed_on(), 2u);
}

CAF_TEST(a relation that nobody asked for is passed over) {
  start_streaming();
  postgres::read_outcome x;
  x.unknown = relation_of(*table("other", {}));
  give(x);
  give(rows(lsn{300}));
  readable();
  CAF_CHECK_EQUAL(stream->skipped, std::vector<std::string>{"other"});
  CAF_CHECK_EQUAL(passed_on(), 1u);
}

CAF_TEST(ends with the reason when a relation cannot be described) {
  source_log->failing["describe"] = ec::source_unavailable;
  start_streaming();
  postgres::read_outcome x;
  x.unknown = relation_of(*orders);
  give(x);
  readable();
  CAF_CHECK_EQUAL(*end, "source_unavailable: describe failed");
}

// -- values that the stream left out
// --------------------------------------------

CAF_TEST(values are left to the target where it knows them) {
  start_streaming();
  auto b = changes();
  b.update({"1", u});
  read(b);
  CAF_CHECK_EQUAL(source_log->count("fill"), 0u);
  CAF_CHECK_EQUAL(passed_on(), 1u);
}

CAF_TEST(what the snapshot of a table without key has is not written twice) {
  auto keyless = std::make_shared<table_description>(*orders);
  keyless->identity = table_identity::append_only;
  orders = keyless;
  source_log->start.tables = source_log->tables = {orders};
  start_streaming();
  auto b = changes(499);
  b.insert({"1", "in the snapshot"});
  b.begin(500, 0);
  b.insert({"2", "after it"});
  read(b);
  CAF_REQUIRE_EQUAL(passed_on(), 1u);
  const auto& rest = *batches->back();
  CAF_REQUIRE_EQUAL(rest.changes.size(), 1u);
  CAF_CHECK_EQUAL(rest.version_of(rest.changes[0]).major, 500u);
}

CAF_TEST(the source fills inserts and rows under a new key) {
  start_streaming();
  auto b = changes();
  b.update({"1", u});
  b.insert({"2", u});
  b.insert({"3", "here"});
  b.update(old_row::key, {"4", std::nullopt}, {"5", u});
  read(b);
  CAF_REQUIRE_EQUAL(source_log->fills->size(), 1u);
  CAF_CHECK_EQUAL(source_log->fills->back().changes, (indexes{1, 3}));
}

CAF_TEST(the source fills what commits before the end of the snapshot) {
  start_streaming();
  auto b = changes(499);
  b.update({"1", u});
  b.begin(500, 0);
  b.update({"2", u});
  read(b);
  CAF_REQUIRE_EQUAL(source_log->fills->size(), 1u);
  CAF_CHECK_EQUAL(source_log->fills->back().changes, indexes{0});
}

CAF_TEST(the source fills all while a snapshot is taken) {
  store_log->stored.erase({"table", "public.orders"});
  start_streaming();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  auto b = changes(9'000);
  b.update({"1", u});
  read(b);
  CAF_CHECK_EQUAL(source_log->count("fill"), 1u);
  answer(snapshotter, snapshots, 0, lsn{9'500});
  read(b);
  CAF_CHECK_EQUAL(source_log->count("fill"), 2u);
  auto later = changes(9'500);
  later.update({"1", u});
  read(later);
  CAF_CHECK_EQUAL(source_log->count("fill"), 2u);
}

CAF_TEST(what follows a row that is gone is filled too) {
  source_log->held = {"fill"};
  source_log->position = lsn{3'000};
  start_streaming();
  auto b = changes(1'000);
  b.update(old_row::key, {"4", std::nullopt}, {"5", u});
  b.begin(2'999, 0);
  b.update({"5", u});
  b.begin(3'000, 0);
  b.update({"6", u});
  give(brings(b, lsn{3'000}));
  readable();
  CAF_REQUIRE_EQUAL(source_log->fills->size(), 1u);
  CAF_CHECK_EQUAL(source_log->fills->back().changes, indexes{0});
  auto gone = b.batch;
  gone.changes[0].op = operation::remove;
  gone.changes[0].row = change::no_row;
  change_batch_ptr answered = std::make_shared<change_batch>(gone);
  // What the next start has to know is durable before anything goes on.
  store_log->held = {"save"};
  auto saves = store_log->saves->size();
  answer(source, source_log->fills, 0, answered);
  CAF_CHECK_EQUAL(saved().fill_until, lsn{3'000});
  CAF_REQUIRE_EQUAL(store_log->saves->size(), saves + 1);
  CAF_CHECK_EQUAL(source_log->fills->size(), 1u);
  CAF_CHECK_EQUAL(passed_on(), 0u);
  answer(store, store_log->saves, saves, atom::ack_v);
  CAF_REQUIRE_EQUAL(source_log->fills->size(), 2u);
  CAF_CHECK_EQUAL(source_log->fills->back().changes, indexes{1});
  CAF_CHECK_EQUAL(passed_on(), 0u);
  answer(source, source_log->fills, 1, answered);
  CAF_CHECK_EQUAL(passed_on(), 1u);
}

CAF_TEST(a row that is gone does not lower the end of a snapshot) {
  source_log->held = {"fill"};
  source_log->position = lsn{9'700};
  store_log->stored.erase({"table", "public.orders"});
  start_streaming();
  auto b = changes(9'000);
  b.update({"1", u});
  give(brings(b, lsn{9'000}));
  readable();
  auto gone = b.batch;
  gone.changes[0].op = operation::remove;
  gone.changes[0].row = change::no_row;
  change_batch_ptr answered = std::make_shared<change_batch>(gone);
  answer(source, source_log->fills, 0, answered);
  CAF_CHECK_EQUAL(passed_on(), 1u);
  answer(snapshotter, snapshots, 0, lsn{9'500});
  CAF_CHECK_EQUAL(saved().fill_until, lsn{9'700});
}

CAF_TEST(values that are large together are filled piece by piece) {
  source_log->value_bytes = 5 << 20;
  options.window_bytes = 100;
  start_streaming();
  auto b = changes(1'000);
  b.insert({"1", std::string(50, 'x')});
  b.insert({"2", u});
  b.begin(1'001, 0);
  b.insert({"3", std::string(50, 'x')});
  b.update(old_row::key, {"4", std::nullopt}, {"5", u});
  give(brings(b, lsn{1'002}));
  readable();
  CAF_REQUIRE_EQUAL(source_log->count("sizes"), 1u);
  CAF_CHECK_EQUAL(source_log->sizings->back().changes, (indexes{1, 3}));
  CAF_REQUIRE_EQUAL(source_log->count("fill"), 1u);
  CAF_CHECK_EQUAL(source_log->fills->back().changes, indexes{1});
  CAF_REQUIRE_EQUAL(passed_on(), 1u);
  const auto& first = *batches->back();
  CAF_REQUIRE_EQUAL(first.changes.size(), 3u);
  CAF_CHECK_EQUAL(first.version_of(first.changes[2]).major, 1'001u);
  CAF_MESSAGE("the window is full");
  CAF_CHECK_EQUAL(stream->read_calls, 2u);
  make_durable(0);
  CAF_CHECK((confirmed() == lsn{}));
  CAF_REQUIRE_EQUAL(passed_on(), 2u);
  CAF_CHECK_EQUAL(source_log->fills->back().changes, indexes{0});
  const auto& second = *batches->back();
  CAF_REQUIRE_EQUAL(second.changes.size(), 1u);
  CAF_CHECK_EQUAL(second.version_of(second.changes[0]).major, 1'001u);
  CAF_CHECK_EQUAL(second.text_of(second.cells[second.changes[0].old_row_at]),
                  "4");
  make_durable(1);
  CAF_CHECK((confirmed() == lsn{1'002}));
}

CAF_TEST(reading waits until values are filled) {
  source_log->held = {"fill"};
  start_streaming();
  auto b = changes();
  b.insert({"1", u});
  give(brings(b, lsn{1'000}));
  give(rows(lsn{2'000}));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 0u);
  auto filled = changes();
  filled.insert({"1", "filled"});
  change_batch_ptr answered = std::make_shared<change_batch>(filled.batch);
  answer(source, source_log->fills, 0, answered);
  CAF_REQUIRE_EQUAL(passed_on(), 2u);
  CAF_CHECK((*batches)[first_batch] == answered);
  make_durable(0);
  CAF_CHECK((confirmed() == lsn{1'000}));
}

CAF_TEST(a relation behind filled values is described after them) {
  source_log->held = {"fill", "describe"};
  start_streaming();
  auto b = changes();
  b.insert({"1", u});
  auto x = brings(b, lsn{1'000});
  x.unknown = relation_of(*orders);
  give(x);
  give(rows(lsn{2'000}));
  readable();
  CAF_CHECK_EQUAL(source_log->count("describe"), 0u);
  answer(source, source_log->fills, 0, x.batch);
  CAF_CHECK_EQUAL(passed_on(), 1u);
  CAF_CHECK_EQUAL(source_log->count("describe"), 1u);
  answer(source, source_log->describes, 0, orders);
  CAF_CHECK_EQUAL(passed_on(), 2u);
}

CAF_TEST(a table whose values cannot be looked up does not hold up others) {
  source_log->held = {"fill"};
  start_streaming();
  auto b = changes();
  b.batch.tables.push_back(
    table("items", {column("id", value_kind::int8, false, 0),
                    column("body", value_kind::text, false)}));
  b.insert({"1", u});
  b.insert({"2", u});
  b.batch.changes.back().table = 1;
  give(brings(b, lsn{1'000}));
  readable();
  CAF_REQUIRE_EQUAL(source_log->fills->size(), 1u);
  refuse(source, source_log->fills, 0, ec::table_unsuitable);
  CAF_REQUIRE_EQUAL(source_log->fills->size(), 2u);
  CAF_CHECK((*source_log->fills)[0].changes != (*source_log->fills)[1].changes);
  CAF_CHECK_EQUAL(passed_on(), 0u);
  change_batch_ptr half = std::make_shared<change_batch>(b.batch);
  answer(source, source_log->fills, 1, half);
  CAF_REQUIRE_EQUAL(passed_on(), 1u);
  CAF_CHECK(batches->back() == half);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(ends with the reason when values cannot be filled) {
  source_log->failing["fill"] = ec::source_unavailable;
  start_streaming();
  auto b = changes();
  b.insert({"1", u});
  read(b);
  CAF_CHECK_EQUAL(*end, "source_unavailable: fill failed");
  CAF_CHECK_EQUAL(passed_on(), 0u);
}

// -- gathering
// ------------------------------------------------------------------

CAF_TEST(small batches are gathered while it lags) {
  start_streaming();
  give(late_rows(lsn{200}));
  readable();
  stream->small = true;
  give(late_rows(lsn{300}));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 1u);
  pass(options.gather);
  CAF_CHECK_EQUAL(passed_on(), 2u);
}

CAF_TEST(nothing is gathered once it has caught up) {
  start_streaming();
  auto now = late_rows(lsn{200});
  auto batch = std::make_shared<change_batch>(*now.batch);
  batch->transactions.back().committed_at = now_microseconds();
  now.batch = batch;
  give(now);
  stream->small = true;
  readable();
  give(rows(lsn{300}));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 2u);
}

CAF_TEST(what a gathered batch leaves unread is read on) {
  start_streaming();
  give(late_rows(lsn{200}));
  readable();
  stream->small = true;
  give(late_rows(lsn{300}));
  give(late_rows(lsn{400}));
  readable();
  CAF_CHECK_EQUAL(passed_on(), 1u);
  // The socket has nothing: what is left is in the reader.
  stream->small = false;
  pass(options.gather);
  CAF_CHECK_EQUAL(passed_on(), 3u);
}

// -- once a second
// --------------------------------------------------------------

CAF_TEST(the connection is looked after every second) {
  start_streaming();
  stream->server = lsn{4'242};
  for (int i = 1; i <= 5; ++i) {
    pass(1s);
    CAF_CHECK_EQUAL(stream->ticks, static_cast<size_t>(i));
  }
  CAF_CHECK_EQUAL(context.numbers->server_position.value(), 4'242);
}

CAF_TEST(
  a connection with a huge buffer is replaced when nothing is under way) {
  start_streaming();
  stream->may_renew = true;
  give(rows(lsn{200}));
  readable();
  pass(1s);
  CAF_CHECK_EQUAL(stream->renewals, 0u);
  make_durable(0);
  auto reads = stream->read_calls;
  pass(1s);
  CAF_CHECK_EQUAL(stream->renewals, 1u);
  CAF_CHECK(stream->read_calls > reads);
  pass(1s);
  CAF_CHECK_EQUAL(stream->renewals, 1u);
}

CAF_TEST(the slot shows in the metrics) {
  start_streaming();
  pass(1s);
  CAF_CHECK_EQUAL(context.numbers->look(0).slot.lag, 7u);
  auto asked = source_log->count("slot");
  for (int i = 0; i < 10; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(source_log->count("slot"), asked + 1);
}

CAF_TEST(a slot that cannot be looked at ends nothing) {
  source_log->failing
    = {{"slot", ec::source_unavailable}, {"tables", ec::source_unavailable}};
  start_streaming();
  for (int i = 0; i < 11; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(*end, "");
  CAF_CHECK_EQUAL(source_log->count("tables"), 2u);
}

CAF_TEST(the gauges show what is in flight) {
  start_streaming();
  auto b = changes();
  b.batch.transactions.back().committed_at = 1'000;
  b.insert({"1", "x"});
  b.begin(1'001, 2'000);
  b.insert({"2", "x"});
  read(b);
  CAF_CHECK_EQUAL(context.numbers->oldest_pending_commit.value(), 1'000);
  CAF_CHECK_GREATER(context.numbers->in_flight_bytes.value(), 0);
  make_durable(0);
  CAF_CHECK_EQUAL(context.numbers->oldest_pending_commit.value(), 0);
  CAF_CHECK_EQUAL(context.numbers->in_flight_bytes.value(), 0);
  CAF_CHECK_EQUAL(context.numbers->durable_commit.value(), 2'000);
}

// -- tables that appear
// ---------------------------------------------------------

CAF_TEST(a new table is announced and remembered before its snapshot) {
  start_streaming();
  auto items = table("items", {column("id", value_kind::int8, false, 0)});
  source_log->tables.push_back(items);
  source_log->start.tables.push_back(items);
  pass(1s);
  CAF_REQUIRE_EQUAL(source_log->prepares->size(), 2u);
  CAF_CHECK((source_log->prepares->back() == lsn{UINT64_MAX}));
  CAF_REQUIRE_EQUAL(passed_on(), 1u);
  CAF_REQUIRE_EQUAL(batches->back()->tables.size(), 1u);
  CAF_CHECK(batches->back()->tables[0] == items);
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  CAF_CHECK_EQUAL(store_log->state("table", "public.items"), "");
  store_log->held = {"save"};
  answer(router, batches, batches->size() - 1, atom::ack_v);
  CAF_CHECK(saved("public.items").at == table_state::phase::fresh);
  CAF_CHECK((saved("public.items").label == lsn{0}));
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  answer(store, store_log->saves, store_log->saves->size() - 1, atom::ack_v);
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(snapshots->back()->table == items);
}

CAF_TEST(a new table is taken in once however slow the target is) {
  start_streaming();
  auto items = table("items", {column("id", value_kind::int8, false, 0)});
  source_log->tables.push_back(items);
  source_log->start.tables.push_back(items);
  for (int i = 0; i < 60; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(passed_on(), 1u);
  answer(router, batches, batches->size() - 1, atom::ack_v);
  for (int i = 0; i < 60; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(passed_on(), 1u);
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
  // It goes on looking.
  auto more = table("more", {column("id", value_kind::int8, false, 0)});
  source_log->tables.push_back(more);
  source_log->start.tables.push_back(more);
  for (int i = 0; i < 10; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(passed_on(), 2u);
}

CAF_TEST(a source that cannot take a new table in is asked again) {
  start_streaming();
  auto items = table("items", {column("id", value_kind::int8, false, 0)});
  source_log->tables.push_back(items);
  source_log->start.tables.push_back(items);
  source_log->failing["prepare"] = ec::source_unsuitable;
  pass(1s);
  CAF_CHECK_EQUAL(*end, "");
  source_log->failing.clear();
  for (int i = 0; i < 10; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(passed_on(), 1u);
}

// -- tables that are gone, or others, or taken again
// ----------------------------

CAF_TEST(a table that is gone is let go of and nothing is wrong) {
  was_here();
  number_orders(5);
  start_streaming();
  context.numbers->table("public.orders")->quarantine("did not fit");
  source_log->tables.clear();
  pass(1s);
  CAF_CHECK(saved().at == table_state::phase::dropped);
  CAF_CHECK_EQUAL(saved().oid, 5u);
  CAF_CHECK_EQUAL(stream->skipped_oids, std::vector<uint32_t>{5});
  auto view = context.numbers->table("public.orders")->look(0);
  CAF_CHECK_EQUAL(view.quarantine, "");
  CAF_CHECK_EQUAL(view.note,
                  "gone from the source; its rows stay in the target");
  CAF_CHECK_EQUAL(source_log->count("prepare"), 1u);
  for (int i = 0; i < 20; ++i)
    pass(1s);
  CAF_CHECK_EQUAL(stream->skipped_oids.size(), 1u);
}

CAF_TEST(a table that was made again is taken in the place of the old one) {
  was_here();
  number_orders(5);
  start_streaming();
  number_orders(6);
  pass(1s);
  CAF_CHECK_EQUAL(stream->skipped_oids, std::vector<uint32_t>{5});
  CAF_CHECK_EQUAL(source_log->count("prepare"), 2u);
  CAF_REQUIRE_EQUAL(passed_on(), 1u);
  CAF_CHECK(batches->back()->tables[0] == orders);
  CAF_CHECK(!stream->described.empty() && stream->described.back() == orders);
  answer(router, batches, batches->size() - 1, atom::ack_v);
  CAF_CHECK(saved().at == table_state::phase::fresh);
  CAF_CHECK(saved().retake);
  CAF_CHECK_EQUAL(saved().oid, 6u);
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(snapshots->back()->state.retake);
  CAF_CHECK_EQUAL(context.numbers->table("public.orders")->look(0).note, "");
}

CAF_TEST(a table that is gone before its snapshot ends is no quarantine) {
  number_orders(5);
  store_log->stored.erase({"table", "public.orders"});
  start_streaming();
  source_log->tables.clear();
  pass(1s);
  CAF_CHECK_EQUAL(stream->skipped_oids.size(), 0u);
  refuse(snapshotter, snapshots, 0, ec::table_unsuitable);
  CAF_CHECK(saved().at == table_state::phase::dropped);
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "");
  CAF_CHECK_EQUAL(context.numbers->table("public.orders")->look(0).quarantine,
                  "");
  CAF_CHECK(context.numbers->look(0).state == pipeline_state::streaming);
}

CAF_TEST(a table is taken again when somebody asks for it) {
  was_here();
  number_orders(5);
  start_streaming();
  auto& numbers = *context.numbers->table("public.orders");
  numbers.quarantine("did not fit");
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  auto taken = ask<atom::ack>(hdl, atom::snapshot_v, "public.orders"s);
  CAF_REQUIRE_EQUAL(passed_on(), 1u);
  CAF_CHECK(stream->described.back() == orders);
  CAF_CHECK(taken->pending());
  answer(router, batches, batches->size() - 1, atom::ack_v);
  CAF_CHECK(taken->answered());
  CAF_CHECK(saved().retake);
  CAF_CHECK(saved().at == table_state::phase::fresh);
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "");
  CAF_CHECK_EQUAL(numbers.look(0).quarantine, "");
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  auto again = ask<atom::ack>(hdl, atom::snapshot_v, "public.orders"s);
  CAF_CHECK_NOT_EQUAL(again->error.find("is being taken"), std::string::npos);
  answer(snapshotter, snapshots, 0, lsn{900});
  CAF_CHECK(context.numbers->look(0).state == pipeline_state::streaming);
}

CAF_TEST(a table that still does not fit stays quarantined when it is taken) {
  was_here();
  number_orders(5);
  start_streaming();
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  ask<atom::ack>(hdl, atom::snapshot_v, "public.orders"s);
  context.numbers->table("public.orders")->quarantine("does not fit");
  answer(router, batches, batches->size() - 1, atom::ack_v);
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"),
                  "did not fit");
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
}

CAF_TEST(only tables that are followed can be taken again) {
  start_streaming();
  auto taken = ask<atom::ack>(hdl, atom::snapshot_v, "public.other"s);
  CAF_CHECK_EQUAL(taken->error,
                  "table_unsuitable: table public.other is not followed");
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a server that may be shutting down is not kept waiting) {
  options.window_bytes = 1'000;
  start_streaming();
  give(rows(lsn{200}, 2'000));
  readable();
  source_log->failing["slot"] = ec::source_unavailable;
  pass(1s);
  CAF_CHECK_EQUAL(*end, "source_unavailable: slot failed");
}

// -- the end
// --------------------------------------------------------------------

CAF_TEST(an idle capture stops at once) {
  start_streaming();
  stop_reading();
  CAF_CHECK_EQUAL(*end, stopped);
}

CAF_TEST(a stop drains and confirms what is in flight) {
  start_streaming();
  give(rows(lsn{200}));
  give(rows(lsn{300}));
  readable();
  give(rows(lsn{400}));
  stop_reading();
  readable();
  CAF_CHECK_EQUAL(passed_on(), 2u);
  CAF_CHECK_EQUAL(*end, "");
  make_durable(1);
  CAF_CHECK_EQUAL(*end, "");
  make_durable(0);
  CAF_CHECK_EQUAL(*end, stopped);
  CAF_CHECK((stream->confirmed == positions{lsn{300}}));
}

CAF_TEST(a stop while values are filled confirms nothing of them) {
  source_log->held = {"fill"};
  start_streaming();
  auto b = changes();
  b.insert({"1", u});
  read(b);
  stop_reading();
  CAF_CHECK_EQUAL(*end, stopped);
  CAF_CHECK(stream->confirmed.empty());
}

CAF_TEST(ends with the reason when rows cannot be written) {
  start_streaming();
  give(rows(lsn{200}));
  readable();
  refuse(router, batches, first_batch, ec::target_refused);
  CAF_CHECK_EQUAL(*end, "target_refused: refused");
  CAF_CHECK(stream->confirmed.empty());
}

CAF_TEST(ends with the reason when the stream breaks) {
  start_streaming();
  stream->reads.push_back(fail(ec::source_unavailable, "connection lost"));
  readable();
  CAF_CHECK_EQUAL(*end, "source_unavailable: connection lost");
}

CAF_TEST(ends with the reason when the source is silent) {
  start_streaming();
  stream->tick_result = fail(ec::source_unavailable, "nothing for 30 s");
  pass(1s);
  CAF_CHECK_EQUAL(*end, "source_unavailable: nothing for 30 s");
}

CAF_TEST(ends with the reason when a position cannot be told) {
  start_streaming();
  stream->confirm_result = fail(ec::source_unavailable, "broken pipe");
  give(rows(lsn{200}));
  readable();
  make_durable(0);
  CAF_CHECK_EQUAL(*end, "source_unavailable: broken pipe");
  CAF_CHECK_EQUAL(context.numbers->confirmed_position.value(), 0);
}

CAF_TEST(quiet tables are streamed and no snapshot of them runs) {
  auto quiet = [this] { return ask<table_states_ptr>(hdl, atom::tables_v); };
  was_here();
  start();
  // The state may still be another node's.
  auto early = quiet();
  CAF_CHECK_EQUAL(early->error, "source_unavailable: the node does not stream");
  accept_announcement();
  auto known = quiet();
  CAF_REQUIRE(known->answered());
  CAF_REQUIRE_EQUAL((*known->value)->count("public.orders"), 1u);
  CAF_CHECK_EQUAL((*known->value)->at("public.orders").fill_until, lsn{500});
  auto taken = ask<atom::ack>(hdl, atom::snapshot_v, "public.orders"s);
  accept_announcement();
  CAF_REQUIRE(taken->answered());
  known = quiet();
  CAF_CHECK_EQUAL((*known->value)->size(), 0u);
  answer(snapshotter, snapshots, 0, lsn{9'500});
  known = quiet();
  CAF_REQUIRE_EQUAL((*known->value)->size(), 1u);
  CAF_CHECK_EQUAL((*known->value)->at("public.orders").fill_until, lsn{9'500});
  context.numbers->table("public.orders")->quarantine("it does not fit");
  known = quiet();
  CAF_CHECK_EQUAL((*known->value)->size(), 0u);
}

CAF_TEST_FIXTURE_SCOPE_END()
