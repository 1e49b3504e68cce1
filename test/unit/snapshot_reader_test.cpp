#define CAF_SUITE snapshot_reader

#include "actors/snapshot_reader.hpp"
#include "test/unit/fake_agents.hpp"
#include "test/unit/table_fixture.hpp"

#include <deque>

using namespace millrace;
using namespace millrace::test;

namespace {

using log_type = std::vector<std::string>;
using read_result = result<postgres::chunk_reader::outcome>;

// A connection that brings what a test gives it.
struct fake_connection {
  log_type log;
  std::deque<read_result> reads;
  std::deque<result<void>> starts;
  std::deque<result<void>> ends;
};

result<void> next(std::deque<result<void>>& xs) {
  if (xs.empty())
    return {};
  auto x = xs.front();
  xs.pop_front();
  return x;
}

class fake_chunks : public chunk_source {
public:
  explicit fake_chunks(std::shared_ptr<fake_connection> x) : x_(std::move(x)) {
    // nop
  }

  // Never readable: tests say when there is something.
  int fd() const override {
    return -1;
  }

  result<void>
  start(const postgres::snapshot_plan&, const postgres::chunk& chunk) override {
    x_->log.push_back("start " + std::to_string(chunk.first));
    return next(x_->starts);
  }

  read_result read(const postgres::read_limits&) override {
    x_->log.push_back("read");
    if (x_->reads.empty())
      return postgres::chunk_reader::outcome{nullptr, false, true};
    auto x = x_->reads.front();
    x_->reads.pop_front();
    return x;
  }

  void abandon() override {
    x_->log.push_back("abandon");
  }

  result<void> finish() override {
    x_->log.push_back("finish");
    return next(x_->ends);
  }

private:
  std::shared_ptr<fake_connection> x_;
};

struct fixture : peers_fixture {
  fixture()
    : source(table("t", {column("id", value_kind::int8, false, 0)})),
      connection(std::make_shared<fake_connection>()),
      batches(make_inbox<change_batch_ptr, atom::ack>()) {
    limits.window_bytes = 1'000'000;
    router = own(
      sys.spawn(fake_router_of, batches, make_inbox<std::string, atom::ack>()));
    auto made = std::make_shared<postgres::snapshot_plan>();
    made->table = source;
    for (uint32_t i = 0; i < 3; ++i)
      made->chunks.push_back({i * 10, i * 10 + 10, 0, 0});
    plan = made;
  }

  void start() {
    hdl = own(sys.spawn(snapshot_reader, context,
                        std::make_unique<fake_chunks>(connection), router,
                        limits));
    end = watch_end(hdl);
  }

  asked_ptr<uint64_t> order(size_t chunk) {
    return ask<uint64_t>(hdl, chunk_order_ptr{std::make_shared<chunk_order>(
                                chunk_order{plan, chunk})});
  }

  change_batch_ptr rows(int n) {
    batch_builder b{source};
    for (int i = 0; i < n; ++i) {
      b.insert({std::to_string(i)});
      b.batch.changes.back().op = operation::read;
    }
    return std::make_shared<change_batch>(b.batch);
  }

  void give(change_batch_ptr batch, bool done = false, bool drained = false) {
    connection->reads.push_back(
      postgres::chunk_reader::outcome{std::move(batch), done, drained});
  }

  void make_durable(size_t batch) {
    answer(router, batches, batch, atom::ack_v);
  }

  int64_t in_flight() {
    return context.numbers->snapshot_in_flight_bytes.value();
  }

  table_description_ptr source;
  std::shared_ptr<fake_connection> connection;
  router_inbox batches;
  snapshot_limits limits;
  std::shared_ptr<const postgres::snapshot_plan> plan;
  fake_router router;
  snapshot_reader_actor hdl;
  std::shared_ptr<std::string> end;
};

const failure rewritten{ec::table_unsuitable, "it has been rewritten"};
const failure cut{ec::source_unavailable, "connection lost"};

} // namespace

