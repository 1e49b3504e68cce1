#define CAF_SUITE insert_pool

#include "actors/insert_pool.hpp"
#include "test/unit/fake_actors.hpp"

using namespace millrace;

namespace {

using job_inbox = test::inbox_ptr<insert_job_ptr, atom::ack>;
using fake_inserter = test::fake<inserter_actor>;

fake_inserter::behavior_type
worker(fake_inserter::stateful_pointer<test::fake_state> self, job_inbox box) {
  return {
    [self, box](const insert_job_ptr& job) {
      return test::keep<insert_job_ptr, atom::ack>(self, box, job);
    },
    test::run_errands(),
  };
}

struct fixture : test::peers_fixture {
  fixture() {
    std::vector<inserter_actor> inserters;
    for (size_t i = 0; i < 2; ++i) {
      boxes[i] = test::make_inbox<insert_job_ptr, atom::ack>();
      workers[i] = own(sys.spawn(worker, boxes[i]));
      inserters.push_back(workers[i]);
    }
    pool = own(sys.spawn(insert_pool, inserters));
    consume_messages();
  }

  // Sends a job of so many rows; `answers` gets them when it is durable.
  void send(uint64_t rows) {
    auto job = std::make_shared<insert_job>();
    job->rows = rows;
    asker([=, this](caf::event_based_actor* me) {
      me->request(pool, caf::infinite, insert_job_ptr{job})
        .then([=, this](atom::ack) { answers.push_back(rows); },
              [=, this](const caf::error& err) {
                errors.push_back(render(err));
              });
    });
  }

  template <class F>
  void asker(F f) {
    sys.spawn([f](caf::event_based_actor* me) { f(me); });
    consume_messages();
  }

  job_inbox boxes[2];
  fake_inserter workers[2];
  inserter_actor pool;
  std::vector<uint64_t> answers;
  std::vector<std::string> errors;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(insert_pool_tests, fixture)

CAF_TEST(gives each inserter one job and keeps the rest) {
  for (uint64_t i = 1; i <= 4; ++i)
    send(i);
  CAF_CHECK_EQUAL(boxes[0]->size(), 1u);
  CAF_CHECK_EQUAL(boxes[1]->size(), 1u);
  CAF_CHECK(answers.empty());
}

CAF_TEST(an inserter that is free gets the job that came first) {
  for (uint64_t i = 1; i <= 4; ++i)
    send(i);
  answer(workers[1], boxes[1], 0, atom::ack_v);
  CAF_REQUIRE_EQUAL(boxes[1]->size(), 2u);
  CAF_CHECK_EQUAL(boxes[1]->back()->rows, 3u);
  CAF_CHECK_EQUAL(boxes[0]->size(), 1u);
  answer(workers[1], boxes[1], 1, atom::ack_v);
  CAF_REQUIRE_EQUAL(boxes[1]->size(), 3u);
  CAF_CHECK_EQUAL(boxes[1]->back()->rows, 4u);
}

CAF_TEST(answers the job that was confirmed and no other) {
  send(1);
  send(2);
  auto second = boxes[0]->back()->rows == 2 ? 0 : 1;
  answer(workers[second], boxes[second], 0, atom::ack_v);
  CAF_REQUIRE_EQUAL(answers.size(), 1u);
  CAF_CHECK_EQUAL(answers[0], 2u);
}

CAF_TEST(passes a failure on and goes on with the inserter) {
  for (uint64_t i = 1; i <= 3; ++i)
    send(i);
  refuse(workers[0], boxes[0], 0, ec::target_refused);
  CAF_REQUIRE_EQUAL(errors.size(), 1u);
  CAF_CHECK_EQUAL(errors[0], "target_refused: refused");
  CAF_CHECK_EQUAL(boxes[0]->size(), 2u);
}

CAF_TEST(ends with an inserter that dies) {
  auto end = watch_end(pool);
  send(1);
  caf::anon_send_exit(workers[0], caf::exit_reason::kill);
  consume_messages();
  CAF_CHECK_NOT_EQUAL(*end, "");
  CAF_CHECK(answers.empty());
}

CAF_TEST(stops in the middle) {
  for (uint64_t i = 1; i <= 3; ++i)
    send(i);
  auto end = watch_end(pool);
  caf::anon_send_exit(pool, caf::exit_reason::user_shutdown);
  consume_messages();
  CAF_CHECK_EQUAL(*end, test::stopped);
  CAF_CHECK(answers.empty());
}

CAF_TEST_FIXTURE_SCOPE_END()
