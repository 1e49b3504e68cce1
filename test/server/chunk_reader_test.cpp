#define CAF_SUITE chunk_reader

#include "postgres/chunk_reader.hpp"
#include "test/server/server_fixture.hpp"

#include <algorithm>
#include <poll.h>

using namespace millrace;
using namespace millrace::postgres;
using namespace millrace::test;

namespace {

struct fixture : server_fixture {
  fixture() : admin(options), reader(options) {
    // nop
  }

  snapshot_plan plan(const std::string& table, uint64_t chunk_bytes = 1 << 30) {
    return good(admin.plan(describe(table), lsn{4000}, chunk_bytes));
  }

  /// Rows of a chunk that was started.
  std::vector<std::string> rows(const read_limits& limits = {}) {
    std::vector<std::string> result;
    for (;;) {
      auto x = good(reader.read(limits));
      if (x.batch) {
        CAF_CHECK(!x.batch->changes.empty());
        CAF_CHECK(x.batch->changes.size() <= limits.rows);
        auto n = x.batch->tables.at(0)->columns.size();
        for (const auto& c : x.batch->changes) {
          only_reads = only_reads && c.op == operation::read;
          result.push_back(row_text(*x.batch, c.row, n));
          ordinals.push_back(c.minor);
        }
        last = x.batch;
      }
      if (x.done)
        return result;
      if (x.drained) {
        pollfd fd{reader.fd(), POLLIN, 0};
        CAF_REQUIRE(poll(&fd, 1, 30'000) == 1);
      }
    }
  }

  std::vector<std::string> read_all(const snapshot_plan& x) {
    std::vector<std::string> result;
    for (const auto& c : x.chunks) {
      good(reader.start(x, c));
      auto some = rows();
      result.insert(result.end(), some.begin(), some.end());
      good(reader.finish());
    }
    return result;
  }

  /// Whether a TRUNCATE has to wait.
  bool holds_off(const std::string& statement) {
    auto other = open(options);
    run(other, "SET lock_timeout = '50ms'");
    auto done = postgres::run(other.get(), statement, "test");
    return !done;
  }

  source_admin admin;
  chunk_reader reader;
  std::vector<uint64_t> ordinals;
  bool only_reads = true;
  change_batch_ptr last;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(chunk_reader_tests, fixture)

CAF_TEST(the chunks of a plan bring each row once) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, v text);"
      "INSERT INTO public.t SELECT g, repeat('x', 400) FROM"
      " generate_series(1, 2000) g");
  auto x = plan("public.t", 64 << 10);
  CAF_CHECK(x.chunks.size() > 10);
  CAF_MESSAGE("rows that came after the plan are in the last chunk");
  run("INSERT INTO public.t SELECT g, 'later' FROM"
      " generate_series(2001, 2500) g");
  auto seen = read_all(x);
  CAF_CHECK_EQUAL(seen.size(), 2500u);
  std::sort(seen.begin(), seen.end());
  CAF_CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  CAF_CHECK(only_reads);
  CAF_CHECK(last->transactions.at(0).commit == lsn{4000});
  CAF_CHECK(last->transactions.at(0).committed_at == x.committed_at);
  CAF_CHECK(std::all_of(ordinals.begin(), ordinals.end(),
                        [](auto n) { return n == 0; }));
}

CAF_TEST(values come as the stream would have them) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, \"o d\" text, b bytea,"
      " f float8, at timestamptz, gen int GENERATED ALWAYS AS (id * 2) STORED);"
      "INSERT INTO public.t (id, \"o d\", b, f, at) VALUES"
      " (1, E'a\\tb\\\\N\\n\\r', '\\x00ff', 0.1, '2026-01-01 12:00+02'),"
      " (2, NULL, '', 'NaN', NULL), (3, E'\\\\N', NULL, '-0', 'infinity')");
  auto seen = read_all(plan("public.t"));
  CAF_CHECK(seen
            == (std::vector<std::string>{
              "1|a\tb\\N\n\r|\\x00ff|0.1|2026-01-01 10:00:00+00",
              "2|NULL|\\x|NaN|NULL", "3|\\N|NULL|-0|infinity"}));
}

