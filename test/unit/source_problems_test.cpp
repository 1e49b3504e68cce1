#define CAF_SUITE source_problems

#include "postgres/inspection.hpp"
#include "test/unit/has.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::postgres;
using test::has;

namespace {

/// A source with which nothing is wrong: one table, publications and slot are
/// still to be made.
struct fixture {
  fixture() {
    options.publication = "p";
    options.slot = "s";
    x.version = 150000;
    x.may_create = true;
    x.role = "r";
    x.database = "d";
    x.wal_level = "logical";
    x.slots_max = 10;
    x.main.name = "p";
    x.inserts.name = "p_inserts";
    x.tables.reserve(10); // candidates point into it
    add("orders");
  }

  catalogue_table& add(std::string name) {
    auto& t = x.tables.emplace_back();
    auto& d = t.description;
    d.oid = static_cast<uint32_t>(100 + x.tables.size());
    d.schema = "public";
    d.name = std::move(name);
    d.columns.resize(2);
    d.columns[0].name = "id";
    d.columns[0].key_position = 0;
    d.columns[1].name = "v";
    t.key_size = 1;
    t.readable = t.owned = true;
    x.candidates.push_back(&t);
    return t;
  }

  catalogue_table& orders() {
    return x.tables[0];
  }

  /// A publication that has these tables.
  void exists(publication_state& p, std::vector<uint32_t> oids,
              bool everything = true) {
    p.exists = p.owned = p.inserts = p.truncates = true;
    p.updates = p.deletes = everything;
    for (auto oid : oids) {
      p.members[oid] = {"id", "v"};
      p.listed[oid] = {};
    }
  }

  void slot_exists() {
    x.slot.exists = true;
    x.slot.plugin = "pgoutput";
    x.slot.database = "d";
    x.slot.wal_status = "reserved";
  }

  void find() {
    x.problems.clear();
    x.statements.clear();
    find_problems(options, x);
    for (const auto& y : x.problems) {
      CAF_MESSAGE((y.warning ? "warning " : "")
                  << to_string(y.code) << " " << y.subject << ": " << y.text
                  << "; " << y.remedy);
      CAF_CHECK(!y.text.empty() && !y.remedy.empty());
    }
  }

  /// The only problem.
  problem only() {
    find();
    CAF_REQUIRE_EQUAL(x.problems.size(), 1u);
    return x.problems[0];
  }

