#define CAF_SUITE target_admin

#include "clickhouse/row_binary.hpp"
#include "clickhouse/target_admin.hpp"
#include "fake_clickhouse.hpp"
#include "fake_tables.hpp"

#include <caf/test/dsl.hpp>

#include <bit>

using namespace millrace;
using namespace millrace::clickhouse;
using test::fake_clickhouse;
using test::make_target;

namespace {

/// What was written to the state: kind/name=value@version.
std::vector<std::string> state_rows(const std::string& body) {
  std::vector<std::string> out;
  row_binary_reader in{std::string_view{body}.substr(body.find('\n') + 1)};
  while (!in.at_end() && !in.failed()) {
    std::string row{in.string()};
    for (auto before : {' ', '/', '='}) {
      row += before;
      row += in.string();
    }
    row += '@';
    auto at = in.integer(8);
    row += std::to_string(at >> 32) + '.' + std::to_string(at & 0xFFFFFFFF);
    out.push_back(std::move(row));
  }
  CAF_CHECK(!in.failed());
  return out;
}

std::string int64_key(int64_t x) {
  std::string out;
  put_integer(out, x);
  return out;
}

std::string float_key(double x) {
  return int64_key(std::bit_cast<int64_t>(x));
}

/// A row of the answer to `read`: key, version, deleted, values.
std::string stored(std::string key, uint64_t major, uint64_t minor,
                   bool deleted, const std::string& values = "") {
  put_integer(key, minor);
  put_integer(key, major);
  key += deleted ? '\x01' : '\0';
  return key + values;
}

/// A server with a database, whose user may do everything.
struct fixture : fake_clickhouse {
  fixture() {
    on("version()", "26.7.1.1\n");
    on("system.databases", "1\n");
    on("CHECK GRANT", "1\n");
  }

