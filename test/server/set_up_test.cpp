#define CAF_SUITE set_up

#include "postgres/inspection.hpp"
#include "postgres/replication_reader.hpp"
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

  static std::string names(const std::vector<table_description_ptr>& xs) {
    std::string result;
    for (const auto& x : xs)
      result += (result.empty() ? "" : " ") + x->full_name();
    return result;
  }

  /// What is in the server of ours.
  std::string made() {
    return value("SELECT (SELECT count(*) FROM pg_publication) || '/' ||"
                 " (SELECT count(*) FROM pg_replication_slots WHERE database ="
                 " current_database())");
  }

  std::vector<std::string> published(const std::string& publication) {
    return run("SELECT schemaname || '.' || tablename FROM"
               " pg_publication_tables WHERE pubname = '"
               + publication + "' ORDER BY 1");
  }

  inspection look() {
    return good(inspect(sql.get(), options));
  }

  source_admin admin;
};

using lines = std::vector<std::string>;

/// There has been a slot, which may be wherever it is.
constexpr lsn anywhere{UINT64_MAX};

} // namespace

CAF_TEST_FIXTURE_SCOPE(set_up_tests, fixture)

CAF_TEST(the first call makes publications and slot and says so) {
  run("CREATE TABLE public.keyed (id int PRIMARY KEY, v text);"
      "CREATE TABLE public.\"no key\" (v text);"
      "CREATE SCHEMA other; CREATE TABLE other.t (id int PRIMARY KEY)");
  auto before = good(admin.survey());
  CAF_CHECK(!before.slot_exists);
  CAF_CHECK_EQUAL(made(), "0/0");
  auto x = good(admin.set_up());
  CAF_CHECK(x.slot_created);
  CAF_CHECK_EQUAL(names(x.tables), "public.keyed public.no key");
  CAF_CHECK(x.tables[0]->identity == table_identity::key);
  CAF_CHECK(x.tables[1]->identity == table_identity::append_only);
  CAF_CHECK(published("p") == lines{"public.keyed"});
  CAF_CHECK(published("p_inserts") == lines{"public.no key"});
  CAF_CHECK(x.publications == (lines{"p", "p_inserts"}));
  CAF_CHECK(run("SELECT pubname, pubinsert, pubupdate, pubdelete, pubtruncate,"
                " pubviaroot FROM pg_publication ORDER BY 1")
            == (lines{"p|t|t|t|t|t", "p_inserts|t|f|f|t|t"}));
  CAF_CHECK_EQUAL(value("SELECT plugin, confirmed_flush_lsn FROM"
                        " pg_replication_slots WHERE slot_name = '"
                        + options.slot + "'"),
                  "pgoutput|" + to_string(x.start));
  CAF_MESSAGE("what was announced is what was done");
  CAF_REQUIRE_EQUAL(before.plan.size(), 3u);
  CAF_REQUIRE_EQUAL(x.notes.size(), 3u);
  for (size_t i = 0; i < 3; ++i)
    CAF_CHECK(x.notes[i].starts_with(before.plan[i]));
  CAF_MESSAGE("setting up made no statement of the application fail");
  run("INSERT INTO public.\"no key\" VALUES ('x');"
      "UPDATE public.\"no key\" SET v = 'y'; DELETE FROM public.\"no key\"");
}

CAF_TEST(the second call makes nothing) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto first = good(admin.set_up());
  auto second = good(admin.set_up(first.start));
  CAF_CHECK(!second.slot_created);
  CAF_CHECK(second.notes.empty());
  CAF_CHECK(second.start == first.start);
  CAF_CHECK_EQUAL(names(second.tables), "public.t");
  CAF_CHECK_EQUAL(made(), "2/1");
}

CAF_TEST(a table that came later is added by itself) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  good(admin.set_up());
  run("CREATE TABLE public.u (id int PRIMARY KEY);"
      "CREATE TABLE public.v (x int)");
  CAF_MESSAGE("it shows, not followed yet");
  auto seen = good(admin.tables());
  CAF_CHECK_EQUAL(names(seen), "public.t public.u public.v");
  CAF_CHECK(seen[0]->oid != 0);
  CAF_CHECK(seen[1]->oid == 0 && seen[2]->oid == 0);
  auto x = good(admin.set_up(anywhere));
  CAF_CHECK(x.notes
            == (lines{"ALTER PUBLICATION \"p\" ADD TABLE ONLY \"public\".\"u\"",
                      "ALTER PUBLICATION \"p_inserts\" ADD TABLE ONLY"
                      " \"public\".\"v\""}));
  CAF_CHECK_EQUAL(names(x.tables), "public.t public.u public.v");
  CAF_CHECK(published("p") == (lines{"public.t", "public.u"}));
}