CAF_TEST_FIXTURE_SCOPE(snapshot_reader_tests, fixture)

CAF_TEST(a chunk is answered with its rows when all are durable) {
  give(rows(2));
  give(rows(3), true);
  start();
  auto done = order(1);
  CAF_CHECK_EQUAL(connection->log,
                  (log_type{"start 10", "read", "read", "finish"}));
  CAF_REQUIRE_EQUAL(batches->size(), 2u);
  make_durable(1);
  CAF_CHECK(done->pending());
  make_durable(0);
  CAF_REQUIRE(done->answered());
  CAF_CHECK_EQUAL(*done->value, 5u);
  CAF_CHECK_EQUAL(in_flight(), 0);
}

CAF_TEST(a chunk without rows is answered at once) {
  give(nullptr, true);
  start();
  auto done = order(0);
  CAF_REQUIRE(done->answered());
  CAF_CHECK_EQUAL(*done->value, 0u);
  CAF_CHECK_EQUAL(batches->size(), 0u);
}

CAF_TEST(the next chunk is read before the one before is durable) {
  give(rows(1), true);
  give(rows(2), true);
  start();
  auto first = order(0);
  auto second = order(1);
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read", "finish",
                                             "start 10", "read", "finish"}));
  make_durable(1);
  CAF_REQUIRE(second->answered());
  CAF_CHECK_EQUAL(*second->value, 2u);
  CAF_CHECK(first->pending());
}

CAF_TEST(stops reading while the window is full) {
  limits.window_bytes = 1;
  for (int i = 0; i < 3; ++i)
    give(rows(1), i == 2);
  start();
  auto done = order(0);
  CAF_CHECK_EQUAL(batches->size(), 1u);
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read"}));
  make_durable(0);
  CAF_CHECK_EQUAL(batches->size(), 2u);
  make_durable(1);
  CAF_CHECK_EQUAL(batches->size(), 3u);
  CAF_CHECK(done->pending());
  make_durable(2);
  CAF_CHECK(done->answered());
}

CAF_TEST(a chunk is let go of when the target does not answer) {
  limits.window_bytes = 1;
  give(rows(1));
  start();
  auto done = order(0);
  for (int i = 0; i < 4; ++i)
    pass(std::chrono::seconds{1});
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read"}));
  pass(std::chrono::seconds{1});
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read", "abandon"}));
  // It is not begun again before there is room; then all of it is read.
  for (int i = 0; i < 100; ++i)
    pass(std::chrono::seconds{1});
  CAF_CHECK_EQUAL(connection->log.size(), 3u);
  give(rows(2));
  connection->log.clear();
  make_durable(0);
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read"}));
  // The next time it is held longer: a slow target must get to its end.
  for (int i = 0; i < 9; ++i)
    pass(std::chrono::seconds{1});
  CAF_CHECK_EQUAL(connection->log.size(), 2u);
  give(nullptr, true);
  make_durable(1);
  CAF_REQUIRE(done->answered());
  CAF_CHECK_EQUAL(*done->value, 2u);
}

CAF_TEST(answers are a sign of life) {
  limits.window_bytes = 1;
  for (int i = 0; i < 4; ++i)
    give(rows(1));
  start();
  order(0);
  for (size_t i = 0; i < 3; ++i) {
    for (int j = 0; j < 4; ++j)
      pass(std::chrono::seconds{1});
    make_durable(i);
  }
  CAF_CHECK_EQUAL(connection->log,
                  (log_type{"start 0", "read", "read", "read", "read"}));
}

