#define CAF_SUITE snapshot_plan

#include "test/server/server_fixture.hpp"

#include <algorithm>

using namespace millrace;
using namespace millrace::postgres;
using namespace millrace::test;

namespace {

struct fixture : server_fixture {
  fixture() : admin(options) {
    // nop
  }

  /// Whether the chunks follow on each other from the first page to the end.
  static bool covers(const std::vector<chunk>& xs) {
    uint32_t next = 0;
    for (size_t i = 0; i < xs.size(); ++i) {
      if (xs[i].first != next || (xs[i].last == 0) != (i + 1 == xs.size()))
        return false;
      if (xs[i].last != 0 && xs[i].last <= xs[i].first)
        return false;
      next = xs[i].last;
    }
    return !xs.empty();
  }

  std::string filenode(const std::string& table) {
    return value("SELECT pg_relation_filenode('" + table + "')");
  }

  source_admin admin;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(snapshot_plan_tests, fixture)

CAF_TEST(chunks cover the table whatever grows at its end) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, v text);"
      "INSERT INTO public.t SELECT g, repeat('x', 1000) FROM"
      " generate_series(1, 1000) g; ANALYZE public.t");
  auto t = describe("public.t");
  auto x = good(admin.plan(t, lsn{5000}, 16 << 10));
  CAF_CHECK(covers(x.chunks));
  CAF_CHECK(x.chunks.size() > 50);
  CAF_CHECK(x.label == lsn{5000});
  CAF_CHECK(x.table == t);
  CAF_CHECK_EQUAL(std::to_string(x.filenode), filenode("public.t"));
  CAF_CHECK_EQUAL(x.row_estimate, 1000u);
  CAF_CHECK(x.committed_at > 1'700'000'000'000'000);
  CAF_CHECK(x.exported.empty() && x.holder == nullptr);
  CAF_CHECK_EQUAL(good(admin.plan(t, lsn{}, 1 << 30)).chunks.size(), 1u);
  CAF_MESSAGE("no chunk is smaller than a page");
  CAF_CHECK(covers(good(admin.plan(t, lsn{}, 1)).chunks));
}

CAF_TEST(what rows keep elsewhere counts) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, v text);"
      "ALTER TABLE public.t ALTER v SET STORAGE EXTERNAL;"
      "INSERT INTO public.t SELECT g, repeat('x', 9000) FROM"
      " generate_series(1, 500) g");
  auto x = good(admin.plan(describe("public.t"), lsn{}, 1 << 20));
  CAF_CHECK(covers(x.chunks));
  CAF_CHECK(x.chunks.size() > 3);
}

CAF_TEST(a table without rows is one chunk) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto x = good(admin.plan(describe("public.t"), lsn{}, 1 << 20));
  CAF_CHECK_EQUAL(x.chunks.size(), 1u);
  CAF_CHECK(covers(x.chunks));
  CAF_CHECK_EQUAL(x.row_estimate, 0u);
}

CAF_TEST(partitions are planned each by itself) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, v text) PARTITION BY RANGE"
      " (id);"
      "CREATE TABLE public.low PARTITION OF public.t FOR VALUES FROM (0) TO"
      " (1000);"
      "CREATE TABLE public.high PARTITION OF public.t FOR VALUES FROM (1000) TO"
      " (9999) PARTITION BY RANGE (id);"
      "CREATE TABLE public.higher PARTITION OF public.high FOR VALUES FROM"
      " (1000) TO (9999);"
      "INSERT INTO public.t SELECT g, repeat('x', 500) FROM"
      " generate_series(500, 1999) g");
  auto x = good(admin.plan(describe("public.t"), lsn{}, 64 << 10));
  for (std::string name : {"public.low", "public.higher"}) {
    auto oid = value("SELECT '" + name + "'::regclass::oid");
    std::vector<chunk> own;
    for (const auto& c : x.chunks)
      if (std::to_string(c.partition) == oid)
        own.push_back(c);
    CAF_CHECK(covers(own));
    CAF_CHECK(own.size() > 1);
    for (const auto& c : own)
      CAF_CHECK_EQUAL(std::to_string(c.filenode), filenode(name));
  }
  CAF_CHECK(std::all_of(x.chunks.begin(), x.chunks.end(),
                        [](const auto& c) { return c.partition != 0; }));
}