CAF_TEST(a slot that is gone is never made unasked) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  good(admin.set_up());
  run("SELECT pg_drop_replication_slot('" + options.slot + "')");
  auto why = bad(admin.set_up(anywhere));
  CAF_CHECK(why.code == ec::slot_lost);
  CAF_CHECK(has(why.text, "does not exist any more"));
  CAF_CHECK_EQUAL(made(), "2/0");
  CAF_CHECK(bad(admin.slot()).code == ec::slot_lost);
}

CAF_TEST(a slot that somebody else moved is noticed) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto x = good(admin.set_up());
  run("INSERT INTO public.t VALUES (1)");
  auto moved = value("SELECT end_lsn FROM pg_replication_slot_advance('"
                     + options.slot + "', pg_current_wal_lsn())");
  auto why = bad(admin.set_up(x.start));
  CAF_CHECK(why.code == ec::slot_lost);
  CAF_CHECK(has(why.text, moved));
  CAF_CHECK(good(admin.set_up(parse_lsn(moved).value_or(lsn{}))).start
            > x.start);
}

CAF_TEST(nothing is made while something is wrong and all of it is told) {
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "CREATE TABLE public.gen (id int GENERATED ALWAYS AS (1) STORED"
      " PRIMARY KEY, v text);"
      "CREATE PUBLICATION p FOR TABLE public.t WITH (publish = 'insert')");
  auto why = bad(admin.set_up());
  CAF_CHECK(why.code == ec::source_unsuitable);
  CAF_CHECK(has(why.text, "publication \"p\": it does not publish updates,"
                          " deletes, truncates; ALTER PUBLICATION"));
  CAF_CHECK(has(why.text, " | "));
  CAF_CHECK(has(why.text, "public.gen: its key has a generated column"));
  CAF_CHECK_EQUAL(made(), "1/0");
}

CAF_TEST(a slot that is not ours is refused) {
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "SELECT pg_create_physical_replication_slot('"
      + options.slot + "')");
  auto why = bad(admin.set_up());
  CAF_CHECK(why.code == ec::slot_lost);
  CAF_CHECK(has(why.text, "it is a physical slot"));
  run("SELECT pg_drop_replication_slot('" + options.slot + "')");
  run(server, "SELECT pg_create_logical_replication_slot('" + options.slot
                + "', 'pgoutput')");
  why = bad(admin.set_up());
  CAF_CHECK(why.code == ec::source_unsuitable);
  CAF_CHECK(has(why.text, "it belongs to database \"postgres\""));
  run(server, "SELECT pg_drop_replication_slot('" + options.slot + "')");
}

CAF_TEST(a column list leaves columns out) {
  if (PQserverVersion(sql.get()) < 150000)
    return;
  run("CREATE TABLE public.t (id int PRIMARY KEY, a text, b text);"
      "CREATE PUBLICATION p FOR TABLE public.t (id, b)");
  auto x = good(admin.set_up());
  CAF_REQUIRE_EQUAL(x.tables.size(), 1u);
  CAF_REQUIRE_EQUAL(x.tables[0]->columns.size(), 2u);
  CAF_CHECK_EQUAL(x.tables[0]->columns[1].name, "b");
  auto seen = look();
  auto oid = x.tables[0]->oid;
  CAF_CHECK(seen.main.members.at(oid) == (lines{"id", "b"}));
  CAF_CHECK(seen.main.listed.at(oid).has_column_list);
}

