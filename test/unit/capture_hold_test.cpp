#define CAF_SUITE capture_hold

#include "test/unit/capture_fixture.hpp"

using namespace millrace;
using namespace millrace::test;
using namespace std::literals;

namespace {

struct fixture : capture_fixture {
  fixture() {
    options.hold = true;
    was_here();
  }

  /// As the transformer does before it answers.
  void let_go(const std::string& why = "does not fit") {
    context.numbers->table("public.orders")->quarantine(why);
    store_log->stored[{"quarantine", "public.orders"}] = why;
  }

  void change(lsn commit, size_t nth) {
    give(rows(commit));
    readable();
    make_durable(nth);
  }

  std::string held() const {
    return store_log->state("held", "public.orders");
  }

  std::string slot_waits() {
    auto waits = context.numbers->look(0).waits;
    auto i = waits.find("slot");
    return i != waits.end() ? i->second.why : "";
  }
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(capture_hold_tests, fixture)

CAF_TEST(the slot waits where the first change that is not written begins) {
  start_streaming();
  change(lsn{4'000}, 0);
  give(rows(lsn{5'000}));
  readable();
  let_go();
  make_durable(1);
  change(lsn{6'000}, 2);
  for (int i = 0; i < 3; ++i)
    pass(1s);
  CAF_CHECK((confirmed() == lsn{4'000}));
  CAF_CHECK((saved_source().confirmable == lsn{4'000}));
  CAF_CHECK_EQUAL(held(), "0/FA0");
  CAF_CHECK_EQUAL(slot_waits(),
                  "the slot waits at 0/FA0 for what is quarantined: "
                  "public.orders");
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(without hold the slot goes on) {
  options.hold = false;
  start_streaming();
  let_go();
  change(lsn{4'000}, 0);
  CAF_CHECK((confirmed() == lsn{4'000}));
  CAF_CHECK_EQUAL(held(), "");
  CAF_CHECK_EQUAL(slot_waits(), "");
}

CAF_TEST(a keepalive does not move a slot that waits) {
  start_streaming();
  let_go();
  postgres::read_outcome alive;
  alive.complete = lsn{7'000};
  give(alive);
  readable();
  pass(1s);
  CAF_CHECK(stream->confirmed.empty());
}

CAF_TEST(what the slot waited for goes on without a snapshot) {
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  store_log->stored[{"held", "public.orders"}] = "0/FA0";
  start_streaming();
  CAF_CHECK_EQUAL(held(), "");
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"), "");
  CAF_CHECK_EQUAL(snapshots->size(), 0u);
  CAF_CHECK(saved().at == table_state::phase::streaming);
}

CAF_TEST(what still does not fit goes on being waited for) {
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  store_log->stored[{"held", "public.orders"}] = "0/FA0";
  start();
  let_go();
  accept_announcement();
  change(lsn{4'000}, 0);
  CAF_CHECK_EQUAL(held(), "0/64");
  CAF_CHECK(stream->confirmed.empty());
}

CAF_TEST(a run without hold ends the waiting for good) {
  options.hold = false;
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  store_log->stored[{"held", "public.orders"}] = "0/FA0";
  start();
  let_go();
  accept_announcement();
  CAF_CHECK_EQUAL(held(), "");
  CAF_CHECK_EQUAL(store_log->state("quarantine", "public.orders"),
                  "does not fit");
}

CAF_TEST(what was let go without hold lacks rows and is taken again) {
  store_log->stored[{"quarantine", "public.orders"}] = "did not fit";
  start();
  let_go();
  accept_announcement();
  change(lsn{4'000}, 0);
  CAF_CHECK_EQUAL(held(), "");
  CAF_CHECK(stream->confirmed.empty());
}

CAF_TEST(what is let go during its snapshot is taken again) {
  store_log->stored.erase({"table", "public.orders"});
  start_streaming();
  CAF_REQUIRE_EQUAL(snapshots->size(), 1u);
  let_go();
  answer(snapshotter, snapshots, 0, lsn{500});
  change(lsn{4'000}, 0);
  CAF_CHECK_EQUAL(held(), "");
  CAF_CHECK(stream->confirmed.empty());
}

CAF_TEST(the slot goes on once the table is taken again) {
  start_streaming();
  let_go();
  change(lsn{4'000}, 0);
  CAF_CHECK(stream->confirmed.empty());
  number_orders(0);
  ask<atom::ack>(hdl, atom::snapshot_v, "public.orders"s);
  store_log->held = {"save"};
  answer(router, batches, batches->size() - 1, atom::ack_v);
  // Not before that is remembered.
  auto saves = store_log->saves->size();
  give(rows(lsn{5'000}));
  readable();
  answer(router, batches, batches->size() - 1, atom::ack_v);
  CAF_CHECK(stream->confirmed.empty());
  store_log->held.clear();
  answer(store, store_log->saves, saves - 1, atom::ack_v);
  CAF_CHECK_EQUAL(held(), "");
  CAF_CHECK_EQUAL(slot_waits(), "");
  give(rows(lsn{6'000}));
  readable();
  answer(router, batches, batches->size() - 1, atom::ack_v);
  pass(1s);
  CAF_CHECK((confirmed() == lsn{6'000}));
}

CAF_TEST_FIXTURE_SCOPE_END()