CAF_TEST(a batch keeps within its limits) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, v text);"
      "INSERT INTO public.t SELECT g, repeat('x', 1000) FROM"
      " generate_series(1, 500) g");
  auto x = plan("public.t");
  read_limits few;
  few.rows = 7;
  good(reader.start(x, x.chunks[0]));
  CAF_CHECK_EQUAL(rows(few).size(), 500u);
  good(reader.finish());
  read_limits small;
  small.bytes = 5000;
  good(reader.start(x, x.chunks[0]));
  for (;;) {
    auto got = good(reader.read(small));
    if (got.batch)
      CAF_CHECK(got.batch->text.size() < 5000 + 1004);
    if (got.done)
      break;
  }
  good(reader.finish());
}

CAF_TEST(without a key rows are told apart by their place) {
  run("CREATE TABLE public.t (v int) PARTITION BY LIST (v);"
      "CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES IN (1);"
      "CREATE TABLE public.t2 PARTITION OF public.t FOR VALUES IN (2);"
      "INSERT INTO public.t VALUES (1), (1), (2), (2), (1)");
  auto x = plan("public.t");
  CAF_CHECK_EQUAL(x.chunks.size(), 2u);
  CAF_CHECK_EQUAL(read_all(x).size(), 5u);
  constexpr auto second = uint64_t{1} << 40;
  CAF_CHECK(ordinals
            == (std::vector<uint64_t>{1, 2, 3, second + 1, second + 2}));
  CAF_MESSAGE("a chunk that is read again has the same places");
  ordinals.clear();
  good(reader.start(x, x.chunks[1]));
  rows();
  good(reader.finish());
  CAF_CHECK(ordinals == (std::vector<uint64_t>{second + 1, second + 2}));
}

CAF_TEST(a table without key is read as of its snapshot) {
  run("CREATE TABLE public.t (v int); INSERT INTO public.t VALUES (1)");
  auto x = plan("public.t");
  run("INSERT INTO public.t VALUES (2)");
  CAF_CHECK(read_all(x) == std::vector<std::string>{"1"});
  CAF_MESSAGE("without its holder the snapshot is gone");
  x.holder.reset();
  run("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE"
      " datname = current_database() AND backend_type = 'walsender'");
  CAF_CHECK(!reader.start(x, x.chunks[0]));
}

CAF_TEST(a table that was rewritten has to be planned again) {
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "INSERT INTO public.t VALUES (1)");
  auto x = plan("public.t");
  CAF_CHECK_EQUAL(read_all(x).size(), 1u);
  run("VACUUM FULL public.t");
  auto why = bad(reader.start(x, x.chunks[0]));
  CAF_CHECK(why.code == ec::table_unsuitable);
  CAF_CHECK(
    has(why.text, "public.t: it has been altered, rewritten or replaced"));
  CAF_MESSAGE("nothing is left locked, and the reader goes on");
  CAF_CHECK(!holds_off("TRUNCATE public.t"));
  run("INSERT INTO public.t VALUES (2)");
  CAF_CHECK_EQUAL(read_all(plan("public.t")).size(), 1u);
}

CAF_TEST(a partition that was rewritten is noticed too) {
  run("CREATE TABLE public.t (v int PRIMARY KEY) PARTITION BY LIST (v);"
      "CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES IN (1);"
      "INSERT INTO public.t VALUES (1)");
  auto x = plan("public.t");
  run("VACUUM FULL public.t1");
  CAF_CHECK(bad(reader.start(x, x.chunks[0])).code == ec::table_unsuitable);
}

CAF_TEST(a table that was dropped or replaced has to be planned again) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto x = plan("public.t");
  read_all(x);
  run("DROP TABLE public.t");
  CAF_CHECK(bad(reader.start(x, x.chunks[0])).code == ec::table_unsuitable);
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  CAF_CHECK(bad(reader.start(x, x.chunks[0])).code == ec::table_unsuitable);
}

CAF_TEST(a table that was renamed is the same) {
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "INSERT INTO public.t VALUES (1)");
  auto x = plan("public.t");
  read_all(x);
  run("ALTER TABLE public.t RENAME TO u; CREATE TABLE public.t (id int);"
      "INSERT INTO public.t VALUES (7)");
  CAF_CHECK(read_all(x) == std::vector<std::string>{"1"});
}