CAF_TEST(a row filter names the columns that it reads) {
  if (PQserverVersion(sql.get()) < 150000)
    return;
  run("CREATE TABLE public.t (id int PRIMARY KEY, \"a b\" text, c int);"
      "CREATE PUBLICATION p FOR TABLE public.t WHERE (c > 1 AND"
      " \"a b\" <> '')");
  auto seen = look();
  auto columns = seen.main.listed.begin()->second.filter_columns;
  std::sort(columns.begin(), columns.end());
  CAF_CHECK(columns == (lines{"a b", "c"}));
  auto why = bad(admin.set_up());
  CAF_CHECK(has(why.text, "its row filter reads \"a b\""));
}

CAF_TEST(what is asked for is found with what is missing) {
  run("CREATE SCHEMA crm; CREATE TABLE crm.a (id int PRIMARY KEY);"
      "CREATE TABLE public.tmp_x (id int PRIMARY KEY);"
      "CREATE UNLOGGED TABLE public.fast (id int PRIMARY KEY);"
      "CREATE VIEW public.view AS SELECT 1 AS one;"
      "CREATE TABLE public.root (id int PRIMARY KEY) PARTITION BY LIST (id);"
      "CREATE TABLE public.part PARTITION OF public.root FOR VALUES IN (1);"
      "CREATE TABLE public.t (id int PRIMARY KEY)");
  options.tables = {"public.*", "crm.a", "crm.later"};
  options.exclude = {"*.tmp_*"};
  auto seen = look();
  std::string found;
  for (const auto* x : seen.candidates)
    found += " " + x->description.full_name();
  CAF_CHECK_EQUAL(found, " crm.a public.root public.t");
  CAF_CHECK(seen.missing == lines{"crm.later"});
  CAF_CHECK(
    std::any_of(seen.problems.begin(), seen.problems.end(), [](const auto& x) {
      return x.subject == "public.fast" && x.warning;
    }));
  CAF_CHECK_EQUAL(seen.wal_level, "logical");
  CAF_CHECK_EQUAL(seen.database, database);
  CAF_CHECK(!seen.in_recovery && seen.may_create && !seen.slot.exists);
}

