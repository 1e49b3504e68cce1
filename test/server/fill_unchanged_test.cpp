#define CAF_SUITE fill_unchanged

#include "test/server/server_fixture.hpp"
#include "test/unit/table_fixture.hpp"

using namespace millrace;
using namespace millrace::postgres;
using namespace millrace::test;

namespace {

struct fixture : server_fixture {
  fixture() : admin(options) {
    // nop
  }

  /// Changes with their cells filled, one line each: operation, old row, row.
  std::vector<std::string> fill(const batch_builder& b) {
    auto filled = good(admin.fill_unchanged(b.batch, b.changes));
    CAF_CHECK_EQUAL(filled->changes.size(), b.batch.changes.size());
    std::vector<std::string> result;
    for (const auto& x : filled->changes) {
      auto n = filled->tables[x.table]->columns.size();
      std::string line = to_string(x.op);
      if (x.old != old_row::none)
        line += " " + row_text(*filled, x.old_row_at, n) + " ->";
      if (x.row != change::no_row)
        line += " " + row_text(*filled, x.row, n);
      result.push_back(std::move(line));
    }
    last = filled;
    return result;
  }

  source_admin admin;
  change_batch_ptr last;
};

using lines = std::vector<std::string>;
const auto& u = unchanged_mark;

} // namespace

CAF_TEST_FIXTURE_SCOPE(fill_unchanged_tests, fixture)

CAF_TEST(values that the stream left out are those of now) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, n int, a text, b text);"
      "INSERT INTO public.t VALUES (1, 10, 'one', 'eins'), (2, 20, NULL, '')");
  batch_builder b{describe("public.t")};
  b.update({"1", "7", u, "sent"});
  b.update({"2", "8", u, u});
  b.update({"1", "9", u, u});
  CAF_CHECK(fill(b)
            == (lines{"update 1|7|one|sent", "update 2|8|NULL|",
                      "update 1|9|one|eins"}));
  CAF_MESSAGE("a value is held once");
  std::string_view text{last->text};
  CAF_CHECK_EQUAL(text.find("one"), text.rfind("one"));
  CAF_MESSAGE("the batch that was given is left alone");
  CAF_CHECK_EQUAL(row_text(b.batch, 0, 4), "1|7|UNCHANGED|sent");
}

CAF_TEST(the sizes of values are told for each change) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, a text, b bytea, c jsonb,"
      " d varchar(50000)[], e char(10000));"
      "INSERT INTO public.t VALUES (1, repeat('x', 3000000),"
      " decode(repeat('00', 1000000), 'hex'), NULL, NULL, 'y'),"
      " (2, 'small', '', '{}', NULL, NULL),"
      " (3, NULL, NULL, to_jsonb(repeat('x', 500000)),"
      " ARRAY[repeat('x', 40000), 'y'], NULL)");
  batch_builder b{describe("public.t")};
  for (auto id : {"1", "2", "9", "3", "1"})
    b.update({id, u, u, u, u, u});
  b.insert({"4", "x", "x", "x", "x", "x"});
  auto sizes = good(admin.unchanged_sizes(b.batch, {0, 1, 2, 3, 4, 5}));
  CAF_REQUIRE_EQUAL(sizes.size(), 6u);
  CAF_CHECK_EQUAL(sizes[0], 3'000'000u + 2'000'000 + 10'000);
  CAF_CHECK(sizes[1] < 100);
  CAF_CHECK_EQUAL(sizes[2], 0u);
  CAF_CHECK(sizes[3] >= 500'000 && sizes[3] < 560'000);
  CAF_CHECK_EQUAL(sizes[4], sizes[0]);
  CAF_CHECK_EQUAL(sizes[5], 0u);
  CAF_MESSAGE("and the same without what is not asked for");
  CAF_CHECK(good(admin.unchanged_sizes(b.batch, {1, 4}))
            == (std::vector<uint64_t>{sizes[1], sizes[0]}));
}

CAF_TEST(only the changes that are named are looked up) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, a text);"
      "INSERT INTO public.t VALUES (1, 'one'), (2, 'two')");
  batch_builder b{describe("public.t")};
  b.update({"1", u});
  b.update({"2", u});
  b.changes = {1};
  CAF_CHECK(fill(b) == (lines{"update 1|UNCHANGED", "update 2|two"}));
}

CAF_TEST(a row that is gone is a delete of its key) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, n int, a text)");
  batch_builder b{describe("public.t")};
  b.insert({"1", "7", u});
  b.update({"2", "7", u});
  b.update(old_row::key, {"3", {}, {}}, {"4", "7", u});
  CAF_CHECK(fill(b)
            == (lines{"delete 1|NULL|NULL ->", "delete 2|NULL|NULL ->",
                      "delete 3|NULL|NULL ->"}));
  for (const auto& x : last->changes)
    CAF_CHECK(x.old == old_row::key);
}