CAF_TEST(a chunk of a table without key is not read twice) {
  auto keyless = std::make_shared<table_description>(*source);
  keyless->identity = table_identity::append_only;
  auto made = std::make_shared<postgres::snapshot_plan>(*plan);
  made->table = keyless;
  plan = made;
  limits.window_bytes = 1;
  give(rows(1));
  start();
  auto done = order(0);
  for (int i = 0; i < 6; ++i)
    pass(std::chrono::seconds{1});
  CAF_CHECK(done->error.starts_with("table_unsuitable: "));
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a source that refuses for now leaves it to whoever asked) {
  connection->starts.push_back(
    fail(ec::source_failed, "it is locked by process 7"));
  start();
  auto done = order(0);
  CAF_CHECK_EQUAL(done->error, "source_failed: it is locked by process 7");
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(holds the chunk open until its last batch has been passed on) {
  limits.window_bytes = 1;
  give(rows(1));
  give(nullptr, true);
  start();
  order(0);
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read"}));
  make_durable(0);
  CAF_CHECK_EQUAL(connection->log,
                  (log_type{"start 0", "read", "read", "finish"}));
}

CAF_TEST(starts no chunk while the window is full) {
  limits.window_bytes = 1;
  give(rows(1), true);
  give(rows(1), true);
  start();
  order(0);
  order(1);
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read", "finish"}));
  make_durable(0);
  CAF_CHECK_EQUAL(batches->size(), 2u);
}

CAF_TEST(waits for the connection when nothing is there) {
  start();
  auto done = order(0);
  CAF_CHECK_EQUAL(connection->log, (log_type{"start 0", "read"}));
  give(rows(1), true);
  caf::anon_send(hdl, atom::readable_v);
  consume_messages();
  CAF_CHECK_EQUAL(connection->log,
                  (log_type{"start 0", "read", "read", "finish"}));
  make_durable(0);
  CAF_CHECK(done->answered());
}

CAF_TEST(a table that is not the plan 's any more is the orderer' s business) {
  connection->starts = {tl::unexpected{rewritten}};
  give(rows(1), true);
  start();
  auto first = order(0);
  CAF_CHECK_EQUAL(first->error, "table_unsuitable: it has been rewritten");
  CAF_CHECK_EQUAL(*end, "");
  auto second = order(1);
  make_durable(0);
  CAF_CHECK(second->answered());
}

CAF_TEST(a chunk that breaks off is answered once) {
  give(rows(1));
  connection->reads.push_back(tl::unexpected{rewritten});
  start();
  auto done = order(0);
  CAF_CHECK_EQUAL(done->error, "table_unsuitable: it has been rewritten");
  make_durable(0);
  CAF_CHECK(!done->answered());
  CAF_CHECK_EQUAL(in_flight(), 0);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a chunk that cannot be ended does not count) {
  give(rows(1), true);
  connection->ends = {tl::unexpected{rewritten}};
  start();
  auto done = order(0);
  make_durable(0);
  CAF_CHECK(!done->answered());
  CAF_CHECK_EQUAL(done->error, "table_unsuitable: it has been rewritten");
}

CAF_TEST(ends with the reason when the source fails) {
  give(rows(1));
  connection->reads.push_back(tl::unexpected{cut});
  start();
  auto done = order(0);
  CAF_CHECK_EQUAL(*end, "source_unavailable: connection lost");
  CAF_CHECK(!done->answered());
}

CAF_TEST(ends with the reason when rows cannot be written) {
  give(rows(1), true);
  start();
  auto done = order(0);
  refuse(router, batches, 0, ec::target_refused);
  CAF_CHECK_EQUAL(*end, "target_refused: refused");
  CAF_CHECK(!done->answered());
}

CAF_TEST(a silent router keeps the chunk unanswered) {
  give(rows(1), true);
  start();
  auto done = order(0);
  pass(std::chrono::hours{24});
  CAF_CHECK(done->pending());
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(stops in the middle and leaves no bytes in the gauge) {
  give(rows(1));
  start();
  auto done = order(0);
  CAF_CHECK_GREATER(in_flight(), 0);
  stop(hdl);
  CAF_CHECK_EQUAL(*end, stopped);
  CAF_CHECK_EQUAL(in_flight(), 0);
  CAF_CHECK(!done->answered());
}

CAF_TEST_FIXTURE_SCOPE_END()