CAF_TEST(a table that is gone or locked has no plan) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto t = describe("public.t");
  run("BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE");
  auto why = bad(admin.plan(t, lsn{}, 1 << 20));
  CAF_CHECK(why.code == ec::source_failed);
  CAF_CHECK(has(why.text, value("SELECT 'process ' || pg_backend_pid()")));
  run("ROLLBACK; DROP TABLE public.t");
  why = bad(admin.plan(t, lsn{}, 1 << 20));
  CAF_CHECK(why.code == ec::table_unsuitable);
  CAF_CHECK(has(why.text, "public.t: it has been dropped"));
}

CAF_TEST(without a key the label is where no commit can be) {
  run("CREATE TABLE public.t (v int); INSERT INTO public.t SELECT"
      " generate_series(1, 5000)");
  auto before = good(admin.current_position());
  auto x = good(admin.plan(describe("public.t"), lsn{77}, 1 << 10));
  CAF_CHECK_EQUAL(x.chunks.size(), 1u);
  CAF_CHECK(x.label >= before);
  CAF_CHECK_EQUAL(x.label.value % 8, 7u);
  CAF_CHECK(!x.exported.empty());
  auto slots = "SELECT count(*) FROM pg_replication_slots WHERE temporary AND"
               " database = current_database()";
  CAF_CHECK_EQUAL(value(slots), "1");
  CAF_MESSAGE("the next row lies behind it");
  CAF_CHECK(good(admin.current_position()) > x.label);
  x.holder.reset();
  for (int i = 0; i < 1000 && value(slots) != "0"; ++i)
    run("SELECT pg_sleep(0.01)");
  CAF_CHECK_EQUAL(value(slots), "0");
}

CAF_TEST(transactions that run are named until they have ended) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto a = open(options);
  auto b = open(options);
  run(a, "BEGIN; INSERT INTO public.t VALUES (1)");
  auto first = std::stoull(run(a, "SELECT pg_current_xact_id()")[0]);
  run(b, "BEGIN; INSERT INTO public.t VALUES (2)");
  auto second = std::stoull(run(b, "SELECT pg_current_xact_id()")[0]);
  // The youngest is in no snapshot's list before another one has ended.
  auto running = good(admin.running_transactions());
  auto has_xid = [](const std::vector<uint64_t>& xs, uint64_t x) {
    return std::find(xs.begin(), xs.end(), x) != xs.end();
  };
  CAF_CHECK(has_xid(running, first));
  CAF_CHECK(has_xid(running, second));
  run(a, "COMMIT");
  CAF_MESSAGE("one that began later is none of them");
  run(a, "BEGIN; INSERT INTO public.t VALUES (3)");
  auto still = good(admin.still_running(running));
  CAF_CHECK(!has_xid(still, first));
  CAF_CHECK(has_xid(still, second));
  CAF_CHECK(
    !has_xid(still, std::stoull(run(a, "SELECT pg_current_xact_id()")[0])));
  run(b, "ROLLBACK");
  CAF_CHECK(!has_xid(good(admin.still_running(running)), second));
  CAF_CHECK(good(admin.still_running({})).empty());
}

CAF_TEST(prepared transactions count as running) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto a = open(options);
  run(a, "BEGIN; INSERT INTO public.t VALUES (1)");
  auto id = std::stoull(run(a, "SELECT pg_current_xact_id()")[0]);
  run(a, "PREPARE TRANSACTION '" + database + "'");
  auto running = good(admin.running_transactions());
  CAF_CHECK(std::find(running.begin(), running.end(), id) != running.end());
  run(a, "COMMIT PREPARED '" + database + "'");
  auto still = good(admin.still_running(running));
  CAF_CHECK(std::find(still.begin(), still.end(), id) == still.end());
}

CAF_TEST_FIXTURE_SCOPE_END()
