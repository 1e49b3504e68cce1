#define CAF_SUITE check

#include "app/check.hpp"

#include <caf/test/dsl.hpp>

#include <sstream>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>

using namespace millrace;

namespace {

/// A port that nobody listens on as long as it lives: bound only.
class silent_port {
public:
  silent_port() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    CAF_REQUIRE_EQUAL(bind(fd_, raw, size), 0);
    CAF_REQUIRE_EQUAL(getsockname(fd_, raw, &size), 0);
    text = std::to_string(ntohs(address.sin_port));
  }

  ~silent_port() {
    close(fd_);
  }

  std::string text;

private:
  int fd_;
};

target_table_ptr orders() {
  auto source = std::make_shared<table_description>();
  source->schema = "sales";
  source->name = "orders";
  column_description id;
  id.name = "id";
  id.type.name = "bigint";
  id.nullable = false;
  id.key_position = 0;
  column_description note;
  note.name = "a.note";
  note.type.name = "text";
  source->columns = {id, note};
  auto result = std::make_shared<target_table>();
  result->name = "sales_orders";
  result->source = source;
  result->columns.resize(2);
  result->columns[0].name = "id";
  result->columns[0].type = "Int64";
  result->columns[1].name = "a_note";
  result->columns[1].type = "Nullable(String)";
  result->columns[1].source = 1;
  result->order_by = {0};
  return result;
}

struct fixture {
  fixture() {
    config.file = "m.conf";
    config.pipeline = "shop";
    x.source_answers = x.target_answers = true;
  }

  std::string report() {
    std::ostringstream out;
    print(out, config, x);
    return out.str();
  }

  bool shows(const std::string& text) {
    return report().find(text) != std::string::npos;
  }

  configuration config;
  preflight x;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(check_tests, fixture)

CAF_TEST(shows where each column goes) {
  x.tables.push_back(orders());
  x.remarks.push_back({"dates may be saturated"});
  CAF_CHECK(shows("1 table\n"
                  "  sales.orders -> millrace.sales_orders, key id\n"
                  "    id      bigint not null -> Int64\n"
                  "    a_note  text -> Nullable(String) (source column "
                  "\"a.note\")\n"
                  "    note: dates may be saturated\n"));
}

CAF_TEST(shows the plan or that nothing is left to do) {
  CAF_CHECK(shows("plan of millrace run\n  everything is there\n"));
  x.plan = {"source: CREATE PUBLICATION p"};
  CAF_CHECK(shows("plan of millrace run\n  source: CREATE PUBLICATION p\n\n"));
  x.target_answers = false;
  CAF_CHECK(shows("  not known, because a server does not answer\n"));
}

CAF_TEST(errors come before warnings and only they count) {
  CAF_CHECK(shows("\nready\n"));
  x.findings.push_back({ec::none, true, "public.t", "no key", "add one"});
  CAF_CHECK(shows("problems\n  warning: public.t: no key\n    do: add one\n"));
  CAF_CHECK(shows("\nready, 1 warning\n"));
  x.findings.push_back(
    {ec::source_unsuitable, false, "wal_level", "it is 'replica'", ""});
  CAF_CHECK(shows("problems\n  error: wal_level: it is 'replica'\n  warning:"));
  CAF_CHECK(shows("\nnot ready: 1 error, 1 warning\n"));
  CAF_CHECK_EQUAL(x.errors(), 1u);
}

CAF_TEST(servers that are away are two errors and nothing more) {
  silent_port source;
  silent_port target;
  config.source.uri = "postgresql://u@127.0.0.1:" + source.text + "/d";
  config.source.password = "s3cr3t";
  config.source.publication = config.source.slot = "millrace_shop";
  config.target.url = "http://127.0.0.1:" + target.text;
  config.target.password = "s3cr3t";
  config.mapping.columns["public.t.c"].type = "String";
  x = look_before_start(config);
  CAF_REQUIRE_EQUAL(x.findings.size(), 2u);
  CAF_CHECK(x.findings[0].code == ec::source_unavailable);
  CAF_CHECK(x.findings[1].code == ec::target_unavailable);
  CAF_CHECK(!x.source_answers && !x.target_answers);
  CAF_CHECK(shows(source.text));
  CAF_CHECK(shows(target.text));
  CAF_CHECK(!shows("s3cr3t"));
  std::ostringstream out;
  CAF_CHECK_EQUAL(check(config, out), 1);
}

CAF_TEST_FIXTURE_SCOPE_END()