CAF_TEST(keys of several columns and any text are found) {
  run("CREATE TABLE public.t (a text, n int, \"b \"\"c\" text, v text,"
      " PRIMARY KEY (\"b \"\"c\", a));"
      "INSERT INTO public.t VALUES ('{\"x\\', 1, 'NULL', 'first'),"
      " ('', 1, E'l\\n''', 'second'), ('a,b', 1, '{}', 'third')");
  batch_builder b{describe("public.t")};
  b.update({"{\"x\\", "2", "NULL", u});
  b.update({"", "2", "l\n'", u});
  b.update({"a,b", "2", "{}", u});
  b.update({"a", "2", "b", u});
  CAF_CHECK(fill(b)
            == (lines{"update {\"x\\|2|NULL|first", "update |2|l\n'|second",
                      "update a,b|2|{}|third", "delete a|NULL|b|NULL ->"}));
}

CAF_TEST(keys are compared as the key itself does) {
  // Types that are equal in more than one text, or have operators elsewhere.
  run("CREATE TABLE public.t (k numeric, v text, PRIMARY KEY (k));"
      "INSERT INTO public.t VALUES (1.50, 'v')");
  batch_builder b{describe("public.t")};
  b.update({"1.5", u});
  CAF_CHECK(fill(b) == lines{"update 1.5|v"});
  for (std::string type : {"date", "float8", "bytea", "timestamptz", "bool",
                           "\"char\"", "char(4)", "int4range", "int[]"}) {
    run("DROP TABLE public.t; CREATE TABLE public.t (k " + type
        + " PRIMARY KEY, v text)");
    std::string key = type == "date"          ? "2026-02-03"
                      : type == "float8"      ? "0.1"
                      : type == "bytea"       ? "\\x00ff"
                      : type == "timestamptz" ? "2026-02-03 04:05:06.000007+00"
                      : type == "bool"        ? "t"
                      : type == "\"char\""    ? "x"
                      : type == "char(4)"     ? "x   "
                      : type == "int4range"   ? "[1,5)"
                                              : "{1,NULL}";
    run("INSERT INTO public.t VALUES (" + quote_text(key) + ", 'v')");
    batch_builder c{describe("public.t")};
    c.update({key, u});
    CAF_MESSAGE(type);
    CAF_CHECK(fill(c) == lines{"update " + key + "|v"});
  }
}

CAF_TEST(types of the user are compared by their own operators) {
  run("CREATE TYPE public.mood AS ENUM ('so', 'la la');"
      "CREATE DOMAIN public.\"Short\" AS varchar(5);"
      "CREATE TABLE public.t (k public.mood, d public.\"Short\", v text,"
      " PRIMARY KEY (k, d));"
      "INSERT INTO public.t VALUES ('la la', 'x', 'v')");
  batch_builder b{describe("public.t")};
  b.update({"la la", "x", u});
  CAF_CHECK(fill(b) == lines{"update la la|x|v"});
}

CAF_TEST(a table is found by its identity whatever it is called now) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, a text);"
      "INSERT INTO public.t VALUES (1, 'one')");
  batch_builder b{describe("public.t")};
  b.update({"1", u});
  run("ALTER TABLE public.t RENAME TO \"now \"\"so\";"
      "CREATE TABLE public.t (id int PRIMARY KEY, a text);"
      "INSERT INTO public.t VALUES (1, 'another')");
  CAF_CHECK(fill(b) == lines{"update 1|one"});
  run("DROP TABLE public.\"now \"\"so\"");
  CAF_MESSAGE("and its rows are gone with it");
  CAF_CHECK(fill(b) == lines{"delete 1|NULL ->"});
}

CAF_TEST(rows of other tables are not taken) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, a text);"
      "CREATE TABLE public.child () INHERITS (public.t);"
      "INSERT INTO public.child VALUES (1, 'not its own');"
      "CREATE TABLE public.r (id int PRIMARY KEY, a text) PARTITION BY"
      " LIST (id);"
      "CREATE TABLE public.r1 PARTITION OF public.r FOR VALUES IN (1);"
      "INSERT INTO public.r VALUES (1, 'of a partition')");
  batch_builder b{describe("public.t")};
  b.update({"1", u});
  b.batch.tables.push_back(describe("public.r"));
  b.update({"1", u});
  b.batch.changes.back().table = 1;
  CAF_CHECK(fill(b) == (lines{"delete 1|NULL ->", "update 1|of a partition"}));
}

CAF_TEST(without a key nothing can be looked up) {
  run("CREATE TABLE public.t (a text, b text);"
      "ALTER TABLE public.t REPLICA IDENTITY FULL");
  batch_builder b{describe("public.t")};
  b.insert({"x", u});
  auto why = bad(admin.fill_unchanged(b.batch, b.changes));
  CAF_CHECK(why.code == ec::table_unsuitable);
  CAF_CHECK(has(why.text, "public.t: a value that the stream left out"));
  CAF_MESSAGE("nor need it where nothing is left out");
  batch_builder c{describe("public.t")};
  c.insert({"x", "y"});
  CAF_CHECK(fill(c) == lines{"insert x|y"});
}

CAF_TEST(a connection that died is no reason to fail for ever) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, a text);"
      "INSERT INTO public.t VALUES (1, 'one')");
  batch_builder b{describe("public.t")};
  b.update({"1", u});
  fill(b);
  run("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE"
      " datname = current_database() AND pid <> pg_backend_pid()");
  auto first = admin.fill_unchanged(b.batch, b.changes);
  if (!first)
    CAF_CHECK(is_retriable(first.error().code));
  CAF_CHECK(fill(b) == lines{"update 1|one"});
}

CAF_TEST_FIXTURE_SCOPE_END()
