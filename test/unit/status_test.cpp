#define CAF_SUITE status

#include "actors/metrics.hpp"
#include "app/endpoint.hpp"
#include "app/status.hpp"
#include "http/server.hpp"

#include <caf/test/dsl.hpp>

#include <sstream>

using namespace millrace;
using namespace std::literals;

namespace {

/// A port that was free a moment ago.
uint16_t free_port() {
  http::server probe;
  http::server_options options;
  CAF_REQUIRE(probe.bind(options));
  return probe.port();
}

struct fixture {
  fixture() : xs(std::make_shared<metrics>("shop", "0.1.0")) {
    config.http.port = free_port();
    config.limits.ready_lag = 60s;
    xs->set_state(pipeline_state::streaming);
    xs->beat();
  }

  int ask(bool json = false) {
    out.str({});
    err.str({});
    return status(config, json, out, err);
  }

  bool shows(const std::string& text) {
    return out.str().find(text) != std::string::npos;
  }

  std::shared_ptr<metrics> xs;
  configuration config;
  std::ostringstream out;
  std::ostringstream err;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(status_tests, fixture)

CAF_TEST(shows what a running node does) {
  auto table = xs->table("public.orders");
  table->events[0].add(1'234'567);
  table->snapshot_planned(1000, 4, 0, 0);
  table->note("inserts only");
  xs->table("public.other");
  xs->confirmed_position.set(0x16'B374'D848);
  xs->set_slot({3 << 20, true, "reserved"});
  endpoint node{xs, config.limits.ready_lag};
  CAF_REQUIRE(node.start(config.http));
  CAF_CHECK_EQUAL(ask(), 0);
  CAF_CHECK_EQUAL(err.str(), "");
  CAF_CHECK(shows("pipeline shop, millrace 0.1.0"));
  CAF_CHECK(shows("state     streaming\n"));
  CAF_CHECK(shows("confirmed 16/B374D848\n"));
  CAF_CHECK(shows("slot      active, holds back 3.0 MiB, reserved\n"));
  CAF_CHECK(shows("public.orders  1,234,567"));
  CAF_CHECK(shows("waiting 0 of about 1,000"));
  CAF_CHECK(shows("note: public.orders: inserts only\n"));
  CAF_CHECK_EQUAL(ask(true), 0);
  CAF_CHECK_EQUAL(out.str().substr(0, 20), "{\"pipeline\":\"shop\",\"");
}

CAF_TEST(exit code 1 with the reasons when the node is not ready) {
  xs->waits("target", "connection refused");
  xs->table("public.orders")->quarantine("column a changed");
  xs->set_error("insert failed");
  endpoint node{xs, config.limits.ready_lag};
  CAF_REQUIRE(node.start(config.http));
  CAF_CHECK_EQUAL(ask(), 1);
  CAF_CHECK(shows("state     waiting for target: connection refused\n"));
  CAF_CHECK(shows("not ready table public.orders is quarantined: column a "
                  "changed\n"));
  CAF_CHECK(shows("QUARANTINED\n"));
  CAF_CHECK(shows(": insert failed\n"));
  CAF_CHECK_EQUAL(ask(true), 1);
}

CAF_TEST(exit code 1 without an answer) {
  CAF_CHECK_EQUAL(ask(), 1);
  CAF_CHECK_EQUAL(out.str(), "");
  CAF_CHECK(err.str().find("no answer from http://127.0.0.1:")
            != std::string::npos);
}

CAF_TEST(exit code 1 when somebody else answers) {
  http::server other;
  http::server_options options;
  options.port = config.http.port;
  CAF_REQUIRE(other.bind(options));
  other.start([](const http::call& x) { x.out.send("[1]"); });
  CAF_CHECK_EQUAL(ask(), 1);
  CAF_CHECK_EQUAL(out.str(), "");
  CAF_CHECK(err.str().find("not the status of a node") != std::string::npos);
  CAF_CHECK_EQUAL(ask(true), 1);
  other.stop(1s);
}

CAF_TEST(a status with unknown shape is refused) {
  for (auto text : {"", "{", "[]", "{}", "{\"pipeline\": 1, \"version\": {}}"})
    CAF_CHECK(!render_status(text));
  CAF_CHECK(render_status(to_json(*xs, 1s)));
}

CAF_TEST(the endpoint has a page for each path) {
  auto get = [this](const char* path) { return make_page(path, *xs, 60s); };
  CAF_CHECK_EQUAL(get("/healthz").status, 200u);
  CAF_CHECK_EQUAL(get("/healthz").body, "ok\n");
  CAF_CHECK_EQUAL(get("/readyz").status, 200u);
  CAF_CHECK_EQUAL(get("/nope").status, 404u);
  CAF_CHECK_EQUAL(get("/").type, "text/html; charset=utf-8");
  CAF_CHECK_EQUAL(get("/metrics").type,
                  "text/plain; version=0.0.4; charset=utf-8");
  xs->waits("source", "connection refused");
  CAF_CHECK_EQUAL(get("/healthz").status, 200u);
  CAF_CHECK_EQUAL(get("/readyz").status, 503u);
  CAF_CHECK_EQUAL(get("/readyz").body,
                  "waiting for source: connection refused\n");
  xs->set_state(pipeline_state::failed, "slot lost");
  CAF_CHECK_EQUAL(get("/healthz").status, 503u);
}

CAF_TEST(a taken port is one clear line) {
  endpoint first{xs, 60s};
  CAF_REQUIRE(first.start(config.http));
  endpoint second{xs, 60s};
  auto x = second.start(config.http);
  CAF_REQUIRE(!x);
  CAF_CHECK(x.error().code == ec::local_failure);
  CAF_CHECK(x.error().text.find(to_string(config.http)) != std::string::npos);
  CAF_CHECK(x.error().text.find("http.listen") != std::string::npos);
  CAF_CHECK_EQUAL(x.error().text.find('\n'), std::string::npos);
}

CAF_TEST_FIXTURE_SCOPE_END()
