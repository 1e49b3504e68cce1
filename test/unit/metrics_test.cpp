#define CAF_SUITE metrics

#include "actors/metrics.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <caf/test/dsl.hpp>

#include <set>
#include <sstream>

using namespace millrace;
using namespace std::literals;

namespace {

constexpr int64_t second = 1'000'000;

struct fixture {
  fixture() : xs("shop", "0.1.0") {
    xs.set_state(pipeline_state::streaming);
    xs.beat();
  }

  /// What speaks against readiness, in one line.
  std::string against() const {
    std::string result;
    for (const auto& x : ready(xs, 60s).reasons)
      result += (result.empty() ? "" : "; ") + x;
    return result;
  }

  bool prometheus_has(const std::string& line) const {
    return ("\n" + to_prometheus(xs)).find("\n" + line + "\n")
           != std::string::npos;
  }

  /// Valid until the next call: CAF_CHECK_EQUAL keeps references.
  const boost::json::value& json() {
    parsed = boost::json::parse(to_json(xs, 60s));
    return parsed;
  }

  metrics xs;
  boost::json::value parsed;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(metrics_tests, fixture)

CAF_TEST(a table is one object whoever asks for it) {
  auto a = xs.table("public.orders");
  CAF_CHECK_EQUAL(a, xs.table("public.orders"));
  CAF_CHECK_NOT_EQUAL(a, xs.table("public.items"));
}

CAF_TEST(counts events by table and operation) {
  xs.table("public.orders")->events[1].add(3);
  CAF_CHECK(prometheus_has("cdc_events_processed_total{table=\"public.orders\","
                           "operation=\"update\"} 3"));
  CAF_CHECK(prometheus_has("cdc_events_processed_total{table=\"public.orders\","
                           "operation=\"insert\"} 0"));
  CAF_CHECK_EQUAL(
    json().at("tables").at(0).at("events").at("update").as_int64(), 3);
}

CAF_TEST(histograms are cumulative and end with infinity) {
  auto x = xs.flow("public.orders");
  x->observe(0.00001);
  x->observe(0.02);
  x->observe(1000);
  auto head = "transformation_duration_seconds_bucket{flow=\"public.orders\","s;
  CAF_CHECK(prometheus_has(head + "le=\"1e-05\"} 1"));
  CAF_CHECK(prometheus_has(head + "le=\"0.03\"} 2"));
  CAF_CHECK(prometheus_has(head + "le=\"10\"} 2"));
  CAF_CHECK(prometheus_has(head + "le=\"+Inf\"} 3"));
  CAF_CHECK(prometheus_has(
    "transformation_duration_seconds_count{flow=\"public.orders\"} 3"));
}

CAF_TEST(quantiles lie inside their bucket) {
  histogram x{1, 2, 4};
  CAF_CHECK_EQUAL(x.look().quantile(0.5), 0.0);
  for (int i = 0; i < 10; ++i)
    x.observe(1.5);
  CAF_CHECK_EQUAL(x.look().quantile(0.5), 1.5);
  CAF_CHECK_EQUAL(x.look().quantile(1.0), 2.0);
  x.observe(100);
  CAF_CHECK_EQUAL(x.look().quantile(1.0), 4.0);
}

CAF_TEST(every family has help and type and is written once) {
  xs.table("public.orders")->saturated("d", 1);
  xs.flow("public.orders");
  xs.set_slot({10, true, "reserved"});
  std::istringstream in{to_prometheus(xs)};
  std::set<std::string> families;
  std::string helped;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("# HELP ", 0) == 0) {
      helped = line.substr(7, line.find(' ', 7) - 7);
      CAF_CHECK(families.insert(helped).second);
    } else if (line.rfind("# TYPE ", 0) == 0) {
      CAF_CHECK_EQUAL(line.substr(7, helped.size()), helped);
    } else {
      CAF_CHECK_EQUAL(line.substr(0, helped.size()), helped);
    }
  }
  CAF_CHECK(families.count("enrichment_errors_total") == 1);
  CAF_CHECK(families.count("millrace_values_saturated_total") == 1);
}

CAF_TEST(label values are escaped) {
  xs.table("public.a\"b\\c\nd")->inserts.add();
  CAF_CHECK(prometheus_has(
    "millrace_inserts_total{table=\"public.a\\\"b\\\\c\\nd\"} 1"));
}

CAF_TEST(lag is the age of the oldest change that is not durable) {
  auto x = xs.table("public.orders");
  CAF_CHECK_EQUAL(x->look(100 * second).lag_seconds, 0.0);
  x->received({10}, 90 * second);
  x->received({20}, 95 * second);
  CAF_CHECK_EQUAL(x->look(100 * second).lag_seconds, 10.0);
  x->durable({10}, 90 * second);
  CAF_CHECK_EQUAL(x->look(100 * second).lag_seconds, 10.0);
  x->durable({20}, 95 * second);
  CAF_CHECK_EQUAL(x->look(100 * second).lag_seconds, 0.0);
}