CAF_TEST(a role learns what it may not do) {
  auto role = database + "_r";
  run("CREATE TABLE public.t (id int PRIMARY KEY);"
      "CREATE ROLE "
      + role + " LOGIN REPLICATION");
  auto theirs = options;
  theirs.uri += " user=" + role;
  {
    source_admin other{theirs};
    auto why = bad(other.set_up());
    CAF_CHECK(why.code == ec::source_refused);
    CAF_CHECK(has(why.text, "role " + role + " may not read it"));
    CAF_CHECK(has(why.text, "GRANT SELECT ON \"public\".\"t\""));
    CAF_CHECK(has(why.text, "may not create it"));
    CAF_CHECK_EQUAL(made(), "0/0");
    run("GRANT SELECT ON public.t TO " + role
        + "; CREATE PUBLICATION p FOR TABLE public.t");
    auto x = good(other.set_up());
    CAF_CHECK_EQUAL(names(x.tables), "public.t");
    CAF_MESSAGE("a table that it may not add is told, and the rest goes on");
    run("CREATE TABLE public.u (id int PRIMARY KEY)");
    x = good(other.set_up(anywhere));
    CAF_CHECK_EQUAL(names(x.tables), "public.t");
    CAF_CHECK(
      std::any_of(x.warnings.begin(), x.warnings.end(),
                  [](const auto& y) { return has(y.subject, "public.u"); }));
  }
  run("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE"
      " usename = '"
      + role + "'");
  run("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

CAF_TEST(what is published is what the server says) {
  run(
    "CREATE SCHEMA s; CREATE TABLE public.a (id int PRIMARY KEY, v text);"
    "CREATE TABLE s.b (id int PRIMARY KEY, v text);"
    "CREATE UNLOGGED TABLE s.u (id int PRIMARY KEY);"
    "CREATE TABLE public.\"p p\" (id int PRIMARY KEY) PARTITION BY RANGE (id);"
    "CREATE TABLE s.p1 PARTITION OF public.\"p p\" FOR VALUES FROM (0) TO (9)"
    " PARTITION BY RANGE (id);"
    "CREATE TABLE public.p11 PARTITION OF s.p1 FOR VALUES FROM (0) TO (5);"
    "CREATE TABLE s.p12 PARTITION OF s.p1 FOR VALUES FROM (5) TO (9);"
    "CREATE TABLE public.kid (w int) INHERITS (public.a)");
  std::vector<std::string> forms{"",
                                 "FOR ALL TABLES",
                                 "FOR TABLE public.a, s.b",
                                 "FOR TABLE ONLY public.a",
                                 "FOR TABLE public.\"p p\"",
                                 "FOR TABLE s.p1, public.a",
                                 "FOR TABLE public.\"p p\", public.p11",
                                 "FOR TABLE s.p12"};
  if (PQserverVersion(sql.get()) >= 150000) {
    for (auto form :
         {"FOR TABLES IN SCHEMA s", "FOR TABLES IN SCHEMA public, s",
          "FOR TABLES IN SCHEMA s, TABLE public.a",
          "FOR TABLE public.a (id), s.b WHERE (id > 1)",
          "FOR TABLE ONLY public.a (v, id)"})
      forms.emplace_back(form);
  }
  for (const auto& form : forms)
    for (auto via : {"true", "false"}) {
      CAF_MESSAGE(form << " " << via);
      run("CREATE PUBLICATION f " + form
          + " WITH (publish_via_partition_root = " + via + ")");
      lines ours;
      for (const auto& [oid, columns] : good(read_members(sql.get(), "f")))
        ours.push_back(value("SELECT n.nspname || '.' || c.relname FROM"
                             " pg_class c JOIN pg_namespace n"
                             " ON n.oid = c.relnamespace WHERE c.oid = "
                             + std::to_string(oid)));
      std::sort(ours.begin(), ours.end());
      auto theirs = published("f");
      std::sort(theirs.begin(), theirs.end());
      CAF_CHECK_EQUAL(ours, theirs);
      run("DROP PUBLICATION f");
    }
  if (PQserverVersion(sql.get()) >= 150000) {
    run("CREATE PUBLICATION f FOR TABLE ONLY public.a (id), s.b");
    for (const auto& [oid, columns] : good(read_members(sql.get(), "f")))
      CAF_CHECK_EQUAL(columns, (value("SELECT " + std::to_string(oid)
                                      + " = 'public.a'::regclass")
                                    == "t"
                                  ? lines{"id"}
                                  : lines{}));
  }
}

CAF_TEST(a table that is locked at the first start holds up no other) {
  run("CREATE TABLE public.a (id int PRIMARY KEY);"
      "CREATE TABLE public.b (id int PRIMARY KEY);"
      "CREATE TABLE public.c (v int)");
  auto other = open(options);
  // (For an ACCESS EXCLUSIVE lock PostgreSQL makes the slot wait, too.)
  run(other, "BEGIN; LOCK TABLE public.b IN SHARE UPDATE EXCLUSIVE MODE");
  auto x = good(admin.set_up());
  CAF_CHECK_EQUAL(names(x.tables), "public.a public.c");
  CAF_CHECK(x.slot_created);
  auto why = std::find_if(x.warnings.begin(), x.warnings.end(),
                          [](auto& y) { return y.subject == "public.b"; });
  CAF_REQUIRE(why != x.warnings.end());
  CAF_CHECK(has(why->text, "lock timeout"));
  CAF_MESSAGE("it is wanted as soon as it can be had");
  CAF_CHECK_EQUAL(names(good(admin.tables())), "public.a public.c public.b");
  run(other, "COMMIT");
  CAF_CHECK_EQUAL(names(good(admin.set_up(x.start)).tables),
                  "public.a public.b public.c");
  CAF_CHECK_EQUAL(published("p"), (lines{"public.a", "public.b"}));
}

CAF_TEST(a table without columns is left out until it has some) {
  run("CREATE TABLE public.a (id int PRIMARY KEY); CREATE TABLE public.t ();"
      "CREATE TABLE public.g (v int GENERATED ALWAYS AS (1) STORED)");
  auto x = good(admin.set_up());
  CAF_CHECK_EQUAL(names(x.tables), "public.a");
  auto said = std::count_if(x.warnings.begin(), x.warnings.end(), [](auto& y) {
    return has(y.text, "it has no column that the change stream carries");
  });
  CAF_CHECK_EQUAL(said, 2);
  run("ALTER TABLE public.t ADD COLUMN id int PRIMARY KEY");
  CAF_CHECK_EQUAL(names(good(admin.set_up(x.start)).tables),
                  "public.a public.t");
}

CAF_TEST(who the server is comes with the survey) {
  auto x = good(admin.survey());
  CAF_CHECK_EQUAL(x.identity.system_identifier,
                  value("SELECT system_identifier FROM pg_control_system()"));
  CAF_CHECK_EQUAL(x.identity.database, database);
  CAF_CHECK_EQUAL(x.identity.timeline, 1u);
  CAF_CHECK_EQUAL(x.identity.server_version, PQserverVersion(sql.get()));
  CAF_CHECK(x.identity.position <= good(admin.current_position()));
  CAF_MESSAGE("the timeline has not ended; a later one is not ours");
  CAF_CHECK(!good(admin.end_of_timeline(1)));
  CAF_CHECK(bad(admin.end_of_timeline(2)).code == ec::source_changed);
}

CAF_TEST(the slot tells what it holds back) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto x = good(admin.set_up());
  auto before = good(admin.slot());
  CAF_CHECK(!before.active);
  CAF_CHECK_EQUAL(before.wal_status, "reserved");
  run("INSERT INTO public.t SELECT generate_series(1, 10000)");
  CAF_CHECK(good(admin.slot()).lag > before.lag + 100'000);
  auto reader = good(start_replication(options, {"p"}, x.start, x.tables));
  CAF_CHECK(good(admin.slot()).active);
  CAF_MESSAGE("it has one reader at a time");
  auto why = bad(start_replication(options, {"p"}, x.start, {}));
  CAF_CHECK(why.code == ec::slot_busy);
  CAF_CHECK(has(why.text, "is in use by process "));
}

CAF_TEST(replication starts only from a slot of ours) {
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto why = bad(start_replication(options, {"p"}, lsn{}, {}));
  CAF_CHECK(why.code == ec::slot_lost);
  CAF_CHECK(has(why.text, "does not exist"));
  run(server, "SELECT pg_create_logical_replication_slot('" + options.slot
                + "', 'pgoutput')");
  CAF_CHECK(bad(start_replication(options, {"p"}, lsn{}, {})).code
            == ec::source_unsuitable);
  run(server, "SELECT pg_drop_replication_slot('" + options.slot + "')");
  run(server,
      "SELECT pg_create_physical_replication_slot('" + options.slot + "')");
  CAF_CHECK(bad(start_replication(options, {"p"}, lsn{}, {})).code
            == ec::slot_lost);
  run(server, "SELECT pg_drop_replication_slot('" + options.slot + "')");
}

CAF_TEST(a publication may have any name) {
  options.publication = "it's \"odd\", \\very";
  source_admin odd{options};
  run("CREATE TABLE public.t (id int PRIMARY KEY)");
  auto x = good(odd.set_up());
  auto reader = good(start_replication(options, x.publications, x.start, {}));
  run("INSERT INTO public.t VALUES (1)");
  for (int i = 0; i < 1000; ++i) {
    auto got = good(reader->read({}));
    if (got.unknown) {
      CAF_CHECK_EQUAL(got.unknown->name, "t");
      auto t = good(odd.describe(*got.unknown));
      CAF_REQUIRE(t);
      CAF_CHECK(*t == *x.tables[0]);
      return;
    }
    run("SELECT pg_sleep(0.01)");
  }
  CAF_FAIL("no change came");
}

CAF_TEST(a relation is described as the stream has it) {
  run("CREATE TABLE public.t (id int PRIMARY KEY, v text)");
  auto x = good(admin.set_up());
  relation message{x.tables[0]->oid,
                   "public",
                   "t",
                   'd',
                   {{true, "id", 23, -1}, {false, "v", 25, -1}}};
  auto t = good(admin.describe(message));
  CAF_REQUIRE(t);
  CAF_CHECK(*t == *x.tables[0]);
  CAF_MESSAGE("the catalogue may not have that any more");
  message.columns[1].type = 23;
  CAF_CHECK(bad(admin.describe(message)).code == ec::table_unsuitable);
  CAF_MESSAGE("one that is gone, and one that nobody asked for");
  message.oid = 1;
  CAF_CHECK(good(admin.describe(message)) == nullptr);
  message.schema = "elsewhere";
  CAF_CHECK(good(admin.describe(message)) == nullptr);
}

CAF_TEST_FIXTURE_SCOPE_END()
