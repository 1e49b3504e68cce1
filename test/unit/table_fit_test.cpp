#define CAF_SUITE table_fit

#include "clickhouse/table_fit.hpp"
#include "fake_tables.hpp"
#include "has.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::clickhouse;
using test::has;
using test::make_target;

namespace {

struct fixture {
  fixture() {
    options.database = "d";
    wanted = make_target(
      "t", {{"id", "Int64"}, {"k 2", "String"}, {"v", "Nullable(Int32)"}}, 2);
    found.engine = "ReplacingMergeTree";
    found.engine_full = "ReplacingMergeTree(_version, _deleted) ORDER BY (id, "
                        "`k 2`) SETTINGS index_granularity = 8192";
    found.sorting_key = "id, `k 2`";
    found.columns
      = {{"id", "Int64", "", true, false},
         {"k 2", "String", "", true, false},
         {"v", "Nullable(Int32)", "", false, false},
         {"_version", "UInt128", "", false, false},
         {"_deleted", "UInt8", "", false, false},
         {"_committed_at", "DateTime64(6, 'UTC')", "", false, false},
         {"_lsn", "UInt64", "ALIAS", false, false}};
  }

  table_fit compare() {
    return fit(options, *wanted, found);
  }

  existing_table::column& column(const std::string& name) {
    for (auto& x : found.columns)
      if (x.name == name)
        return x;
    CAF_FAIL("no column " << name);
    return found.columns[0];
  }

  void remove(const std::string& name) {
    std::erase_if(found.columns, [&](auto& x) { return x.name == name; });
  }

  /// The only problem, or what is wrong.
  std::string problem() {
    auto x = compare();
    if (x.problems.size() != 1)
      return std::to_string(x.problems.size()) + " problems";
    CAF_CHECK(x.statements.empty());
    return x.problems[0];
  }