CAF_TEST(nobody truncates or alters the table while a chunk is read) {
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "INSERT INTO public.t VALUES (1)");
  auto x = plan("public.t");
  good(reader.start(x, x.chunks[0]));
  CAF_CHECK(holds_off("TRUNCATE public.t"));
  rows();
  CAF_CHECK(holds_off("TRUNCATE public.t"));
  good(reader.finish());
  CAF_CHECK(!holds_off("TRUNCATE public.t"));
  CAF_MESSAGE("until it is given up");
  x = plan("public.t");
  good(reader.start(x, x.chunks[0]));
  CAF_CHECK(holds_off("TRUNCATE public.t"));
  reader.abandon();
  // The server notices a moment later.
  run("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE"
      " datname = current_database() AND pid <> pg_backend_pid()");
  CAF_CHECK(!holds_off("TRUNCATE public.t"));
  CAF_CHECK(read_all(plan("public.t")).empty());
}

CAF_TEST(who keeps a table locked is named and waited for by nobody) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto x = plan("public.t");
  run("BEGIN; LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE");
  auto why = bad(reader.start(x, x.chunks[0]));
  CAF_CHECK(why.code == ec::source_failed);
  CAF_CHECK(has(why.text, value("SELECT 'process ' || pg_backend_pid()")));
  run("COMMIT");
  CAF_CHECK(read_all(x).empty());
}

CAF_TEST(only rows of the table itself are read) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, v int);"
      "CREATE TABLE public.child () INHERITS (public.t);"
      "INSERT INTO public.t VALUES (1, 1), (2, 2), (3, 3);"
      "INSERT INTO public.child VALUES (4, 4)");
  CAF_CHECK_EQUAL(read_all(plan("public.t")).size(), 3u);
}

CAF_TEST(only rows that the row filter lets through are read) {
  if (PQserverVersion(sql.get()) < 150000)
    return;
  run("CREATE TABLE public.t (id int PRIMARY KEY, v int);"
      "INSERT INTO public.t VALUES (1, 1), (2, 2), (3, 3);"
      "CREATE PUBLICATION p FOR TABLE public.t WHERE (id > 1 OR id IS NULL)");
  auto x = plan("public.t", 1);
  x.chunks = {{0, 1, 0, 0}, {1, 0, 0, 0}};
  CAF_CHECK_EQUAL(read_all(x).size(), 2u);
}

CAF_TEST(row security is an error and never fewer rows) {
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "INSERT INTO public.t VALUES (1), (2);"
      "ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;"
      "CREATE POLICY few ON public.t USING (id = 1);"
      "CREATE ROLE "
      + database + "_r LOGIN; GRANT SELECT ON public.t TO " + database + "_r");
  auto x = plan("public.t");
  auto theirs = options;
  theirs.uri += " user=" + database + "_r";
  {
    chunk_reader other{theirs};
    auto started = other.start(x, x.chunks[0]);
    CAF_CHECK(!started);
  }
  run("DROP OWNED BY " + database + "_r; DROP ROLE " + database + "_r");
}

CAF_TEST(a connection that died between chunks is made again) {
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "INSERT INTO public.t VALUES (1)");
  auto x = plan("public.t");
  read_all(x);
  auto kill = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
              " WHERE datname = current_database()"
              " AND pid <> pg_backend_pid()";
  run(kill);
  CAF_CHECK_EQUAL(read_all(x).size(), 1u);
  CAF_MESSAGE("one that dies within a chunk is the end of the chunk");
  run("INSERT INTO public.t SELECT generate_series(2, 200000)");
  good(reader.start(x, x.chunks[0]));
  run(kill);
  result<chunk_reader::outcome> got;
  do {
    got = reader.read({});
  } while (got && !got->done && !got->drained);
  for (int i = 0; got && !got->done && i < 100; ++i) {
    pollfd fd{reader.fd(), POLLIN, 0};
    poll(&fd, 1, 1000);
    got = reader.read({});
  }
  CAF_CHECK(bad(got).code == ec::source_unavailable);
  CAF_CHECK_EQUAL(read_all(x).size(), 200'000u);
}

CAF_TEST_FIXTURE_SCOPE_END()
