#define CAF_SUITE batching_sink

#include "actors/batching_sink.hpp"
#include "test/unit/fake_actors.hpp"
#include "test/unit/fake_tables.hpp"

using namespace millrace;
using namespace std::chrono_literals;

namespace {

using job_inbox = test::inbox_ptr<insert_job_ptr, atom::ack>;
using fake_pool = test::fake<inserter_actor>;

fake_pool::behavior_type
pool_of(fake_pool::stateful_pointer<test::fake_state> self, job_inbox box) {
  return {
    [self, box](const insert_job_ptr& job) {
      return test::keep<insert_job_ptr, atom::ack>(self, box, job);
    },
    test::run_errands(),
  };
}

struct fixture : test::peers_fixture {
  fixture()
    : jobs(test::make_inbox<insert_job_ptr, atom::ack>()),
      active(std::make_shared<std::atomic<int>>(0)),
      table(test::make_target("t", {{"id", "Int32"}}, 1)) {
    limits.rows = 100;
    limits.bytes = 10'000;
    limits.flush_wait = 20ms;
    limits.catch_up_wait = 200ms;
    limits.catch_up_quiet = 30ms;
    limits.inserts_per_second = 1000;
    pool = own(sys.spawn(pool_of, jobs));
  }

  void start() {
    sink = own(
      sys.spawn(batching_sink, context, "public.t", pool, limits, active));
    end = watch_end(sink);
    consume_messages();
  }

  std::shared_ptr<row_block> block(uint64_t rows, size_t bytes = 10) {
    auto result = std::make_shared<row_block>();
    result->table = table;
    result->native.own.assign(bytes, 'x');
    result->rows = rows;
    result->oldest_commit = now_microseconds();
    return result;
  }

  row_block_ptr old_block() {
    auto result = block(1);
    result->oldest_commit = now_microseconds() - 10'000'000;
    return result;
  }

  // `durable` gets the block's number once it is answered.
  void send(row_block_ptr x) {
    auto number = sent++;
    sys.spawn([=, this](caf::event_based_actor* me) {
      me->request(sink, caf::infinite, x)
        .then([=, this](atom::ack) { durable.push_back(number); },
              [=, this](const caf::error& err) {
                failed.push_back(std::to_string(number) + ' ' + render(err));
              });
    });
    consume_messages();
  }

  void confirm(size_t job) {
    answer(pool, jobs, job, atom::ack_v);
  }

