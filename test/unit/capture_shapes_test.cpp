#define CAF_SUITE capture_shapes

#include "test/unit/capture_fixture.hpp"
#include "test/unit/has.hpp"

using namespace millrace;
using namespace millrace::test;
using namespace std::literals;

namespace {

struct fixture : capture_fixture {
  fixture() {
    set_shape(shape());
    was_here();
    auto known = saved();
    known.oid = 16'384;
    known.shape = shape();
    store_log->stored[{"table", "public.orders"}] = to_json(known);
  }

  static table_shape shape() {
    table_shape x;
    x.columns = {{1, "id", 20, -1, 700, false, false},
                 {2, "body", 25, -1, 700, false, false}};
    x.heaps = {{16'384, 16'384, false}};
    return x;
  }

  static table_shape renamed() {
    auto x = shape();
    x.columns[1].name = "text";
    return x;
  }

  // With another column that rows from before do not have.
  static table_shape wider() {
    auto x = shape();
    x.columns.push_back({3, "more", 25, -1, 710, false, false});
    return x;
  }

  // The catalogue says this from now on.
  void set_shape(table_shape x) {
    auto copy = std::make_shared<table_description>(*orders);
    copy->oid = 16'384;
    copy->shape = std::make_shared<table_shape>(std::move(x));
    orders = copy;
    source_log->tables = source_log->start.tables = {orders};
  }

  postgres::read_outcome relation_message() {
    postgres::read_outcome x;
    x.unknown.emplace();
    x.unknown->oid = 16'384;
    x.unknown->schema = "public";
    x.unknown->name = "orders";
    return x;
  }

  std::string mark() const {
    return store_log->state("retake", "public.orders");
  }

