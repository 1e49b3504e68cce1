#define CAF_SUITE target_agent

#include "actors/target_agent.hpp"
#include "clickhouse/row_binary.hpp"
#include "test/unit/fake_actors.hpp"
#include "test/unit/fake_clickhouse.hpp"
#include "test/unit/fake_tables.hpp"
#include "test/unit/has.hpp"
#include "test/unit/table_fixture.hpp"

using namespace millrace;
using namespace millrace::test;
using clickhouse::put_integer;
using clickhouse::put_string;

namespace {

constexpr const char* as_made
  = "ReplacingMergeTree\tReplacingMergeTree(_version, _deleted) ORDER BY "
    "id\tid\tCREATE TABLE d.t (`id` Int64) ENGINE = ReplacingMergeTree("
    "_version, _deleted)\n";

std::string key_of(int64_t x) {
  std::string result;
  put_integer(result, x);
  return result;
}

struct fixture : peers_fixture {
  fixture() : limits(std::make_shared<transform::server_limits>()) {
    context.nap = [this](auto time) {
      slept += time;
      if (wake)
        wake();
    };
    target.on("format(RowBinary", "1900-01-01\t1900-01-01 00:00:00.000000\n"
                                  "1900-01-01\t1900-01-01 00:00:00.000000\n"
                                  "1900-01-01\t1900-01-01 00:00:00.000000\n"
                                  "2299-12-31\t2299-12-31 23:59:59.999999\n"
                                  "2299-12-31\t2299-12-31 23:59:59.999999\n"
                                  "2299-12-31\t2299-12-31 23:59:59.999999\n");
    target.on("FROM system.tables", as_made);
    target.on("FROM system.columns",
              "id\tInt64\t\t1\t0\n_version\tUInt128\t\t0\t0\n"
              "_deleted\tUInt8\t\t0\t0\n"
              "_committed_at\tDateTime64(6, \\'UTC\\')\t\t0\t0\n");
    target.on("'_dead_letters'", "1\n");
    target.on("'_millrace_state'", "1\n");
    target.on("system.databases", "1\n");
  }

  // The server ends after the connections to it.
  ~fixture() {
    stop(hdl);
  }

  void start(uint64_t max_letters = 100) {
    hdl = own(sys.spawn(target_agent, context, target.options,
                        transform::mapping_options{}, limits, max_letters));
    end = watch_end(hdl);
  }

  target_table_ptr named(std::string source, std::string name) {
    auto x = std::make_shared<target_table>(
      *make_target(std::move(name), {{"id", "Int64"}}, 1));
    auto from = std::make_shared<table_description>(*x->source);
    from->name = std::move(source);
    x->source = std::move(from);
    return x;
  }

  /// What an ack's request brought: "" or the failure.
  template <class... Ts>
  std::string order(Ts... xs) {
    auto x = ask<atom::ack>(hdl, xs...);
    CAF_CHECK(!x->pending());
    return x->error;
  }

  std::string ensure(std::string source, std::string name = "t") {
    return order(atom::ensure_v, named(std::move(source), std::move(name)));
  }

  std::string put_aside(size_t n, const std::string& table = "public.t") {
    std::vector<dead_letter> xs(n);
    for (auto& x : xs) {
      x.table = table;
      x.key = "{}";
      x.error = "because";
    }
    return order(dead_letters_ptr{
      std::make_shared<std::vector<dead_letter>>(std::move(xs))});
  }

  stored_query_ptr query(bool has_letters = false) {
    auto x = std::make_shared<stored_query>();
    x->table = named("t", "t");
    x->keys = {key_of(1), key_of(2)};
    x->key_texts = {"{\"id\":\"1\"}", "{\"id\":\"2\"}"};
    x->has_letters = has_letters;
    return x;
  }

  /// Whether it shows what the target is waited for.
  bool waiting() const {
    auto xs = context.numbers->look(now_microseconds()).waits;
    auto i = xs.find("target");
    return i != xs.end() && has(i->second.why, "too many parts");
  }