  job_inbox jobs;
  active_sinks active;
  target_table_ptr table;
  sink_limits limits;
  fake_pool pool;
  sink_actor sink;
  std::shared_ptr<std::string> end;
  int sent = 0;
  std::vector<int> durable;
  std::vector<std::string> failed;
};

using numbers = std::vector<int>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(batching_sink_tests, fixture)

CAF_TEST(the first row of an idle table is written at once) {
  start();
  send(block(1));
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  CAF_CHECK(durable.empty());
  confirm(0);
  CAF_CHECK_EQUAL(durable, numbers{0});
}

CAF_TEST(one insert is in flight and the next takes all that came) {
  start();
  for (int i = 0; i < 4; ++i)
    send(block(1));
  pass(1h);
  CAF_REQUIRE_EQUAL(jobs->size(), 1u);
  confirm(0);
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(jobs->back()->blocks.size(), 3u);
  CAF_CHECK_EQUAL(jobs->back()->rows, 3u);
  CAF_CHECK_EQUAL(jobs->back()->bytes, 30u);
  CAF_CHECK_EQUAL(durable, numbers{0});
  confirm(1);
  CAF_CHECK_EQUAL(durable, (numbers{0, 1, 2, 3}));
}

CAF_TEST(a full insert goes beside another and no third one does) {
  start();
  send(block(100));
  send(block(99));
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  send(block(1));
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL((*jobs)[1]->rows, 100u);
  send(block(100));
  pass(1h);
  CAF_CHECK_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(active->load(), 1);
  confirm(1);
  CAF_CHECK_EQUAL(durable, (numbers{1, 2}));
  CAF_CHECK_EQUAL(jobs->size(), 3u);
  confirm(0);
  confirm(2);
  CAF_CHECK_EQUAL(active->load(), 0);
}

CAF_TEST(inserts start at least the flush wait apart) {
  start();
  send(block(1));
  confirm(0);
  send(block(1));
  pass(19ms);
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  pass(1ms);
  CAF_CHECK_EQUAL(jobs->size(), 2u);
}

CAF_TEST(what is old anyway waits until no more comes) {
  start();
  send(block(1));
  confirm(0);
  for (int i = 0; i < 4; ++i) {
    send(old_block());
    pass(29ms);
    CAF_CHECK_EQUAL(jobs->size(), 1u);
  }
  pass(1ms);
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(jobs->back()->rows, 4u);
}

CAF_TEST(what is old anyway does not wait for ever) {
  start();
  send(block(1));
  confirm(0);
  for (int i = 0; i < 10; ++i) {
    send(old_block());
    CAF_CHECK_EQUAL(jobs->size(), 1u);
    pass(20ms);
  }
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(jobs->back()->rows, 10u);
}

CAF_TEST(rows of a snapshot are old) {
  start();
  send(block(1));
  confirm(0);
  auto chunk = block(1);
  chunk->oldest_commit = 0;
  send(chunk);
  pass(29ms);
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  pass(1ms);
  CAF_CHECK_EQUAL(jobs->size(), 2u);
}

CAF_TEST(a full insert does not wait) {
  start();
  send(block(1));
  confirm(0);
  send(block(99));
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  send(block(1));
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(jobs->back()->rows, 100u);
}

CAF_TEST(an insert is full by its bytes too) {
  start();
  send(block(1));
  confirm(0);
  send(block(1, 10'000));
  CAF_CHECK_EQUAL(jobs->size(), 2u);
}

CAF_TEST(no insert grows beyond the limits by more than a block) {
  start();
  send(block(1));
  for (int i = 0; i < 5; ++i)
    send(block(60));
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(jobs->back()->rows, 120u);
  confirm(0);
  CAF_REQUIRE_EQUAL(jobs->size(), 3u);
  CAF_CHECK_EQUAL(jobs->back()->rows, 120u);
  confirm(1);
  confirm(2);
  CAF_CHECK_EQUAL(jobs->size(), 3u);
  pass(20ms);
  CAF_CHECK_EQUAL(jobs->size(), 4u);
}

CAF_TEST(a new shape cuts the insert) {
  start();
  send(block(1));
  send(block(1));
  auto wider = block(1);
  wider->table
    = test::make_target("t", {{"id", "Int32"}, {"name", "String"}}, 1);
  send(wider);
  send(block(1));
  confirm(0);
  pass(20ms);
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(jobs->back()->blocks.size(), 1u);
  confirm(1);
  pass(20ms);
  CAF_REQUIRE_EQUAL(jobs->size(), 3u);
  CAF_CHECK_EQUAL(jobs->back()->blocks.size(), 1u);
  CAF_CHECK(jobs->back()->blocks[0] == wider);
  CAF_CHECK_EQUAL(durable, (numbers{0, 1}));
}

CAF_TEST(blocks of two shards meet in one insert) {
  start();
  send(block(1));
  send(block(1));
  table = test::make_target("t", {{"id", "Int32"}}, 1);
  send(block(1));
  confirm(0);
  pass(20ms);
  CAF_REQUIRE_EQUAL(jobs->size(), 2u);
  CAF_CHECK_EQUAL(jobs->back()->blocks.size(), 2u);
}

CAF_TEST(who waits for the rows need not wait for more) {
  start();
  send(block(1));
  confirm(0);
  send(block(1));
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  self->send(sink, atom::flush_v);
  consume_messages();
  CAF_CHECK_EQUAL(jobs->size(), 2u);
  // It counts for what was queued, not for what comes later.
  confirm(1);
  send(block(1));
  CAF_CHECK_EQUAL(jobs->size(), 2u);
}

CAF_TEST(an urgent block does not wait) {
  start();
  send(block(1));
  confirm(0);
  auto x = block(1);
  x->urgent = true;
  send(x);
  CAF_CHECK_EQUAL(jobs->size(), 2u);
}

CAF_TEST(many active tables share the budget of inserts) {
  limits.inserts_per_second = 10;
  start();
  send(block(1));
  confirm(0);
  CAF_CHECK_EQUAL(active->load(), 0);
  *active = 4; // other tables
  send(block(1));
  CAF_CHECK_EQUAL(active->load(), 5);
  pass(499ms);
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  pass(1ms);
  CAF_CHECK_EQUAL(jobs->size(), 2u);
  confirm(1);
  CAF_CHECK_EQUAL(active->load(), 4);
}

CAF_TEST(a silent pool keeps rows unanswered) {
  start();
  send(block(1));
  send(block(1));
  pass(24h);
  CAF_CHECK_EQUAL(jobs->size(), 1u);
  CAF_CHECK(durable.empty());
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(ends with the reason when a write fails) {
  start();
  send(block(1));
  refuse(pool, jobs, 0, ec::target_refused);
  CAF_CHECK_EQUAL(*end, "target_refused: refused");
  CAF_CHECK(durable.empty());
  CAF_CHECK_EQUAL(active->load(), 0);
}

CAF_TEST(of refused blocks each is tried alone) {
  start();
  send(block(1)); // in flight, so that the others meet in one insert
  send(block(2));
  send(block(3));
  send(block(4));
  confirm(0);
  pass(20ms);
  CAF_REQUIRE_EQUAL((*jobs)[1]->rows, 9u);
  refuse(pool, jobs, 1, ec::rows_refused);
  CAF_CHECK(failed.empty());
  CAF_REQUIRE_EQUAL(jobs->size(), 3u);
  CAF_CHECK_EQUAL((*jobs)[2]->rows, 2u);
  confirm(2);
  pass(20ms);
  CAF_REQUIRE_EQUAL(jobs->size(), 4u);
  CAF_CHECK_EQUAL((*jobs)[3]->rows, 3u);
  refuse(pool, jobs, 3, ec::rows_refused);
  CAF_CHECK_EQUAL(failed, std::vector<std::string>{"2 rows_refused: refused"});
  pass(20ms);
  CAF_REQUIRE_EQUAL(jobs->size(), 5u);
  CAF_CHECK_EQUAL((*jobs)[4]->rows, 4u);
  confirm(4);
  CAF_CHECK_EQUAL(durable, (numbers{0, 1, 3}));
  CAF_CHECK_EQUAL(*end, "");
  CAF_CHECK_EQUAL(active->load(), 0);
}

CAF_TEST(a block that is to be alone is alone) {
  start();
  send(block(1));
  send(block(2));
  auto single = block(3);
  single->alone = true;
  send(single);
  send(block(4));
  confirm(0);
  for (size_t i = 1; i < 4; ++i) {
    pass(20ms);
    CAF_REQUIRE_EQUAL(jobs->size(), i + 1);
    CAF_CHECK_EQUAL((*jobs)[i]->rows, i + 1);
    confirm(i);
  }
  CAF_CHECK_EQUAL(durable, (numbers{0, 1, 2, 3}));
}

CAF_TEST(a table that takes no inserts is for those who send the rows) {
  start();
  send(block(1));
  refuse(pool, jobs, 0, ec::table_unsuitable);
  CAF_CHECK_EQUAL(failed,
                  std::vector<std::string>{"0 table_unsuitable: refused"});
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(stops in the middle) {
  start();
  send(block(1));
  send(block(1));
  caf::anon_send_exit(sink, caf::exit_reason::user_shutdown);
  consume_messages();
  CAF_CHECK_EQUAL(*end, test::stopped);
  CAF_CHECK_EQUAL(active->load(), 0);
  confirm(0);
  CAF_CHECK(durable.empty());
}

CAF_TEST(counts what was confirmed) {
  start();
  send(block(7, 50));
  auto table = context.numbers->table("public.t");
  CAF_CHECK_EQUAL(table->rows_written.value(), 0u);
  confirm(0);
  CAF_CHECK_EQUAL(table->rows_written.value(), 7u);
  CAF_CHECK_EQUAL(table->bytes_written.value(), 50u);
  CAF_CHECK_EQUAL(table->inserts.value(), 1u);
}

CAF_TEST_FIXTURE_SCOPE_END()
