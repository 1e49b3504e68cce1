#define CAF_SUITE tombstone_store

#include "clickhouse/row_binary.hpp"
#include "clickhouse/tombstone_store.hpp"
#include "fake_clickhouse.hpp"
#include "fake_tables.hpp"
#include "has.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::clickhouse;
using test::has;

namespace {

struct fixture : test::fake_clickhouse {
  fixture() : table(test::make_target("t", {{"id", "Int64"}}, 1)) {
    letters(0, {});
    on("count() FROM `d`.`t` GROUP BY", "a\t1000\nb\t10\n");
    on("count() FROM `d`.`t` WHERE", "a\t70\n");
  }

  void letters(uint64_t n, version oldest) {
    std::string body;
    put_integer(body, n);
    put_integer(body, oldest.minor);
    put_integer(body, oldest.major);
    on("_dead_letters` FINAL", body);
  }

  tombstone_store_ptr store() {
    return make_tombstone_store(options, "p", nullptr);
  }

  std::vector<std::string> changes() {
    std::vector<std::string> out;
    for (const auto& x : asked(""))
      if (x.rfind("SELECT", 0) != 0)
        out.push_back(x.substr(0, x.find(' ')));
    return out;
  }

  target_table_ptr table;
};

using words = std::vector<std::string>;

} // namespace

CAF_TEST_FIXTURE_SCOPE(tombstone_store_tests, fixture)

CAF_TEST(tombstones are counted by partition and nothing is changed) {
  auto x = store()->look(*table, {100, 0});
  CAF_REQUIRE(x);
  CAF_REQUIRE_EQUAL(x->partitions.size(), 1u);
  CAF_CHECK_EQUAL(x->partitions[0].id, "a");
  CAF_CHECK_EQUAL(x->partitions[0].rows, 1000u);
  CAF_CHECK_EQUAL(x->partitions[0].tombstones, 70u);
  CAF_CHECK(!x->held_by_letter);
  CAF_CHECK((x->below == version{100, 0}));
  CAF_CHECK(has(asked("WHERE _deleted AND _version <").at(0),
                "toUInt128(100), 64), toUInt128(0)"));
  CAF_CHECK_EQUAL(changes(), words{});
}

CAF_TEST(an open dead letter keeps what is newer) {
  letters(2, {40, 7});
  auto x = store()->look(*table, {100, 0});
  CAF_REQUIRE(x);
  CAF_CHECK(x->held_by_letter);
  CAF_CHECK((x->below == version{40, 7}));
  CAF_CHECK(has(asked("WHERE _deleted AND _version <").at(0),
                "toUInt128(40), 64), toUInt128(7)"));
  CAF_CHECK(has(asked("_dead_letters` FINAL").at(0),
                "pipeline = 'p' AND `table` = 'public.t'"));
}

CAF_TEST(a dead letter that is newer anyway keeps nothing) {
  letters(1, {400, 7});
  auto x = store()->look(*table, {100, 0});
  CAF_REQUIRE(x);
  CAF_CHECK(!x->held_by_letter);
  CAF_CHECK((x->below == version{100, 0}));
}

CAF_TEST(a partition is merged before anything is deleted) {
  auto n = store()->remove(*table, "a", {100, 0});
  CAF_REQUIRE(n);
  CAF_CHECK_EQUAL(*n, 70u);
  CAF_CHECK_EQUAL(changes(), (words{"OPTIMIZE", "ALTER"}));
  auto merges = asked("OPTIMIZE");
  CAF_CHECK_EQUAL(merges.at(0),
                  "OPTIMIZE TABLE `d`.`t` PARTITION ID 'a' FINAL SETTINGS "
                  "optimize_throw_if_noop = 1");
  // Both are done when they are answered, however long they take.
  for (const auto& head : heads)
    if (has(head, "mutations_sync"))
      CAF_CHECK(has(head, "mutations_sync=1"));
  CAF_CHECK_EQUAL(asked("CLEANUP").size(), 0u);
}

CAF_TEST(nothing is deleted unless all was merged) {
  on("OPTIMIZE", "Cannot select parts for optimization", 388);
  auto n = store()->remove(*table, "a", {100, 0});
  CAF_REQUIRE(!n);
  CAF_CHECK(has(n.error().text, "Cannot select parts"));
  CAF_CHECK_EQUAL(changes(), words{"OPTIMIZE"});
}

CAF_TEST(a replica first gets what the others have) {
  options.engine = "ReplicatedReplacingMergeTree('/t/{table}', '{replica}')";
  options.cluster = "main";
  CAF_REQUIRE(store()->remove(*table, "a", {100, 0}));
  CAF_CHECK_EQUAL(changes(), (words{"SYSTEM", "OPTIMIZE", "ALTER"}));
  on("SYSTEM SYNC", "the other replica is away", 159);
  CAF_REQUIRE(!store()->remove(*table, "a", {100, 0}));
  CAF_CHECK_EQUAL(changes(), (words{"SYSTEM", "OPTIMIZE", "ALTER", "SYSTEM"}));
}

CAF_TEST(a table that cannot be read is left alone) {
  on("count() FROM `d`.`t` WHERE", "is not there", 60);
  CAF_CHECK(!store()->look(*table, {100, 0}));
  on("_dead_letters` FINAL", "short");
  CAF_CHECK(!store()->look(*table, {100, 0}));
  CAF_CHECK_EQUAL(changes(), words{});
}

CAF_TEST_FIXTURE_SCOPE_END()