  target_options options;
  target_table_ptr wanted;
  existing_table found;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(table_fit_tests, fixture)

CAF_TEST(a table as millrace makes it fits) {
  auto x = compare();
  CAF_CHECK(x.problems.empty());
  CAF_CHECK(x.statements.empty());
}

CAF_TEST(more columns and another order of them do no harm) {
  found.columns.insert(found.columns.begin(),
                       {"mine", "String", "DEFAULT", false, false});
  found.columns.push_back({"sum", "Int8", "MATERIALIZED", false, false});
  found.sorting_key = "`k 2`, id";
  CAF_CHECK(compare().problems.empty());
}

CAF_TEST(partition by and ttl over the key fit) {
  found.engine_full
    = "ReplacingMergeTree(_version, _deleted) PARTITION BY intDiv(id, 10) "
      "ORDER BY (id, `k 2`) TTL toDateTime(id) + toIntervalDay(1) SETTINGS "
      "index_granularity = 8192";
  column("id").in_partition_key = true;
  CAF_CHECK(compare().problems.empty());
}

CAF_TEST(other engines do not fit) {
  found.engine = "MergeTree";
  found.engine_full = "MergeTree ORDER BY id";
  CAF_CHECK(has(problem(), "its engine is MergeTree"));
  found.engine = "ReplacingMergeTree";
  found.engine_full = "ReplacingMergeTree(_version) ORDER BY id";
  CAF_CHECK(has(problem(), "its engine is ReplacingMergeTree(_version)"));
  found.engine_full = "ReplacingMergeTree(_deleted, _version) ORDER BY id";
  CAF_CHECK(has(problem(), "its engine is"));
  found.engine = "ReplicatedReplacingMergeTree";
  found.engine_full = "ReplicatedReplacingMergeTree('/a(b)/{uuid}', '{r}', "
                      "_version, _deleted) ORDER BY id";
  CAF_CHECK(compare().problems.empty());
}

CAF_TEST(a sorting key that lacks a key column does not fit) {
  found.sorting_key = "id";
  column("k 2").in_sorting_key = false;
  CAF_CHECK(has(problem(), "lacks the key column \"k 2\""));
}

CAF_TEST(a key column inside of an expression is not in the sorting key) {
  found.sorting_key = "id, lower(`k 2`)";
  CAF_CHECK(has(problem(), "lacks the key column \"k 2\""));
  found.sorting_key = "id, lower(`k 2`), `k 2`";
  CAF_CHECK(compare().problems.empty());
}

CAF_TEST(expressions over other columns bring deleted rows back) {
  found.sorting_key = "id, `k 2`, v";
  column("v").in_sorting_key = true;
  CAF_CHECK(has(problem(), "ORDER BY uses column \"v\""));
  found.sorting_key = "id, `k 2`";
  column("v").in_sorting_key = false;
  column("v").in_partition_key = true;
  CAF_CHECK(has(problem(), "PARTITION BY uses column \"v\""));
  column("v").in_partition_key = false;
  found.engine_full = "ReplacingMergeTree(_version, _deleted) ORDER BY (id, `k "
                      "2`) TTL toDateTime(v) + toIntervalDay(1) SETTINGS a = 1";
  CAF_CHECK(has(problem(), "TTL uses column \"v\""));
  found.engine_full = "ReplacingMergeTree(_version, _deleted) ORDER BY id TTL "
                      "_committed_at + toIntervalDay(1)";
  CAF_CHECK(has(problem(), "TTL uses column \"_committed_at\""));
}

CAF_TEST(missing columns are added where they belong) {
  remove("v");
  remove("_committed_at");
  remove("_lsn");
  auto x = compare();
  CAF_CHECK(x.problems.empty());
  CAF_REQUIRE_EQUAL(x.statements.size(), 3u);
  CAF_CHECK_EQUAL(x.statements[0],
                  "ALTER TABLE `d`.`t` ADD COLUMN IF NOT EXISTS `v` "
                  "Nullable(Int32) AFTER `k 2`");
  CAF_CHECK(has(x.statements[1], "`_committed_at` DateTime64(6, 'UTC')"));
  CAF_CHECK(has(x.statements[2], "`_lsn` UInt64 ALIAS"));
}

CAF_TEST(key columns and versions are not added) {
  remove("_version");
  CAF_CHECK(has(problem(), "no column \"_version\" UInt128"));
}

CAF_TEST(types are widened and never narrowed) {
  column("v").type = "Nullable(Int16)";
  auto x = compare();
  CAF_CHECK(x.problems.empty());
  CAF_REQUIRE_EQUAL(x.statements.size(), 1u);
  CAF_CHECK_EQUAL(x.statements[0],
                  "ALTER TABLE `d`.`t` MODIFY COLUMN `v` Nullable(Int32)");
  column("v").type = "Nullable(Int64)";
  CAF_CHECK(compare().problems.empty());
  CAF_CHECK(compare().statements.empty());
  column("v").type = "Nullable(Float32)";
  CAF_CHECK_EQUAL(problem(), "column \"v\" is Nullable(Float32), wanted is "
                             "Nullable(Int32)");
}

CAF_TEST(what could be NULL stays so when it is widened) {
  wanted
    = make_target("t", {{"id", "Int64"}, {"k 2", "String"}, {"v", "Int32"}}, 2);
  column("v").type = "Nullable(Int16)";
  auto x = compare();
  CAF_CHECK(x.problems.empty());
  CAF_REQUIRE_EQUAL(x.statements.size(), 1u);
  CAF_CHECK_EQUAL(x.statements[0],
                  "ALTER TABLE `d`.`t` MODIFY COLUMN `v` Nullable(Int32)");
  column("v").type = "Nullable(Int64)";
  CAF_CHECK(compare().statements.empty());
}

CAF_TEST(a key column cannot be widened) {
  column("id").type = "Int32";
  CAF_CHECK_EQUAL(problem(), "column \"id\" is Int32, wanted is Int64");
}

CAF_TEST(columns that cannot be written do not fit) {
  column("v").default_kind = "MATERIALIZED";
  CAF_CHECK_EQUAL(problem(), "column \"v\" is MATERIALIZED and cannot be "
                             "written");
}

CAF_TEST(a version of another type does not fit) {
  column("_version").type = "UInt64";
  CAF_CHECK_EQUAL(problem(),
                  "column \"_version\" is UInt64, wanted is UInt128");
}

CAF_TEST(each problem is named) {
  column("id").type = "String";
  column("v").type = "Date";
  remove("_deleted");
  found.sorting_key = "id";
  CAF_CHECK_EQUAL(compare().problems.size(), 4u);
}

CAF_TEST_FIXTURE_SCOPE_END()
