#define CAF_SUITE cleaner

#include "actors/cleaner.hpp"
#include "actors/state_marks.hpp"
#include "test/unit/fake_agents.hpp"
#include "test/unit/table_fixture.hpp"

using namespace millrace;
using namespace millrace::test;
using namespace std::chrono_literals;

namespace {

using clickhouse::old_tombstones;
using clickhouse::tombstone_store;

/// What is in the target, and what was asked of it.
struct fake_tombstones {
  std::map<std::string, old_tombstones> of;
  std::vector<std::string> looks;
  std::vector<std::string> removals;
  ec failing = ec::none;
};

class fake_store : public tombstone_store {
public:
  explicit fake_store(std::shared_ptr<fake_tombstones> x) : x_(std::move(x)) {
    // nop
  }

  result<old_tombstones>
  look(const target_table& table, version below) override {
    x_->looks.push_back(table.name + '<' + std::to_string(below.major));
    if (x_->failing != ec::none)
      return fail(x_->failing, "the target is away");
    auto out = x_->of[table.name];
    if (!out.held_by_letter)
      out.below = below;
    return out;
  }

  result<uint64_t>
  remove(const target_table& table, const std::string& partition,
         version below) override {
    x_->removals.push_back(table.name + '/' + partition + '<'
                           + std::to_string(below.major));
    if (x_->failing != ec::none)
      return fail(x_->failing, "the target is away");
    return uint64_t{10};
  }

private:
  std::shared_ptr<fake_tombstones> x_;
};

/// CAPTURE, as far as the CLEANER knows it.
struct fake_tables {
  std::map<std::string, table_state> quiet;
  bool streaming = true;
  size_t asked = 0;
};

table_states_actor::behavior_type
capture_of(table_states_actor::pointer, std::shared_ptr<fake_tables> x) {
  return {
    [=](atom::tables) -> caf::result<table_states_ptr> {
      ++x->asked;
      if (!x->streaming)
        return caf::make_error(ec::source_unavailable, std::string{"not yet"});
      return table_states_ptr{
        std::make_shared<std::map<std::string, table_state>>(x->quiet)};
    },
  };
}

table_state complete(lsn label, lsn end) {
  table_state x;
  x.at = table_state::phase::streaming;
  x.oid = 7;
  x.label = label;
  x.fill_until = end;
  return x;
}

using texts = std::vector<std::string>;

constexpr int64_t start_of_time = 1'700'000'000'000'000;

/// The age is 160 s, a look is taken every 10 s. The slot is at 1,000 first.
struct fixture : peers_fixture {
  fixture()
    : source_log(std::make_shared<source_script>()),
      store_log(std::make_shared<target_script>()),
      tables(std::make_shared<fake_tables>()),
      target(std::make_shared<fake_tombstones>()),
      flushes(make_inbox<std::string, atom::ack>()) {
    add("t", table_identity::key, complete(lsn{100}, lsn{500}));
    source_log->restart = lsn{1'000};
    options.age = 160s;
    options.interval = 10s;
    options.now = [this] { return start_of_time + elapsed.count() * 1000; };
    source = own(sys.spawn(fake_source_agent, source_log));
    store = own(sys.spawn(fake_target_agent, store_log));
    router = own(sys.spawn(fake_router_of,
                           make_inbox<change_batch_ptr, atom::ack>(), flushes));
    capture = own(sys.spawn(capture_of, tables));
    target->of["t"].partitions = {{"all", 100, 50}};
  }

  void add(const std::string& name, table_identity identity, table_state x) {
    auto description = std::make_shared<table_description>(
      *table(name, {column("id", value_kind::int8, false,
                           identity == table_identity::key ? 0 : -1)}));
    description->identity = identity;
    description->oid = x.oid;
    source_log->tables.push_back(description);
    tables->quiet["public." + name] = x;
  }

  void start() {
    hdl = own(sys.spawn(
      cleaner, context, options,
      cleaner_peers{source, capture, router,
                    caf::actor_cast<state_store_actor>(store)},
      mapping,
      clickhouse::tombstone_store_ptr{std::make_unique<fake_store>(target)}));
    end = watch_end(hdl);
    consume_messages();
  }

  // Lets time go by, and makes durable what is waited for.
  void wait(std::chrono::seconds time) {
    for (; time.count() > 0; time -= 5s) {
      elapsed += 5s;
      pass(5s);
      answer_flushes();
    }
  }

  void answer_flushes() {
    while (!hold_flushes && answered < flushes->size())
      answer(router, flushes, answered++, atom::ack_v);
  }

  uint64_t removed(const std::string& name = "public.t") {
    return context.numbers->table(name)->tombstones_removed.value();
  }

  std::chrono::milliseconds elapsed{0};
  cleaner_options options;
  transform::mapping_options mapping;
  source_script_ptr source_log;
  target_script_ptr store_log;
  std::shared_ptr<fake_tables> tables;
  std::shared_ptr<fake_tombstones> target;
  flush_inbox flushes;
  size_t answered = 0;
  bool hold_flushes = false;
  fake_source source;
  fake_target store;
  fake_router router;
  table_states_actor capture;
  cleaner_actor hdl;
  std::shared_ptr<std::string> end;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(cleaner_tests, fixture)

CAF_TEST(tombstones below a position go once it has been known for the age) {
  start();
  wait(160s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
  wait(10s);
  CAF_CHECK_EQUAL(target->looks, texts{"t<1000"});
  CAF_CHECK_EQUAL(target->removals, texts{"t/all<1000"});
  CAF_CHECK_EQUAL(removed(), 10u);
  CAF_CHECK_EQUAL(context.numbers->table("public.t")->cleaned_at.value(),
                  options.now());
}

CAF_TEST(what was confirmed within the age does not count) {
  start();
  wait(20s);
  source_log->restart = lsn{5'000};
  wait(150s);
  CAF_CHECK_EQUAL(target->removals.back(), "t/all<1000");
  wait(30s);
  CAF_CHECK_EQUAL(target->removals.back(), "t/all<5000");
}

CAF_TEST(the age goes on over a restart) {
  low_water_marks before;
  before.add(lsn{700}, start_of_time - 155'000'000, 160s);
  store_log->stored[state_marks::low_water] = to_json(before);
  start();
  wait(10s);
  CAF_CHECK_EQUAL(target->looks, texts{"t<700"});
  auto stored = parse_low_water_marks(store_log->state("cleaner", "marks"));
  CAF_REQUIRE(stored);
  CAF_CHECK_EQUAL(stored->all().size(), 2u);
  CAF_CHECK_EQUAL(stored->all().back().position, lsn{1'000});
}

CAF_TEST(what cannot be read of earlier runs makes nothing older) {
  store_log->stored[state_marks::low_water] = "?";
  start();
  wait(160s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
  wait(10s);
  CAF_CHECK_EQUAL(target->looks.size(), 1u);
}

CAF_TEST(nothing is stored or removed before the node streams) {
  tables->streaming = false;
  start();
  wait(300s);
  CAF_CHECK_EQUAL(store_log->log.size(), 0u);
  tables->streaming = true;
  wait(160s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
  wait(10s);
  CAF_CHECK_EQUAL(removed(), 10u);
}

CAF_TEST(a position counts when it is durable) {
  store_log->held = {"save"};
  start();
  wait(300s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
  answer(store, store_log->saves, 0, atom::ack_v);
  CAF_CHECK_EQUAL(target->looks.size(), 1u);
}

CAF_TEST(a table whose snapshot runs is left alone) {
  tables->quiet.clear();
  start();
  wait(200s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
}

CAF_TEST(a snapshot must have ended before the position) {
  // A node that was frozen in the middle of it may still have rows of it.
  tables->quiet["public.t"] = complete(lsn{100}, lsn{1'000});
  start();
  wait(20s);
  source_log->restart = lsn{1'001};
  wait(160s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
  wait(10s);
  CAF_CHECK_EQUAL(target->looks, texts{"t<1001"});
}

CAF_TEST(a table that never had a snapshot waits for none) {
  tables->quiet["public.t"] = complete(lsn{}, lsn{UINT64_MAX});
  start();
  wait(170s);
  CAF_CHECK_EQUAL(target->looks.size(), 1u);
}

CAF_TEST(a table whose snapshot ended nobody knows where is left alone) {
  tables->quiet["public.t"] = complete(lsn{100}, lsn{UINT64_MAX});
  start();
  wait(500s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
}

CAF_TEST(a table without key is as old as what was seen of it) {
  source_log->tables.clear();
  tables->quiet.clear();
  add("k", table_identity::append_only, complete(lsn{100}, lsn{100}));
  low_water_marks before;
  before.add(lsn{700}, start_of_time - 300'000'000, 160s);
  store_log->stored[state_marks::low_water] = to_json(before);
  start();
  wait(100s);
  // Taken again: rows of that snapshot may be on their way for long.
  tables->quiet["public.k"].fill_until = lsn{600};
  wait(160s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
  wait(10s);
  CAF_CHECK_EQUAL(target->looks.size(), 1u);
}

CAF_TEST(another table of the same name is not the one) {
  tables->quiet["public.t"].oid = 8;
  start();
  wait(200s);
  CAF_CHECK_EQUAL(target->looks.size(), 0u);
}

CAF_TEST(few tombstones stay) {
  target->of["t"].partitions
    = {{"1", 1'000, 99}, {"2", 1'000, 100}, {"3", 10, 10}};
  start();
  wait(170s);
  CAF_CHECK_EQUAL(target->removals, (texts{"t/2<1000", "t/3<1000"}));
  CAF_CHECK_EQUAL(removed(), 20u);
}

CAF_TEST(what dead letters need stays) {
  target->of["t"].held_by_letter = true;
  target->of["t"].below = version{800, 3};
  start();
  wait(170s);
  CAF_CHECK_EQUAL(target->removals, texts{"t/all<800"});
}

CAF_TEST(what is on its way is waited for) {
  hold_flushes = true;
  start();
  wait(300s);
  CAF_REQUIRE_EQUAL(flushes->size(), 1u);
  CAF_CHECK_EQUAL(flushes->back(), "public.t");
  CAF_CHECK_EQUAL(target->removals.size(), 0u);
  hold_flushes = false;
  answer_flushes();
  CAF_CHECK_EQUAL(target->removals.size(), 1u);
}

CAF_TEST(a snapshot that is ordered meanwhile goes first) {
  hold_flushes = true;
  start();
  wait(170s);
  tables->quiet.clear();
  hold_flushes = false;
  answer_flushes();
  CAF_CHECK_EQUAL(target->removals.size(), 0u);
  // One that has ended meanwhile too.
  tables->quiet["public.t"] = complete(lsn{100}, lsn{500});
  hold_flushes = true;
  wait(20s);
  tables->quiet["public.t"] = complete(lsn{900}, lsn{950});
  hold_flushes = false;
  answer_flushes();
  CAF_CHECK_EQUAL(target->removals.size(), 0u);
}

CAF_TEST(a table that fails is tried again later and less often) {
  add("u", table_identity::key, complete(lsn{100}, lsn{500}));
  target->of["u"].partitions = {{"all", 100, 100}};
  target->failing = ec::target_unavailable;
  start();
  wait(170s);
  CAF_CHECK_EQUAL(target->looks, (texts{"t<1000", "u<1000"}));
  wait(310s);
  // Rounds 17, 18, 20, 24, 32, 48.
  CAF_CHECK_EQUAL(target->looks.size(), 12u);
  CAF_CHECK_EQUAL(*end, "");
  target->failing = ec::none;
  wait(700s);
  CAF_CHECK_EQUAL(target->removals.front(), "t/all<1000");
  CAF_CHECK_GREATER(removed("public.u"), 0u);
}

CAF_TEST(a merge that fails ends the table for now) {
  target->of["t"].partitions = {{"1", 10, 10}, {"2", 10, 10}};
  hold_flushes = true;
  start();
  wait(170s);
  target->failing = ec::target_failed;
  hold_flushes = false;
  answer_flushes();
  CAF_CHECK_EQUAL(target->removals, texts{"t/1<1000"});
  CAF_CHECK_EQUAL(removed(), 0u);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a source that does not answer is asked again) {
  source_log->failing["slot"] = ec::source_unavailable;
  start();
  wait(100s);
  source_log->failing.clear();
  wait(170s);
  CAF_CHECK_EQUAL(target->removals.size(), 1u);
  source_log->failing["tables"] = ec::source_failed;
  wait(50s);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(stops when it is told) {
  hold_flushes = true;
  start();
  wait(170s);
  stop(hdl);
  CAF_CHECK_EQUAL(*end, stopped);
}

CAF_TEST_FIXTURE_SCOPE_END()