  /// What the survey of no table says.
  std::vector<problem> survey() {
    std::vector<std::string> plan;
    target_admin uut{options, "p"};
    auto x = uut.survey({}, plan);
    CAF_REQUIRE(x);
    return *x;
  }
};

const problem* find(const std::vector<problem>& xs, const std::string& part) {
  for (auto& x : xs)
    if ((x.subject + ": " + x.text + ": " + x.remedy).find(part)
        != std::string::npos)
      return &x;
  return nullptr;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(target_admin_tests, fixture)

CAF_TEST(prepare makes what is missing and nothing else) {
  on("system.databases", "_dead_letters\n");
  target_admin uut{options, "p"};
  CAF_REQUIRE(uut.prepare());
  CAF_CHECK_EQUAL(asked("CREATE DATABASE").size(), 1u);
  auto tables = asked("CREATE TABLE");
  CAF_REQUIRE_EQUAL(tables.size(), 1u);
  CAF_CHECK(tables[0].find("_millrace_state") != std::string::npos);
}

CAF_TEST(prepare makes nothing when all is there) {
  on("system.databases", "database\n_dead_letters\n_millrace_state\n");
  target_admin uut{options, "p"};
  CAF_REQUIRE(uut.prepare());
  CAF_CHECK_EQUAL(asked("CREATE").size(), 0u);
}

CAF_TEST(each process writes state under a higher epoch) {
  on("_millrace_state` FINAL",
     "slot\tshop\t{\"a\": \"x\\ty\\n\"}\t21474836487\nold\t\t\t3\n");
  target_admin uut{options, "p'1"};
  auto state = uut.load_state();
  CAF_REQUIRE(state);
  CAF_CHECK_EQUAL(state->size(), 1u);
  CAF_CHECK_EQUAL((*state)[std::make_pair("slot", "shop")],
                  "{\"a\": \"x\ty\n\"}");
  CAF_CHECK_EQUAL(asked("WHERE pipeline = 'p\\'1'").size(), 1u);
  CAF_CHECK(uut.save_state({{{"a", "b"}, "1"}, {{"c", ""}, ""}}));
  CAF_CHECK(uut.save_state({{{"a", "b"}, "2"}}));
  CAF_CHECK(uut.save_state({}));
  auto writes = asked("INSERT INTO `d`.`_millrace_state`");
  CAF_REQUIRE_EQUAL(writes.size(), 2u);
  // 21474836487 is 5.7.
  CAF_CHECK(state_rows(writes[0])
            == (std::vector<std::string>{"p'1 a/b=1@6.1", "p'1 c/=@6.1"}));
  CAF_CHECK(state_rows(writes[1])
            == (std::vector<std::string>{"p'1 a/b=2@6.2"}));
}

CAF_TEST(state that was never prepared is empty) {
  on("_millrace_state` FINAL", "no such table (UNKNOWN_TABLE)", 60);
  target_admin uut{options, "p"};
  auto state = uut.load_state();
  CAF_REQUIRE(state);
  CAF_CHECK(state->empty());
}

CAF_TEST(state is not written over when it cannot be read) {
  on("_millrace_state` FINAL", "too much", 241);
  target_admin uut{options, "p"};
  auto done = uut.save_state({{{"a", "b"}, "1"}});
  CAF_REQUIRE(!done);
  CAF_CHECK(done.error().code == ec::target_failed);
  CAF_CHECK(asked("INSERT").empty());
}

CAF_TEST(rows are read by key with their tombstones) {
  std::string value{"\x00\x03"
                    "abc\x01",
                    6};
  on("IN (SELECT",
     stored(int64_key(1), 10, 11, false, value)
       + stored(int64_key(2), 12, 0, true, std::string{"\x01\x01", 2}));
  auto table = make_target("t",
                           {{"id", "Int64"},
                            {"a", "Nullable(String)"},
                            {"b", "LowCardinality(Nullable(String))"}},
                           1);
  target_admin uut{options, "p"};
  auto rows
    = uut.read(*table, {int64_key(1), int64_key(2), int64_key('\'')}, {1, 2});
  CAF_REQUIRE(rows);
  CAF_REQUIRE_EQUAL(rows->size(), 2u);
  auto& one = rows->at(int64_key(1));
  CAF_CHECK((one.at == version{10, 11}));
  CAF_CHECK(!one.deleted);
  CAF_REQUIRE_EQUAL(one.values.size(), 2u);
  CAF_CHECK(one.values[0] == std::string("\0\3abc", 5));
  CAF_CHECK(one.values[1] == "\1");
  CAF_CHECK(rows->at(int64_key(2)).deleted);
  auto sql = asked("IN (SELECT")[0];
  CAF_CHECK(sql.find("'`id` Int64', '\x01\\0\\0\\0\\0\\0\\0\\0\x02")
            != std::string::npos);
  CAF_CHECK(sql.find("\\'\\0\\0\\0\\0\\0\\0\\0')) GROUP BY `id`")
            != std::string::npos);
}

CAF_TEST(long lists of keys are asked for in parts) {
  target_admin uut{options, "p"};
  auto table = make_target("t", {{"id", "String"}}, 1);
  std::vector<std::string> keys;
  for (int i = 0; i < 10'000; ++i) {
    std::string key;
    put_string(key, std::to_string(i));
    keys.push_back(std::move(key));
  }
  CAF_CHECK(uut.read(*table, keys, {}));
  CAF_CHECK_EQUAL(asked("IN (SELECT").size(), 3u);
  std::string large;
  put_string(large, std::string(3'000'000, 'x'));
  CAF_CHECK(uut.read(*table, {large, large}, {}));
  CAF_CHECK_EQUAL(asked("IN (SELECT").size(), 5u);
  CAF_CHECK(uut.read(*table, {}, {}));
  CAF_CHECK_EQUAL(asked("IN (SELECT").size(), 5u);
}

CAF_TEST(large values are asked for in small parts) {
  auto table = make_target("t", {{"id", "Int64"}, {"a", "String"}}, 1);
  std::string value;
  put_string(value, std::string(15 << 20, 'x'));
  on("IN (SELECT", stored(int64_key(1), 1, 1, false, value));
  target_admin uut{options, "p"};
  std::vector<std::string> keys;
  for (int64_t i = 0; i < 256 + 136 + 72 + 2; ++i)
    keys.push_back(int64_key(i));
  auto rows = uut.read(*table, keys, {1});
  CAF_REQUIRE(rows);
  CAF_CHECK_EQUAL(rows->answered, keys.size());
  CAF_CHECK_EQUAL(asked("IN (SELECT").size(), 4u);
  CAF_MESSAGE("as many as are wanted");
  rows = uut.read(*table, keys, {1}, 20 << 20);
  CAF_REQUIRE(rows);
  CAF_CHECK_EQUAL(rows->answered, 256u + 136u);
  CAF_CHECK(rows->bytes > 30 << 20);
}

CAF_TEST(the sizes of values are asked for when an answer is too large) {
  auto table = make_target("t", {{"id", "Int64"}, {"a", "String"}}, 1);
  std::string value;
  put_string(value, std::string(17 << 20, 'x'));
  on("IN (SELECT", stored(int64_key(1), 1, 1, false, value));
  std::string sizes;
  for (auto [key, size] : {std::pair{1, 5}, {2, 2}, {3, 3}, {4, 1}}) {
    put_integer(sizes, static_cast<int64_t>(key));
    put_integer(sizes, static_cast<uint64_t>(size) << 20);
  }
  on("byteSize(`a`)", sizes);
  target_admin uut{options, "p"};
  std::vector<std::string> keys;
  for (int64_t i = 1; i < 5; ++i)
    keys.push_back(int64_key(i));
  auto rows = uut.read(*table, keys, {1}, 8 << 20);
  CAF_REQUIRE(rows);
  CAF_CHECK_EQUAL(rows->answered, 2u);
  CAF_REQUIRE_EQUAL(rows->size(), 1u);
  CAF_CHECK(rows->begin()->second.values[0] == value);
  CAF_CHECK_EQUAL(asked("IN (SELECT").size(), 3u);
  CAF_MESSAGE("one that is too large by itself is read all the same");
  rows = uut.read(*table, {keys[0]}, {1}, 8 << 20);
  CAF_REQUIRE(rows);
  CAF_CHECK_EQUAL(rows->answered, 1u);
}

CAF_TEST(a zero of either sign is one key) {
  on("IN (SELECT", stored(float_key(-0.0), 5, 6, false));
  auto table = make_target("t", {{"k", "Float64"}}, 1);
  target_admin uut{options, "p"};
  auto rows
    = uut.read(*table, {float_key(0.0), float_key(-0.0), float_key(1)}, {});
  CAF_REQUIRE(rows);
  CAF_CHECK_EQUAL(rows->size(), 2u);
  CAF_CHECK_EQUAL(rows->count(float_key(0.0)), 1u);
  CAF_CHECK_EQUAL(rows->count(float_key(-0.0)), 1u);
  // Both forms of the zero are asked for, each time.
  auto sql = asked("IN (SELECT")[0];
  auto at = sql.find("'`k` Float64', '") + 16;
  CAF_CHECK_EQUAL(sql.substr(at, sql.find("'))", at) - at),
                  std::string{"\\0\\0\\0\\0\\0\\0\\0\\0"
                              "\\0\\0\\0\\0\\0\\0\\0\x80"
                              "\\0\\0\\0\\0\\0\\0\\0\\0"
                              "\\0\\0\\0\\0\\0\\0\\0\x80"
                              "\\0\\0\\0\\0\\0\\0\xF0\x3F"});
}

CAF_TEST(of two forms of a key the newer row counts) {
  on("IN (SELECT",
     stored(float_key(0.0), 7, 0, false) + stored(float_key(-0.0), 8, 0, true));
  auto table = make_target("t", {{"k", "Float64"}}, 1);
  target_admin uut{options, "p"};
  auto rows = uut.read(*table, {float_key(0.0)}, {});
  CAF_REQUIRE(rows);
  CAF_CHECK(rows->at(float_key(0.0)).deleted);
}

CAF_TEST(an answer that ends in a row is an error) {
  auto whole = stored(int64_key(1), 10, 11, false, std::string{"\x02zz", 3});
  auto table = make_target("t", {{"id", "Int64"}, {"a", "String"}}, 1);
  for (size_t n = 1; n < whole.size(); ++n) {
    on("IN (SELECT", whole.substr(0, n));
    target_admin uut{options, "p"};
    auto rows = uut.read(*table, {int64_key(1)}, {1});
    CAF_CHECK(!rows);
  }
}

CAF_TEST(clear writes tombstones below the version) {
  auto table = make_target("t", {{"b", "Int64"}, {"a", "String"}}, 2);
  target_admin uut{options, "p"};
  CAF_CHECK(uut.clear(*table, {7, 8}, {7, 8}, 1'000'000));
  auto sql = asked("INSERT INTO `d`.`t`");
  CAF_REQUIRE_EQUAL(sql.size(), 1u);
  CAF_CHECK_EQUAL(
    sql[0],
    "INSERT INTO `d`.`t` (`b`, `a`, _version, _deleted, _committed_at) SELECT "
    "`b`, `a`, bitOr(bitShiftLeft(toUInt128(7), 64), toUInt128(8)), 1, "
    "fromUnixTimestamp64Micro(toInt64(1000000), 'UTC') FROM `d`.`t` FINAL "
    "WHERE _version < bitOr(bitShiftLeft(toUInt128(7), 64), toUInt128(8))");
}

CAF_TEST(settings of the profile that change answers are undone) {
  on("system.settings", "final\nlimit\n");
  on("max(_version)", "77\n");
  auto table = make_target("t", {{"id", "Int64"}}, 1);
  target_admin uut{options, "p"};
  auto x = uut.highest_version(*table);
  CAF_REQUIRE(x);
  CAF_CHECK_EQUAL(x->value, 77u);
  CAF_CHECK(heads.back().find("final=0") != std::string::npos);
  CAF_CHECK(heads.back().find("limit=0") != std::string::npos);
  CAF_CHECK(heads.back().find("extremes") == std::string::npos);
}

CAF_TEST(a table that does not exist has no version) {
  on("max(_version)", "no such table", 60);
  auto table = make_target("t", {{"id", "Int64"}}, 1);
  target_admin uut{options, "p"};
  auto x = uut.highest_version(*table);
  CAF_REQUIRE(x);
  CAF_CHECK_EQUAL(x->value, 0u);
}

CAF_TEST(an existing table that does not fit is left alone) {
  on("FROM system.tables", "MergeTree\tMergeTree ORDER BY id\tid\n");
  on("FROM system.columns", "id\tString\t\t1\t0\n");
  auto table = make_target("t", {{"id", "Int64"}}, 1);
  target_admin uut{options, "p"};
  auto done = uut.ensure(*table);
  CAF_REQUIRE(!done);
  CAF_CHECK(done.error().code == ec::table_unsuitable);
  for (std::string part : {"\"t\"", "its engine is MergeTree",
                           "column \"id\" is String, wanted is Int64"})
    CAF_CHECK(done.error().text.find(part) != std::string::npos);
  CAF_CHECK(asked("ALTER").empty());
  CAF_CHECK(asked("CREATE").empty());
}

CAF_TEST(a table whose definition the server cannot tell is asked for again) {
  on("FROM system.tables", "\t\t\t\n");
  on("FROM system.columns", "id\tInt64\t\t1\t0\n");
  auto table = make_target("t", {{"id", "Int64"}}, 1);
  target_admin uut{options, "p"};
  auto done = uut.ensure(*table);
  CAF_REQUIRE(!done);
  CAF_CHECK(is_retriable(done.error().code));
  CAF_CHECK(asked("CREATE").empty());
}

CAF_TEST(limits are the widest that the server holds) {
  // As an old server shows the three lower and the three upper ends.
  on("format(RowBinary", "1900-01-01\t1900-01-01 00:00:00.000000\n"
                         "1900-01-01\t1900-01-01 00:00:00.000000\n"
                         "1925-01-01\t1925-01-01 00:00:00.000000\n"
                         "2299-12-31\t2299-12-31 23:59:59.999999\n"
                         "2299-12-31\t2299-12-31 23:59:59.999999\n"
                         "2283-11-11\t2283-11-12 23:59:59.999999\n");
  target_admin uut{options, "p"};
  auto x = uut.limits();
  CAF_REQUIRE(x);
  transform::server_limits expected;
  CAF_CHECK_EQUAL(x->date_min, expected.date_min);
  CAF_CHECK_EQUAL(x->date_max, expected.date_max);
  CAF_CHECK_EQUAL(x->timestamp_min, expected.timestamp_min);
  CAF_CHECK_EQUAL(x->timestamp_max, expected.timestamp_max);
}

CAF_TEST(the survey plans what is missing) {
  on("version()", "23.2.1.1\n");
  on("system.databases", "0\n");
  on("CHECK GRANT", "1\n");
  std::vector<std::string> plan;
  target_admin uut{options, "p"};
  auto x = uut.survey({make_target("t", {{"id", "Int64"}}, 1)}, plan);
  CAF_REQUIRE(x);
  CAF_CHECK(x->empty());
  CAF_REQUIRE_EQUAL(plan.size(), 4u);
  CAF_CHECK(asked("CREATE TABLE IF").empty());
}

CAF_TEST(the survey names what stands in the way) {
  on("version()", "22.8.1.1\n");
  on("system.databases", "0\n");
  on("CHECK GRANT", "0\n");
  on("SELECT 1", "Cannot modify setting in readonly mode", 164);
  options.engine = "ReplicatedReplacingMergeTree('/fixed/{shard}', '{r}')";
  std::vector<std::string> plan;
  target_admin uut{options, "p"};
  auto x = uut.survey({make_target("t", {{"id", "Int64"}}, 1)}, plan);
  CAF_REQUIRE(x);
  for (auto part :
       {"its version is 22.8.1.1", "user \"default\": it may only read",
        "GRANT CREATE DATABASE ON `d`.* TO `default`",
        "it lacks privileges on database \"d\": SELECT, INSERT",
        "[target] engine: its path is the same"})
    CAF_CHECK(find(*x, part) != nullptr);
  CAF_CHECK_EQUAL(x->size(), 7u);
}

CAF_TEST(the survey knows what looking rows up needs) {
  on("CHECK GRANT CREATE TEMPORARY TABLE ON *.*", "0\n");
  auto x = survey();
  CAF_REQUIRE_EQUAL(x.size(), 1u);
  CAF_CHECK(find(x, "GRANT CREATE TEMPORARY TABLE ON *.* TO `default`")
            != nullptr);
}

CAF_TEST(the survey knows users that were granted nothing but to read) {
  on("CHECK GRANT", "0\n");
  on("CHECK GRANT SELECT", "1\n");
  CAF_CHECK(find(survey(),
                 "it may only read: it lacks privileges on database \"d\": "
                 "INSERT")
            != nullptr);
}

CAF_TEST(the survey warns when old tombstones would stay) {
  on("version()", "26.7.1.1\n");
  on("system.databases", "1\n");
  on("CHECK GRANT", "1\n");
  on("CHECK GRANT ALTER DELETE", "0\n");
  std::vector<std::string> plan;
  auto what = [&] {
    target_admin uut{options, "p"};
    auto x = uut.survey({}, plan);
    CAF_REQUIRE(x);
    return *x;
  };
  auto xs = what();
  CAF_REQUIRE_EQUAL(xs.size(), 1u);
  CAF_CHECK(xs[0].warning);
  CAF_CHECK_EQUAL(xs[0].text, "it lacks privileges on database \"d\": ALTER "
                              "DELETE; old tombstones stay");
  options.tombstone_age = {};
  CAF_CHECK_EQUAL(what().size(), 0u);
}

CAF_TEST(what an existing table does to its rows is noticed) {
  on("FROM system.tables",
     "ReplacingMergeTree\tReplacingMergeTree(_version, _deleted) ORDER BY "
     "id\tid\tCREATE TABLE d.t (`id` Int64, `v` String TTL _committed_at + "
     "toIntervalDay(1)) ENGINE = ReplacingMergeTree(_version, _deleted)\n");
  on("FROM system.columns",
     "id\tInt64\t\t1\t0\nv\tString\t\t0\t0\n"
     "_version\tUInt128\t\t0\t0\n_deleted\tUInt8\t\t0\t0\n"
     "_committed_at\tDateTime64(6, \\'UTC\\')\t\t0\t0\n");
  auto table = make_target("t", {{"id", "Int64"}, {"v", "String"}}, 1);
  {
    on("FROM system.row_policies", "Not enough privileges", 497);
    target_admin uut{options, "p"};
    auto done = uut.ensure(*table);
    CAF_REQUIRE(!done);
    CAF_CHECK_NOT_EQUAL(
      done.error().text.find("column \"v\" has TTL _committed_at"),
      std::string::npos);
    CAF_CHECK_EQUAL(done.error().text.find("row policy"), std::string::npos);
  }
  on("FROM system.row_policies", "few\n");
  target_admin uut{options, "p"};
  auto done = uut.ensure(*table);
  CAF_REQUIRE(!done);
  CAF_CHECK_NOT_EQUAL(done.error().text.find("row policy \"few\""),
                      std::string::npos);
}

CAF_TEST(the survey knows users that may only read) {
  on("getSetting('readonly')", "2\n");
  auto x = survey();
  CAF_REQUIRE_EQUAL(x.size(), 1u);
  CAF_CHECK(x.front().code == ec::target_refused);
}

CAF_TEST(a server that cannot be asked is a failure of the survey) {
  on("version()", "wrong password", 516);
  std::vector<std::string> plan;
  target_admin uut{options, "p"};
  auto x = uut.survey({}, plan);
  CAF_REQUIRE(!x);
  CAF_CHECK(x.error().code == ec::target_refused);
}

CAF_TEST(older servers without check grant are taken at their word) {
  on("version()", "23.8.1.1\n");
  on("CHECK GRANT", "Syntax error", 62);
  CAF_CHECK(survey().empty());
}

CAF_TEST(inserts of an earlier run are ended and of no other pipeline) {
  target_admin uut{options, "shop"};
  CAF_CHECK(uut.end_inserts());
  auto kills = asked("KILL QUERY");
  CAF_REQUIRE_EQUAL(kills.size(), 1u);
  CAF_CHECK_EQUAL(kills[0],
                  "KILL QUERY WHERE startsWith(query_id, 'millrace/shop/') "
                  "SYNC FORMAT TabSeparated");
  auto prefix = target_admin::insert_prefix("shop");
  for (auto other : {"shop-2", "shop_2", "sho", "my-shop"})
    CAF_CHECK(target_admin::insert_prefix(other).find(prefix) != 0);
}

CAF_TEST(dead letters are written once for each change) {
  target_admin uut{options, "p"};
  CAF_CHECK(uut.write_dead_letters({}));
  CAF_CHECK(uut.write_dead_letters({{"public.t",
                                     operation::remove,
                                     {0x100000002, 3},
                                     4,
                                     "{\"before\":{}}",
                                     "{\"id\":1}",
                                     "bad"}}));
  auto bodies = asked("INSERT INTO `d`.`_dead_letters`");
  CAF_REQUIRE_EQUAL(bodies.size(), 1u);
  row_binary_reader in{
    std::string_view{bodies[0]}.substr(bodies[0].find('\n') + 1)};
  CAF_CHECK_EQUAL(std::string{in.string()}, "p");
  CAF_CHECK_EQUAL(std::string{in.string()}, "public.t");
  CAF_CHECK_EQUAL(std::string{in.string()}, to_string(operation::remove));
  CAF_CHECK_EQUAL(std::string{in.string()}, "1/2");
  CAF_CHECK_EQUAL(in.integer(8), 3u);
  CAF_CHECK_EQUAL(in.integer(8), 0x100000002u);
  CAF_CHECK_EQUAL(in.integer(8), 4u);
  CAF_CHECK_EQUAL(std::string{in.string()}, "{\"id\":1}");
  CAF_CHECK_EQUAL(std::string{in.string()}, "{\"before\":{}}");
  CAF_CHECK_EQUAL(std::string{in.string()}, "bad");
  CAF_CHECK(in.integer(8) > 1'600'000'000'000'000u);
  CAF_CHECK(in.at_end());
}

CAF_TEST(changes among the dead letters are found by key) {
  std::string answer;
  put_string(answer, "{\"id\":\"1\"}");
  put_integer(answer, uint64_t{7});
  put_integer(answer, uint64_t{200});
  put_varint(answer, 2);
  put_string(answer, "id");
  put_string(answer, "body");
  on("JSONExtractKeys", answer);
  target_admin uut{options, "p"};
  auto found = uut.refused(*make_target("t", {{"id", "Int32"}}, 1),
                           {"{\"id\":\"1\"}", "{\"id\":\"2\"}"});
  CAF_REQUIRE(found);
  CAF_REQUIRE_EQUAL(found->size(), 1u);
  const auto& change = found->at("{\"id\":\"1\"}").at(0);
  CAF_CHECK((change.at == version{200, 7}));
  CAF_CHECK_EQUAL(change.columns, (std::vector<std::string>{"id", "body"}));
  on("JSONExtractKeys", answer.substr(0, answer.size() - 1));
  CAF_CHECK(
    !uut.refused(*make_target("t", {{"id", "Int32"}}, 1), {"{\"id\":\"1\"}"}));
}

CAF_TEST(old dead letters are marked and not removed) {
  target_admin uut{options, "p"};
  auto table = make_target("t", {{"id", "Int32"}}, 1);
  CAF_CHECK(uut.supersede_letters(*table, {200, 0}));
  CAF_CHECK(asked("INSERT INTO").empty());
  on("SELECT 1 FROM `d`.`_dead_letters`", "1\n");
  CAF_CHECK(uut.supersede_letters(*table, {200, 0}));
  auto statements = asked("INSERT INTO `d`.`_dead_letters`");
  CAF_REQUIRE_EQUAL(statements.size(), 1u);
  for (auto part :
       {"'superseded', revision + 1, 1", " FINAL WHERE pipeline = 'p'",
        "version < bitOr(bitShiftLeft(toUInt128(200), 64)"})
    CAF_CHECK_NOT_EQUAL(statements[0].find(part), std::string::npos);
  on("SELECT count() FROM `d`.`_dead_letters` FINAL", "12\n");
  CAF_CHECK_EQUAL(uut.open_letters("public.t").value_or(0), 12u);
}

CAF_TEST(a table without dead letters is known) {
  target_admin uut{options, "p"};
  CAF_CHECK_EQUAL(uut.has_dead_letters("public.t").value_or(true), false);
  on("SELECT 1 FROM `d`.`_dead_letters` WHERE pipeline = 'p' AND `table` = "
     "'public.t'",
     "1\n");
  CAF_CHECK_EQUAL(uut.has_dead_letters("public.t").value_or(false), true);
}

CAF_TEST_FIXTURE_SCOPE_END()
