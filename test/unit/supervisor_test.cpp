#define CAF_SUITE supervisor

#include "actors/supervisor.hpp"
#include "messages/error.hpp"
#include "test/unit/fixture.hpp"

using namespace millrace;

namespace {

caf::behavior worker(caf::event_based_actor* self) {
  return {
    // A message that is an error ends an actor with it.
    [self](atom::stop) { self->quit(caf::exit_reason::user_shutdown); },
  };
}

struct fixture : test::actor_fixture {
  fixture() : numbers(std::make_shared<metrics>("test", "0")) {
    policy.initial_delay = std::chrono::milliseconds{100};
    auto start = [this](caf::event_based_actor* parent) {
      workers = {parent->spawn(worker), parent->spawn(worker)};
      stop = std::make_shared<std::atomic<bool>>(false);
      ++starts;
      return pipeline{workers, workers[0], stop};
    };
    root = own(sys.spawn(supervisor, start, policy, numbers));
    consume_messages();
  }

  void crash(ec code = ec::source_failed) {
    fail(0, caf::make_error(code, std::string{"text"}));
    consume_messages();
  }

  void fail(size_t worker, caf::error why) {
    self->send(workers[worker], std::move(why));
  }

  void pass(std::chrono::milliseconds time) {
    advance_time(time);
    consume_messages();
  }

  std::shared_ptr<metrics> numbers;
  restart_policy policy;
  std::vector<caf::actor> workers;
  std::shared_ptr<std::atomic<bool>> stop;
  int starts = 0;
  caf::actor root;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(supervisor_tests, fixture)

CAF_TEST(one failure restarts the whole pipeline after a delay) {
  auto old = stop;
  crash();
  CAF_CHECK(old->load());
  CAF_CHECK_EQUAL(starts, 1);
  pass(policy.initial_delay);
  CAF_CHECK_EQUAL(starts, 2);
  CAF_CHECK_EQUAL(numbers->restarts.value(), 1u);
}

CAF_TEST(the delay doubles) {
  crash();
  pass(policy.initial_delay);
  crash();
  pass(policy.initial_delay);
  CAF_CHECK_EQUAL(starts, 2);
  pass(policy.initial_delay);
  CAF_CHECK_EQUAL(starts, 3);
}

CAF_TEST(a quiet minute makes the delay short again) {
  for (int i = 0; i < 5; ++i) {
    crash();
    pass(policy.max_delay);
  }
  pass(policy.quiet);
  crash();
  pass(policy.initial_delay);
  CAF_CHECK_EQUAL(starts, 7);
}

CAF_TEST(a fatal failure ends it with the failure) {
  self->monitor(root);
  crash(ec::slot_lost);
  self->receive([](const caf::down_msg& msg) {
    CAF_CHECK_EQUAL(render(msg.reason), "slot_lost: text");
  });
  CAF_CHECK_EQUAL(starts, 1);
}

CAF_TEST(the cause counts and not its consequence) {
  self->monitor(root);
  fail(1, caf::make_error(caf::sec::request_receiver_down));
  fail(0, caf::make_error(ec::slot_lost, std::string{"text"}));
  consume_messages();
  self->receive([](const caf::down_msg& msg) {
    CAF_CHECK_EQUAL(render(msg.reason), "slot_lost: text");
  });
}

CAF_TEST(what workers report because they are stopped is no cause) {
  fail(1, caf::make_error(ec::source_failed, std::string{"text"}));
  fail(0, caf::make_error(ec::slot_lost, std::string{"late"}));
  consume_messages();
  CAF_CHECK_EQUAL(numbers->look(0).error, "source_failed: text");
  pass(policy.initial_delay);
  CAF_CHECK_EQUAL(starts, 2);
}

CAF_TEST(stop drains the head and ends everything) {
  self->monitor(root);
  self->monitor(workers[1]);
  self->send(root, atom::stop_v);
  consume_messages();
  CAF_CHECK(stop->load());
  for (int i = 0; i < 2; ++i)
    self->receive([&](const caf::down_msg& msg) {
      CAF_CHECK(!msg.reason || msg.reason == caf::exit_reason::user_shutdown);
    });
}

CAF_TEST_FIXTURE_SCOPE_END()
