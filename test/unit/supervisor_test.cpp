#define CAF_SUITE supervisor

#include "actors/supervisor.hpp"
#include "messages/error.hpp"
#include "test/unit/fixture.hpp"

using namespace millrace;

namespace {

caf::behavior worker(caf::event_based_actor* self) {
  return {
    [self](int) { self->quit(caf::make_error(ec::replication_failed)); },
  };
}

struct fixture : test::actor_fixture {
  fixture() {
    policy.initial_delay = std::chrono::milliseconds{100};
    policy.max_restarts = 2;
    auto start = [this](caf::event_based_actor* parent) {
      workers = {parent->spawn(worker), parent->spawn(worker)};
      ++starts;
      return workers;
    };
    root = own(sys.spawn(supervisor, start, policy));
    consume_messages();
  }

  void crash() {
    self->send(workers[0], 1);
    consume_messages();
  }

  restart_policy policy;
  std::vector<caf::actor> workers;
  int starts = 0;
  caf::actor root;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(supervisor_tests, fixture)

CAF_TEST(one failure restarts the whole pipeline after a delay) {
  crash();
  CAF_CHECK_EQUAL(starts, 1);
  advance_time(policy.initial_delay);
  consume_messages();
  CAF_CHECK_EQUAL(starts, 2);
}

CAF_TEST(the delay doubles) {
  crash();
  advance_time(policy.initial_delay);
  consume_messages();
  crash();
  advance_time(policy.initial_delay);
  consume_messages();
  CAF_CHECK_EQUAL(starts, 2);
  advance_time(policy.initial_delay);
  consume_messages();
  CAF_CHECK_EQUAL(starts, 3);
}

CAF_TEST(gives up after max_restarts) {
  self->monitor(root);
  for (int i = 0; i < 3; ++i) {
    crash();
    advance_time(policy.max_delay);
    consume_messages();
  }
  self->receive([](const caf::down_msg& msg) {
    CAF_CHECK_EQUAL(render(msg.reason), "replication_failed");
  });
}

CAF_TEST(stops its workers on exit) {
  self->monitor(workers[1]);
  self->send_exit(root, caf::exit_reason::user_shutdown);
  consume_messages();
  self->receive([](const caf::down_msg& msg) {
    CAF_CHECK(msg.reason == caf::exit_reason::user_shutdown);
  });
}

CAF_TEST_FIXTURE_SCOPE_END()