  fake_clickhouse target;
  std::shared_ptr<transform::server_limits> limits;
  target_agent_actor hdl;
  std::shared_ptr<std::string> end;
  std::chrono::milliseconds slept{0};
  std::function<void()> wake;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(target_agent_tests, fixture)

CAF_TEST(loading prepares the target and ends what an earlier run left) {
  target.on("_millrace_state` FINAL", "table\tpublic.t\t{}\t4294967297\n");
  target.on("1900", ""); // not asked
  start();
  auto x = ask<state_map_ptr>(hdl, atom::load_v);
  CAF_REQUIRE(x->answered());
  CAF_CHECK_EQUAL((*x->value)->size(), 1u);
  CAF_REQUIRE_EQUAL(target.asked("KILL QUERY").size(), 1u);
  CAF_CHECK(has(target.asked("KILL QUERY")[0], "'millrace/test/'"));
  CAF_MESSAGE("in this order: what was left must not appear after the look");
  size_t kill = 0;
  size_t look = 0;
  for (size_t i = 0; i < target.bodies.size(); ++i) {
    if (target.bodies[i].find("KILL QUERY") == 0)
      kill = i;
    if (target.bodies[i].find("_millrace_state` FINAL") != std::string::npos)
      look = i;
  }
  CAF_CHECK(kill < look);
}

CAF_TEST(what the server can hold is told when the state is loaded) {
  transform::server_limits narrow;
  narrow.date_min = narrow.date_max = 0;
  *limits = narrow;
  start();
  CAF_REQUIRE(ask<state_map_ptr>(hdl, atom::load_v)->answered());
  CAF_CHECK_EQUAL(limits->date_min, transform::server_limits{}.date_min);
  CAF_CHECK_EQUAL(limits->date_max, transform::server_limits{}.date_max);
}

CAF_TEST(looking makes nothing) {
  target.on("_millrace_state` FINAL", "no such table", 60);
  start();
  auto x = ask<state_map_ptr>(hdl, atom::read_v);
  CAF_REQUIRE(x->answered());
  CAF_CHECK((*x->value)->empty());
  CAF_CHECK(target.asked("CREATE").empty());
  CAF_CHECK(target.asked("KILL").empty());
}

CAF_TEST(state is saved before the answer) {
  start();
  state_map entries{{{"table", "public.t"}, "{}"}};
  CAF_CHECK_EQUAL(order(atom::save_v,
                        state_map_ptr{std::make_shared<state_map>(entries)}),
                  "");
  CAF_CHECK_EQUAL(target.asked("INSERT INTO `d`.`_millrace_state`").size(), 1u);
}

CAF_TEST(each step of loading can fail for good) {
  for (std::string part : {"system.databases", "KILL QUERY", "format(RowBinary",
                           "_millrace_state` FINAL"}) {
    fake_clickhouse sick;
    sick.rules = target.rules;
    sick.on(part, "not for you", 497);
    hdl = own(sys.spawn(target_agent, context, sick.options,
                        transform::mapping_options{}, limits, 1));
    auto x = ask<state_map_ptr>(hdl, atom::load_v);
    CAF_MESSAGE(part << ": " << x->error);
    CAF_CHECK(has(x->error, "target_refused"));
    CAF_CHECK(has(x->error, "not for you"));
    stop(hdl);
  }
}

CAF_TEST(a target that is away is waited for and seen waiting) {
  target.on("INSERT INTO `d`.`_millrace_state`", "too many parts", 252);
  int naps = 0;
  wake = [&] {
    ++naps;
    CAF_CHECK(waiting());
    if (slept > std::chrono::seconds{30})
      target.on("INSERT INTO `d`.`_millrace_state`", "");
  };
  start();
  state_map entries{{{"a", "b"}, "c"}};
  CAF_CHECK_EQUAL(order(atom::save_v,
                        state_map_ptr{std::make_shared<state_map>(entries)}),
                  "");
  CAF_CHECK(naps > 0);
  CAF_MESSAGE("the pauses grow, to ten seconds");
  auto tries = target.asked("INSERT INTO `d`.`_millrace_state`").size();
  CAF_CHECK(tries > 6 && tries < 15);
  CAF_CHECK(!waiting());
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a stop ends the wait) {
  target.on("INSERT", "too many parts", 252);
  wake = [&] { context.stop->store(true); };
  start();
  state_map entries{{{"a", "b"}, "c"}};
  CAF_CHECK(has(order(atom::save_v,
                      state_map_ptr{std::make_shared<state_map>(entries)}),
                "stopped"));
  CAF_CHECK(slept <= std::chrono::seconds{1});
}

CAF_TEST(two tables never meet in one target table) {
  start();
  CAF_CHECK_EQUAL(ensure("t"), "");
  CAF_CHECK_EQUAL(ensure("t"), "");
  auto why = ensure("other");
  CAF_CHECK(has(why, "table_unsuitable"));
  CAF_CHECK(has(why, "public.t and public.other would meet in target table "
                     "\"t\""));
  CAF_MESSAGE("whether or not the first one could be made");
  target.on("FROM system.columns", "id\tString\t\t1\t0\n");
  CAF_CHECK(has(ensure("a", "x"), "wanted is Int64"));
  CAF_CHECK(has(ensure("b", "x"), "would meet"));
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a table that does not fit fails alone) {
  target.on("FROM system.columns", "id\tString\t\t1\t0\n");
  start();
  CAF_CHECK(has(ensure("t"), "table_unsuitable"));
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(tombstones come before the dead letters of before are let go) {
  target.on("SELECT 1 FROM `d`.`_dead_letters`", "1\n");
  start();
  clear_request x{named("t", "t"), {10, 0}, {9, 0}, 1};
  CAF_CHECK_EQUAL(order(atom::clear_v,
                        clear_request_ptr{std::make_shared<clear_request>(x)}),
                  "");
  auto orders = target.asked("INSERT INTO");
  CAF_REQUIRE_EQUAL(orders.size(), 2u);
  CAF_CHECK(has(orders[0], "INSERT INTO `d`.`t`"));
  CAF_CHECK(has(orders[1], "superseded"));
  CAF_MESSAGE("not before they are durable");
  target.on("INSERT INTO `d`.`t`", "disk full", 497);
  CAF_CHECK(has(order(atom::clear_v,
                      clear_request_ptr{std::make_shared<clear_request>(x)}),
                "disk full"));
  CAF_CHECK_EQUAL(target.asked("superseded").size(), 1u);
}

CAF_TEST(dead letters are stored up to the limit and then the table goes) {
  start(5);
  CAF_CHECK_EQUAL(put_aside(3), "");
  CAF_CHECK_EQUAL(put_aside(2), "");
  CAF_CHECK_EQUAL(target.asked("count()").size(), 1u);
  target.on("count()", "5\n");
  auto why = put_aside(2);
  CAF_CHECK(has(why, "table_unsuitable"));
  CAF_CHECK(has(why, "max-dead-letters = 5"));
  CAF_CHECK(has(why, "the last one because: because"));
  CAF_MESSAGE("nothing was stored beyond it");
  CAF_CHECK_EQUAL(target.asked("INSERT INTO `d`.`_dead_letters`").size(), 2u);
  CAF_MESSAGE("each table has a count of its own");
  target.on("public.u", "0\n");
  CAF_CHECK_EQUAL(put_aside(5, "public.u"), "");
  CAF_MESSAGE("the user may have dealt with some");
  target.on("count()", "1\n");
  CAF_CHECK_EQUAL(put_aside(4), "");
}

CAF_TEST(what an earlier run left open counts) {
  target.on("count()", "4\n");
  start(5);
  CAF_CHECK(has(put_aside(2), "table_unsuitable"));
  CAF_MESSAGE("the one that has room is stored");
  CAF_CHECK_EQUAL(target.asked("INSERT INTO `d`.`_dead_letters`").size(), 1u);
}

CAF_TEST(nothing is stored of an empty list) {
  start();
  CAF_CHECK_EQUAL(put_aside(0), "");
  CAF_CHECK(target.bodies.empty());
}

CAF_TEST(rows carry what was put aside of them) {
  std::string rows = key_of(1);
  put_integer(rows, uint64_t{6});
  put_integer(rows, uint64_t{5});
  rows += '\0';
  target.on("IN (SELECT", rows);
  std::string refused;
  put_string(refused, "{\"id\":\"1\"}");
  put_integer(refused, uint64_t{7});
  put_integer(refused, uint64_t{200});
  clickhouse::put_varint(refused, 1);
  put_string(refused, "id");
  target.on("JSONExtractKeys", refused);
  start();
  auto read = [&](bool has_letters) {
    auto x = ask<stored_rows_ptr>(hdl, atom::read_v, query(has_letters));
    CAF_REQUIRE(x->answered());
    CAF_REQUIRE_EQUAL((*x->value)->size(), 1u);
    return (*x->value)->begin()->second;
  };
  CAF_MESSAGE("a table without any does not pay, and is asked once");
  CAF_CHECK(read(false).refused.empty());
  CAF_CHECK(read(false).refused.empty());
  CAF_CHECK_EQUAL(target.asked("SELECT 1 FROM `d`.`_dead_letters`").size(), 1u);
  CAF_CHECK(target.asked("JSONExtractKeys").empty());
  CAF_MESSAGE("those of this run");
  auto row = read(true);
  CAF_REQUIRE_EQUAL(row.refused.size(), 1u);
  CAF_CHECK((row.refused[0].at == version{200, 7}));
  CAF_MESSAGE("those of runs before");
  stop(hdl);
  target.on("SELECT 1 FROM `d`.`_dead_letters`", "1\n");
  start();
  CAF_CHECK_EQUAL(read(false).refused.size(), 1u);
}

CAF_TEST(rows are not given out when it cannot be seen what was put aside) {
  std::string rows = key_of(1);
  put_integer(rows, uint64_t{6});
  put_integer(rows, uint64_t{5});
  rows += '\0';
  target.on("IN (SELECT", rows);
  target.on("_dead_letters", "not for you", 497);
  start();
  CAF_CHECK(has(ask<stored_rows_ptr>(hdl, atom::read_v, query(false))->error,
                "not for you"));
  CAF_CHECK(has(ask<stored_rows_ptr>(hdl, atom::read_v, query(true))->error,
                "not for you"));
  target.on("IN (SELECT", "not for you", 497);
  CAF_CHECK(has(ask<stored_rows_ptr>(hdl, atom::read_v, query())->error,
                "not for you"));
}

CAF_TEST(the highest position of what the target holds) {
  target.on("`a`", "70\n");
  target.on("`b`", "90\n");
  start();
  auto a = table("a", {column("id", value_kind::int8, false, 0)});
  auto b = table("b", {column("id", value_kind::int8, false, 0)});
  // One that cannot be mapped holds nothing.
  auto c = table("c", {column("_version", value_kind::int8, false, 0)});
  table_list_ptr all = std::make_shared<std::vector<table_description_ptr>>(
    std::vector<table_description_ptr>{a, b, c});
  auto x = ask<lsn>(hdl, atom::position_v, all);
  CAF_REQUIRE(x->answered());
  CAF_CHECK(*x->value == lsn{90});
  target.on("`b`", "not for you", 497);
  CAF_CHECK(has(ask<lsn>(hdl, atom::position_v, all)->error, "not for you"));
}

CAF_TEST_FIXTURE_SCOPE_END()