  // A Relation message and what the catalogue says about it.
  void describe_orders() {
    source_log->held.insert("describe");
    give(relation_message());
    give(rows(lsn{6'000}));
    readable();
    answer(source, source_log->describes, source_log->describes->size() - 1,
           orders);
  }

  // The target table of a table that is taken again is there.
  void accept_retake() {
    CAF_REQUIRE(batches->size() > 0);
    for (size_t i = first_batch; i < batches->size(); ++i)
      if ((*batches)[i]->changes.empty())
        answer(router, batches, i, atom::ack_v);
  }

  // The next look for tables.
  void look() {
    for (int i = 0; i < 11; ++i)
      pass(1s);
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(capture_shapes_tests, fixture)

CAF_TEST(rows of a shape that outdates others wait until that is noted) {
  start_streaming();
  set_shape(renamed());
  store_log->held = {"save"};
  auto saves = store_log->saves->size();
  describe_orders();
  CAF_CHECK(has(mark(), "renamed"));
  CAF_CHECK(stream->described.empty());
  CAF_CHECK_EQUAL(passed_on(), 0u);
  answer(store, store_log->saves, saves, atom::ack_v);
  CAF_CHECK_EQUAL(stream->described.front(), orders);
  CAF_CHECK_EQUAL(passed_on(), 2u); // the rows, and the announcement
}

CAF_TEST(a table that is noted is taken again and noted no more) {
  start_streaming();
  set_shape(renamed());
  describe_orders();
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  accept_retake();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  const auto& state = snapshots->back()->state;
  CAF_CHECK(state.retake);
  CAF_CHECK((state.label == lsn{0}));
  CAF_CHECK(state.shape.columns == renamed().columns);
  CAF_CHECK_EQUAL(state.shape.left, std::vector<std::string>{"body"});
  CAF_CHECK(saved() == state);
  CAF_CHECK_EQUAL(mark(), "");
  look();
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
}

CAF_TEST(a change without a row is seen by who looks for tables) {
  start_streaming();
  set_shape(renamed());
  look();
  accept_retake();
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
}

CAF_TEST(a change while the node was stopped is seen at the start) {
  set_shape(renamed());
  start_streaming();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(snapshots->back()->state.retake);
  CAF_CHECK(saved().shape.columns == renamed().columns);
}

CAF_TEST(what was noted before a crash is done at the start) {
  store_log->stored[{"retake", "public.orders"}] = "for the test";
  start_streaming();
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
  CAF_CHECK_EQUAL(mark(), "");
}

CAF_TEST(a change that makes no difference is remembered) {
  start_streaming();
  set_shape(wider());
  describe_orders();
  CAF_CHECK(saved().shape == wider());
  look();
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  CAF_CHECK_EQUAL(mark(), "");
}

CAF_TEST(a table that changes under its snapshot is taken again after it) {
  auto state = saved();
  state.at = table_state::phase::fresh;
  store_log->stored[{"table", "public.orders"}] = to_json(state);
  start_streaming();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  stream->received = lsn{8'000};
  set_shape(renamed());
  describe_orders();
  look();
  // Whoever takes the snapshot writes the state; the note is apart from it.
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
  CAF_CHECK(saved().shape == shape());
  CAF_CHECK(has(mark(), "renamed"));
  answer(snapshotter, snapshots, 0, lsn{9'000});
  accept_retake();
  CAF_CHECK_EQUAL(snapshots->size(), 2u);
  CAF_CHECK_EQUAL(mark(), "");
}

CAF_TEST(a shape that the catalogue does not have is passed over) {
  start_streaming();
  source_log->failing["describe"] = ec::table_unsuitable;
  source_log->position = lsn{7'777};
  store_log->held = {"save"};
  auto saves = store_log->saves->size();
  give(relation_message());
  give(rows(lsn{6'000}));
  readable();
  CAF_CHECK_EQUAL(mark(), "describe failed");
  CAF_CHECK(stream->passed_over.empty());
  CAF_CHECK_EQUAL(passed_on(), 0u);
  store_log->held.clear();
  answer(store, store_log->saves, saves, atom::ack_v);
  CAF_REQUIRE_EQUAL(stream->passed_over.size(), 1u);
  CAF_CHECK((stream->passed_over[0].second == lsn{7'777}));
  accept_retake();
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
}

CAF_TEST(several shapes that the catalogue does not have are one reason) {
  start_streaming();
  source_log->failing["describe"] = ec::table_unsuitable;
  source_log->position = lsn{7'777};
  for (uint64_t i = 0; i < 100; ++i) {
    stream->received = lsn{6'000 + i};
    give(relation_message());
    readable();
  }
  CAF_CHECK_EQUAL(stream->passed_over.size(), 100u);
  CAF_CHECK_EQUAL(source_log->count("position"), 1u);
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "");
  CAF_MESSAGE("what comes later is looked at anew");
  stream->received = lsn{7'778};
  give(relation_message());
  readable();
  CAF_CHECK_EQUAL(source_log->count("position"), 2u);
}

CAF_TEST(a table whose shapes are never understood is let go) {
  start_streaming();
  source_log->failing["describe"] = ec::table_unsuitable;
  for (uint64_t i = 0; i < 21; ++i) {
    source_log->position = lsn{6'000 + i};
    stream->received = lsn{6'000 + i};
    give(relation_message());
    readable();
  }
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"),
                  "describe failed");
  CAF_CHECK_EQUAL(stream->skipped, std::vector<std::string>{"orders"});
  CAF_MESSAGE("and stays so");
  auto asked = source_log->count("describe");
  source_log->failing.clear();
  give(relation_message());
  readable();
  CAF_CHECK_EQUAL(source_log->count("describe"), asked);
  CAF_CHECK_EQUAL(stream->skipped.size(), 2u);
}

CAF_TEST(of a table with new partitions these are taken alone) {
  start_streaming();
  auto more = shape();
  more.heaps.push_back({16'400, 16'400, true});
  set_shape(more);
  describe_orders();
  CAF_CHECK(saved().shape == shape());
  accept_retake();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  CAF_CHECK_EQUAL(snapshots->back()->state.only, std::vector<uint32_t>{16'400});
  CAF_CHECK(!snapshots->back()->state.retake);
  CAF_CHECK(saved().shape == more);
}

CAF_TEST(what was noted while a snapshot was planned anew is done with it) {
  auto state = saved();
  state.at = table_state::phase::fresh;
  store_log->stored[{"table", "public.orders"}] = to_json(state);
  start_streaming();
  set_shape(renamed());
  stream->received = lsn{8'000};
  describe_orders();
  CAF_CHECK(has(mark(), "renamed"));
  state.shape = renamed();
  state.label = lsn{8'500};
  store_log->stored[{"table", "public.orders"}] = to_json(state);
  answer(snapshotter, snapshots, 0, lsn{9'000});
  look();
  CAF_CHECK_EQUAL(snapshots->size(), 1u);
  CAF_CHECK_EQUAL(mark(), "");
}

CAF_TEST(a table without key whose rows change is let go) {
  auto copy = std::make_shared<table_description>(*orders);
  copy->identity = table_identity::append_only;
  for (auto& x : copy->columns)
    x.key_position = -1;
  orders = copy;
  auto edited = shape();
  set_shape(edited);
  start_streaming();
  look();
  auto why = [&] { return store_log->state("quarantine", "public.orders"); };
  CAF_CHECK_EQUAL(why(), "");
  edited.edits = 3;
  set_shape(edited);
  look();
  CAF_CHECK(has(why(), "(3 times)"));
}

CAF_TEST(counters that start anew let nothing go) {
  auto state = saved();
  state.shape.edits = 100;
  store_log->stored[{"table", "public.orders"}] = to_json(state);
  auto copy = std::make_shared<table_description>(*orders);
  copy->identity = table_identity::append_only;
  for (auto& x : copy->columns)
    x.key_position = -1;
  orders = copy;
  set_shape(shape());
  start_streaming();
  look();
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "");
  CAF_CHECK_EQUAL(saved().shape.edits, 0u);
}

CAF_TEST(without snapshots nothing is taken again and that is said) {
  options.snapshot = false;
  start_streaming();
  set_shape(renamed());
  describe_orders();
  look();
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  CAF_CHECK_EQUAL(mark(), "");
  CAF_CHECK(has(context.numbers->table("public.orders")->look(0).note,
                "rows from before may differ"));
  CAF_CHECK(saved().shape.columns == renamed().columns);
}

CAF_TEST_FIXTURE_SCOPE_END()