CAF_TEST(positions of a table never go back) {
  auto x = xs.table("public.orders");
  x->durable({20}, 1);
  x->durable({10}, 2);
  CAF_CHECK_EQUAL(x->look(0).durable.value, 20u);
  CAF_CHECK_EQUAL(x->look(0).durable_commit, 1);
}

CAF_TEST(a resumed snapshot counts what was durable but not for its rate) {
  auto x = xs.table("public.orders");
  x->snapshot_planned(1000, 10, 4, 400);
  x->snapshot_reading();
  x->snapshot_chunk(100);
  auto view = x->look(x->look(0).started + 2 * second);
  CAF_CHECK_EQUAL(view.rows, 500u);
  CAF_CHECK_EQUAL(view.chunks_durable, 5u);
  CAF_CHECK_EQUAL(view.rows_per_second, 50.0);
  CAF_CHECK_EQUAL(view.seconds_left, 10.0);
  auto left = [this] {
    return json().at("tables").at(0).at("snapshot").at("seconds_left");
  };
  // There is no rate within the first microsecond.
  while (now_microseconds() <= x->look(0).started)
    ;
  CAF_CHECK(left().is_number());
  constexpr const char* series
    = "\nmillrace_snapshot_left_seconds{table=\"public.orders\"} ";
  CAF_CHECK(to_prometheus(xs).find(series) != std::string::npos);
  x->snapshot_done();
  CAF_CHECK(left().is_null());
  CAF_CHECK(to_prometheus(xs).find(series) == std::string::npos);
  CAF_CHECK(x->look(0).phase == snapshot_phase::done);
}

CAF_TEST(the chunks tell the time left of a table without estimate) {
  auto x = xs.table("public.orders");
  x->snapshot_planned(0, 10, 0, 0);
  x->snapshot_reading();
  x->snapshot_chunk(100);
  x->snapshot_chunk(100);
  auto view = x->look(x->look(0).started + 2 * second);
  CAF_CHECK_EQUAL(view.rows_per_second, 100.0);
  CAF_CHECK_EQUAL(view.seconds_left, 8.0);
}

CAF_TEST(ready while streaming and without lag) {
  CAF_CHECK(healthy(xs).ok);
  CAF_CHECK(ready(xs, 60s).ok);
  xs.set_state(pipeline_state::snapshotting);
  CAF_CHECK(ready(xs, 60s).ok);
}

CAF_TEST(not ready at start and while something is waited for) {
  metrics fresh{"shop", "0"};
  CAF_CHECK(healthy(fresh).ok);
  CAF_CHECK(!ready(fresh, 60s).ok);
  xs.waits("public.later", "does not exist yet");
  CAF_CHECK(ready(xs, 60s).ok);
  xs.waits("target", "connection refused");
  CAF_CHECK(healthy(xs).ok);
  CAF_CHECK_EQUAL(against(), "waiting for target: connection refused");
  xs.resumes("target");
  CAF_CHECK(ready(xs, 60s).ok);
}

CAF_TEST(not ready behind the limit) {
  auto now = now_microseconds();
  xs.oldest_pending_commit.set(now - 61 * second);
  CAF_CHECK(!ready(xs, 60s, now).ok);
  CAF_CHECK(healthy(xs, now).ok);
  xs.oldest_pending_commit.set(now - 59 * second);
  CAF_CHECK(ready(xs, 60s, now).ok);
}

CAF_TEST(not ready with a quarantined table or a slot about to be lost) {
  auto x = xs.table("public.orders");
  x->quarantine("column a: int to text");
  CAF_CHECK_EQUAL(against(),
                  "table public.orders is quarantined: column a: int to text");
  CAF_CHECK(
    prometheus_has("millrace_table_quarantined{table=\"public.orders\"} 1"));
  x->quarantine({});
  CAF_CHECK(ready(xs, 60s).ok);
  xs.set_slot({1, true, "unreserved"});
  CAF_CHECK(!ready(xs, 60s).ok);
}

CAF_TEST(not healthy when failed or hanging) {
  CAF_CHECK(healthy(xs, now_microseconds() + 59 * second).ok);
  CAF_CHECK(!healthy(xs, now_microseconds() + 62 * second).ok);
  xs.set_state(pipeline_state::failed, "slot \"shop\" is lost");
  CAF_CHECK_EQUAL(against(), "failed: slot \"shop\" is lost");
}

CAF_TEST(positions are printed as PostgreSQL does) {
  xs.confirmed_position.set(0x16'B374'D848);
  xs.server_position.set(0x16'B374'D858);
  CAF_CHECK_EQUAL(json().at("positions").at("confirmed").as_string().c_str(),
                  "16/B374D848"s);
  CAF_CHECK_EQUAL(json().at("lag_bytes").to_number<int64_t>(), 16);
  CAF_CHECK(json().at("positions").at("durable").is_null());
}

CAF_TEST_FIXTURE_SCOPE_END()
