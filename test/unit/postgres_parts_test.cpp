#define CAF_SUITE postgres_parts

#include "postgres/catalogue.hpp"
#include "postgres/connection.hpp"
#include "postgres/pacing.hpp"
#include "postgres/patterns.hpp"
#include "test/unit/fixture.hpp"

#include <unistd.h>

#include <sys/socket.h>

using namespace millrace;
using namespace millrace::postgres;

namespace {

relation shop() {
  return {
    7, "public", "shop", 'd', {{true, "id", 23, -1}, {false, "t", 25, -1}}};
}

catalogue_table shop_now() {
  catalogue_table result;
  auto& d = result.description;
  d.oid = 7;
  d.schema = "public";
  d.name = "shop";
  d.columns.resize(2);
  d.columns[0].name = "id";
  d.columns[0].type.oid = 23;
  d.columns[0].key_position = 0;
  d.columns[1].name = "t";
  d.columns[1].type.oid = 25;
  result.key_size = 1;
  return result;
}

} // namespace

CAF_TEST(patterns with and without stars) {
  CAF_CHECK(matches("public.*", "public.orders"));
  CAF_CHECK(matches("*", ""));
  CAF_CHECK(matches("*.log_*_x", "a.log_b.log_c_x"));
  CAF_CHECK(matches("a**b", "ab"));
  CAF_CHECK(matches("a.b", "a.b"));
  CAF_CHECK(!matches("a.b", "a.bc"));
  CAF_CHECK(!matches("a.b", "a."));
  CAF_CHECK(!matches("public.*", "Public.orders"));
  CAF_CHECK(!matches("*x", "xy"));
  CAF_CHECK(!matches("", "a"));
}

CAF_TEST(a table is wanted when it is asked for and not excluded) {
  source_options options;
  options.tables = {"public.*", "crm.customers"};
  options.exclude = {"*.tmp_*"};
  CAF_CHECK(is_wanted(options, "public", "orders"));
  CAF_CHECK(is_wanted(options, "crm", "customers"));
  CAF_CHECK(!is_wanted(options, "crm", "others"));
  CAF_CHECK(!is_wanted(options, "public", "tmp_1"));
  CAF_CHECK(is_named(options, "crm", "customers"));
  CAF_CHECK(!is_named(options, "public", "orders"));
}

CAF_TEST(names and texts are quoted) {
  CAF_CHECK_EQUAL(quote_name("a\"b"), "\"a\"\"b\"");
  CAF_CHECK_EQUAL(quote_name("s.x", "t"), "\"s.x\".\"t\"");
  CAF_CHECK_EQUAL(quote_text("it's"), "'it''s'");
  CAF_CHECK_EQUAL(quote_text("a\\'b"), " E'a\\\\''b'");
  CAF_CHECK_EQUAL(text_array({"a", "b\"\\", ""}), "{\"a\",\"b\\\"\\\\\",\"\"}");
}

CAF_TEST(what a server says decides whether to try again) {
  CAF_CHECK(classify("28P01") == ec::source_refused);
  CAF_CHECK(classify("28000") == ec::source_refused);
  CAF_CHECK(classify("3D000") == ec::source_refused);
  CAF_CHECK(classify("42501") == ec::source_refused);
  CAF_CHECK(classify("57P03") == ec::source_unavailable);
  CAF_CHECK(classify("57P01") == ec::source_unavailable);
  CAF_CHECK(classify("08006") == ec::source_unavailable);
  CAF_CHECK(classify("53300") == ec::source_failed);
  CAF_CHECK(classify("55P03") == ec::source_failed);
  CAF_CHECK(classify("42P01") == ec::table_unsuitable);
  CAF_CHECK(classify("53400") == ec::source_unsuitable);
}

CAF_TEST(a server that is not there is unavailable) {
  source_options options;
  options.uri = "host=127.0.0.1 port=1 user=u dbname=d connect_timeout=2";
  options.password = "secret word";
  auto conn = connect(options, session_kind::ordinary);
  CAF_REQUIRE(!conn);
  CAF_CHECK(conn.error().code == ec::source_unavailable);
  CAF_CHECK(conn.error().text.find("127.0.0.1:1") != std::string::npos);
  CAF_CHECK(conn.error().text.find("secret") == std::string::npos);
}

CAF_TEST(a connection string that is none is a fault of the configuration) {
  source_options options;
  options.uri = "postgres://u@h:5432/d?nonsense=1";
  auto conn = connect(options, session_kind::ordinary);
  CAF_REQUIRE(!conn);
  CAF_CHECK(conn.error().code == ec::invalid_configuration);
}

CAF_TEST(a relation is described by the catalogue only where they agree) {
  auto now = shop_now();
  auto same = describe_as(now, shop());
  CAF_REQUIRE(same);
  CAF_CHECK(**same == now.description);
  CAF_MESSAGE("a column added since then is not in the stream");
  now.description.columns.emplace_back().name = "later";
  auto before = describe_as(now, shop());
  CAF_REQUIRE(before);
  CAF_CHECK_EQUAL((*before)->columns.size(), 2u);
  CAF_MESSAGE("a table renamed since then has the stream's name");
  now.description.name = "store";
  auto renamed = describe_as(now, shop());
  CAF_CHECK_EQUAL((*renamed)->name, "shop");
  auto refused = [](const catalogue_table& x, const relation& y) {
    auto result = describe_as(x, y);
    return !result && result.error().code == ec::table_unsuitable;
  };
  CAF_MESSAGE("a dropped column");
  auto dropped = shop_now();
  dropped.description.columns.pop_back();
  CAF_CHECK(refused(dropped, shop()));
  CAF_MESSAGE("another type");
  auto retyped = shop_now();
  retyped.description.columns[1].type.oid = 1043;
  CAF_CHECK(refused(retyped, shop()));
  CAF_MESSAGE("another key");
  auto rekeyed = shop();
  rekeyed.columns[1].key = true;
  CAF_CHECK(refused(shop_now(), rekeyed));
  CAF_MESSAGE("another replica identity");
  auto full = shop();
  full.replica_identity = 'f';
  CAF_CHECK(refused(shop_now(), full));
  CAF_MESSAGE("a key of which the stream has only a part");
  auto partial = shop_now();
  partial.key_size = 2;
  CAF_CHECK(refused(partial, shop()));
}

CAF_TEST(bytes that wait in a socket are counted) {
  int fds[2];
  CAF_REQUIRE_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  CAF_CHECK_EQUAL(waiting_bytes(fds[0]), 0u);
  CAF_CHECK_EQUAL(write(fds[1], "hello", 5), 5);
  CAF_CHECK_EQUAL(waiting_bytes(fds[0]), 5u);
  close(fds[0]);
  close(fds[1]);
}