  source_options options;
  inspection x;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(source_problems_tests, fixture)

CAF_TEST(a source that will do only lacks what is to be made) {
  find();
  CAF_CHECK(x.problems.empty());
  CAF_REQUIRE_EQUAL(x.statements.size(), 2u);
  CAF_CHECK_EQUAL(x.statements[0],
                  "CREATE PUBLICATION \"p\" FOR TABLE ONLY "
                  "\"public\".\"orders\" WITH (publish = 'insert, update, "
                  "delete, truncate', publish_via_partition_root = true)");
  CAF_CHECK_EQUAL(x.statements[1],
                  "CREATE PUBLICATION \"p_inserts\" WITH (publish = 'insert, "
                  "truncate', publish_via_partition_root = true)");
  exists(x.main, {101});
  exists(x.inserts, {}, false);
  slot_exists();
  find();
  CAF_CHECK(x.problems.empty());
  CAF_CHECK(x.statements.empty());
}

CAF_TEST(a server that will never do is told alone) {
  orders().readable = false;
  x.version = 130012;
  CAF_CHECK(has(only().text, "PostgreSQL 13 is too old"));
  x.version = 140000;
  x.in_recovery = true;
  CAF_CHECK(has(only().text, "it is a standby"));
  CAF_CHECK(x.statements.empty());
}

CAF_TEST(all problems are told at once) {
  x.wal_level = "replica";
  x.slots_used = 10;
  orders().readable = false;
  find();
  CAF_REQUIRE_EQUAL(x.problems.size(), 3u);
  CAF_CHECK_EQUAL(x.problems[0].subject, "wal_level");
  CAF_CHECK(has(x.problems[0].text, "'replica'"));
  CAF_CHECK(has(x.problems[1].text, "all 10 replication slots are in use"));
  CAF_CHECK(x.problems[2].code == ec::source_refused);
}

CAF_TEST(a full server needs no place for a slot that is there) {
  x.slots_used = 10;
  slot_exists();
  exists(x.main, {101});
  find();
  CAF_CHECK(x.problems.empty());
}

CAF_TEST(what is no name for a slot is found before anything is made) {
  for (std::string bad : {"", "Upper", "with-dash", "a b", "ä"}) {
    options.slot = bad;
    CAF_CHECK(only().code == ec::invalid_configuration);
  }
  options.slot = std::string(64, 'x');
  CAF_CHECK(only().code == ec::invalid_configuration);
  options.slot = std::string(63, 'x');
  find();
  CAF_CHECK(x.problems.empty());
  x.inserts.name = std::string(64, 'x');
  CAF_CHECK(has(only().text, "the name is too long"));
}

CAF_TEST(a slot that is not ours or lost) {
  exists(x.main, {101});
  slot_exists();
  x.slot.plugin = "wal2json";
  auto y = only();
  CAF_CHECK(y.code == ec::slot_lost);
  CAF_CHECK(has(y.text, "plugin \"wal2json\""));
  x.slot.plugin = "";
  CAF_CHECK(has(only().text, "physical"));
  slot_exists();
  x.slot.database = "e";
  CAF_CHECK(has(only().text, "belongs to database \"e\""));
  slot_exists();
  x.slot.wal_status = "lost";
  y = only();
  CAF_CHECK(y.code == ec::slot_lost);
  CAF_CHECK(has(y.text, "invalidated"));
  CAF_MESSAGE("the way out never leaves a gap");
  CAF_CHECK(has(y.remedy, "take everything again"));
  slot_exists();
  x.slot.active_pid = "77";
  y = only();
  CAF_CHECK(y.code == ec::slot_busy);
  CAF_CHECK(has(y.text, "77"));
  x.slot.active_pid.clear();
  x.slot.wal_status = "unreserved";
  CAF_CHECK(only().warning);
}

CAF_TEST(a publication that is gone while the slot is there) {
  slot_exists();
  auto y = only();
  CAF_CHECK(!y.warning);
  CAF_CHECK(has(y.text, "changes of before cannot be read"));
  CAF_CHECK(has(y.remedy, "take everything again"));
  CAF_CHECK(x.statements.empty());
}

CAF_TEST(publications are made only where that is allowed) {
  x.may_create = false;
  auto y = only();
  CAF_CHECK(y.code == ec::source_refused);
  CAF_CHECK(has(y.remedy, "CREATE PUBLICATION \"p\" FOR TABLE"));
  CAF_CHECK(x.statements.empty());
  x.may_create = true;
  orders().owned = false;
  CAF_CHECK(has(only().text, "may not create it"));
  CAF_MESSAGE("only that of the tables is lacking");
  CAF_CHECK_EQUAL(x.statements.size(), 1u);
}

CAF_TEST(a publication that leaves something out) {
  exists(x.main, {101});
  exists(x.inserts, {}, false);
  x.main.deletes = false;
  auto y = only();
  CAF_CHECK_EQUAL(y.text, "it does not publish deletes");
  CAF_CHECK(!y.warning);
  x.main.updates = false;
  CAF_CHECK_EQUAL(only().text, "it does not publish updates, deletes");
  x.main.updates = x.main.deletes = true;
  x.main.truncates = false;
  CAF_MESSAGE("truncates are rare");
  CAF_CHECK(only().warning);
}

CAF_TEST(a table that is not published is added or named) {
  exists(x.main, {101});
  exists(x.inserts, {}, false);
  slot_exists();
  auto& more = add("more");
  find();
  CAF_CHECK(x.problems.empty());
  CAF_CHECK_EQUAL(x.statements.size(), 1u);
  CAF_MESSAGE("by who may not, it is not followed: told, and the rest goes on");
  more.owned = false;
  auto y = only();
  CAF_CHECK(y.warning);
  CAF_CHECK_EQUAL(y.subject, "public.more");
  CAF_CHECK(has(y.remedy, "ALTER PUBLICATION \"p\" ADD TABLE ONLY"
                          " \"public\".\"more\""));
  CAF_MESSAGE("one that is asked for by name is missed");
  options.tables = {"public.orders", "public.more"};
  CAF_CHECK(!only().warning);
  CAF_MESSAGE("a publication of all tables has it");
  x.main.all_tables = true;
  find();
  CAF_CHECK(x.problems.empty());
}

CAF_TEST(a partition comes with the table that it is a part of) {
  exists(x.main, {101});
  exists(x.inserts, {}, false);
  orders().kind = 'p';
  add("part").ancestors = {101};
  find();
  CAF_CHECK(x.problems.empty());
  CAF_CHECK(x.statements.empty());
}

CAF_TEST(a table without identity gets inserts and refuses nothing) {
  auto& t = add("log");
  t.description.identity = table_identity::append_only;
  auto y = only();
  CAF_CHECK(y.warning);
  CAF_CHECK(has(y.text, "it has no key: inserts only"));
  CAF_REQUIRE_EQUAL(x.statements.size(), 2u);
  CAF_CHECK(!has(x.statements[0], "\"log\""));
  CAF_CHECK(has(x.statements[1], "FOR TABLE ONLY \"public\".\"log\""));
  CAF_CHECK(has(x.statements[1], "publish = 'insert, truncate'"));
  t.deferrable_key = true;
  CAF_CHECK(has(only().text, "deferrable"));
  CAF_MESSAGE("a partition without one is as bad");
  t.description.identity = table_identity::key;
  t.deferrable_key = false;
  t.partition_without_identity = true;
  CAF_CHECK(has(only().text, "a partition of it has no key"));
}

CAF_TEST(a publication that would refuse the writes of applications) {
  auto& t = add("log");
  t.description.identity = table_identity::append_only;
  exists(x.main, {101, 102});
  exists(x.inserts, {}, false);
  slot_exists();
  auto y = only();
  CAF_CHECK(!y.warning);
  CAF_CHECK(has(y.text, "PostgreSQL refuses the application's UPDATE"));
  CAF_CHECK(has(y.remedy, "DROP TABLE \"public\".\"log\""));
  CAF_MESSAGE("of tables that are not followed it is said");
  options.exclude = {"public.log"};
  x.candidates.pop_back();
  CAF_CHECK(only().warning);
  CAF_MESSAGE("one that publishes no updates refuses none");
  x.main.updates = x.main.deletes = false;
  CAF_CHECK(has(only().text, "does not publish"));
  CAF_MESSAGE("the publication for such tables must not publish updates");
  exists(x.main, {101});
  x.main.members.erase(102);
  x.main.listed.erase(102);
  x.inserts.updates = true;
  CAF_CHECK(has(only().remedy, "SET (publish = 'insert, truncate')"));
}

CAF_TEST(column lists and row filters that hide the identity) {
  exists(x.main, {101});
  exists(x.inserts, {}, false);
  x.main.listed[101].has_column_list = true;
  x.main.members[101] = {"v"};
  CAF_CHECK(has(only().text, "its column list lacks \"id\""));
  x.main.members[101] = {"id"};
  find();
  CAF_CHECK(x.problems.empty());
  orders().description.full_old_rows = true;
  CAF_CHECK(has(only().text, "its column list lacks \"v\""));
  orders().description.full_old_rows = false;
  x.main.listed[101] = {false, {"id", "v"}};
  CAF_CHECK(has(only().text, "its row filter reads \"v\""));
  orders().description.full_old_rows = true;
  find();
  CAF_CHECK(x.problems.empty());
}

CAF_TEST(what cannot be followed is told) {
  orders().row_security = true;
  CAF_CHECK(has(only().remedy, "BYPASSRLS"));
  orders().row_security = false;
  column_description twice;
  twice.name = "twice";
  orders().generated = {twice};
  CAF_CHECK(only().warning);
  orders().generated[0].key_position = 1;
  CAF_CHECK(!only().warning);
  orders().generated.clear();
  x.candidates.clear();
  auto told = [&](char kind, char persistence, const char* part) {
    orders().kind = kind;
    orders().persistence = persistence;
    auto y = only();
    CAF_CHECK(y.warning);
    CAF_CHECK(has(y.text, part));
  };
  told('r', 'u', "unlogged");
  told('f', 'p', "foreign");
  orders().kind = 'v';
  find();
  CAF_MESSAGE("a view only where it is named");
  CAF_CHECK(x.problems.empty());
  options.tables = {"public.orders"};
  told('v', 'p', "a view");
  told('m', 'p', "a view");
}

CAF_TEST(a table that appears later must not stop the others) {
  exists(x.main, {101});
  exists(x.inserts, {}, false);
  slot_exists();
  auto& t = add("more");
  t.readable = false;
  t.owned = false;
  find();
  CAF_REQUIRE_EQUAL(x.problems.size(), 2u);
  CAF_CHECK(x.problems[0].warning && x.problems[1].warning);
  CAF_MESSAGE("at the first start it does");
  x.slot = {};
  find();
  CAF_CHECK(!x.problems[0].warning);
}

CAF_TEST(a table that appears later and hides rows is left out) {
  exists(x.main, {101});
  exists(x.inserts, {}, false);
  slot_exists();
  add("more").row_security = true;
  find();
  CAF_REQUIRE_EQUAL(x.problems.size(), 1u);
  CAF_CHECK(x.problems[0].warning);
  CAF_CHECK(x.statements.empty());
  for (const auto* table : x.candidates)
    CAF_CHECK_NOT_EQUAL(table->description.name, "more");
}

CAF_TEST(without the publication for them keyless tables are left out) {
  exists(x.main, {101});
  slot_exists();
  add("log").description.identity = table_identity::append_only;
  find();
  CAF_REQUIRE_EQUAL(x.problems.size(), 2u);
  CAF_CHECK(has(x.problems[1].text, "tables without key are not followed: ONLY"
                                    " \"public\".\"log\""));
  CAF_CHECK(x.problems[1].warning);
  CAF_CHECK(has(x.problems[1].remedy, "give them a key"));
  CAF_MESSAGE("it cannot be younger than the slot");
  CAF_CHECK(x.statements.empty());
}

CAF_TEST_FIXTURE_SCOPE_END()
