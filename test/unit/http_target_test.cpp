#define CAF_SUITE http_target

#include "http/server.hpp"
#include "http/target.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace::http;

CAF_TEST(a value is everything behind the first equals sign) {
  auto x = parse_target("/?query=SELECT%201+WHERE+a=1&b=2");
  CAF_CHECK_EQUAL(x.path, "/");
  CAF_REQUIRE(x.find("query") != nullptr);
  CAF_CHECK_EQUAL(*x.find("query"), "SELECT 1 WHERE a=1");
  CAF_CHECK_EQUAL(*x.find("b"), "2");
  CAF_CHECK(x.find("c") == nullptr);
}

CAF_TEST(equal names and empty values are kept) {
  auto x = parse_target("/q?a=1&a=2&b=&c&&=d");
  CAF_REQUIRE_EQUAL(x.parameters.size(), 5u);
  CAF_CHECK_EQUAL(x.parameters[1].second, "2");
  CAF_CHECK_EQUAL(*x.find("b"), "");
  CAF_CHECK_EQUAL(*x.find("c"), "");
  CAF_CHECK_EQUAL(*x.find(""), "d");
}

CAF_TEST(a second question mark belongs to the parameters) {
  auto x = parse_target("/?query=SELECT+'a?b'&x=?");
  CAF_CHECK_EQUAL(*x.find("query"), "SELECT 'a?b'");
  CAF_CHECK_EQUAL(*x.find("x"), "?");
}

CAF_TEST(percent signs without two digits stay) {
  CAF_CHECK_EQUAL(percent_decode("100%", true), "100%");
  CAF_CHECK_EQUAL(percent_decode("%4", true), "%4");
  CAF_CHECK_EQUAL(percent_decode("%zz%41", true), "%zzA");
  CAF_CHECK_EQUAL(percent_decode("a+b", false), "a+b");
  CAF_CHECK_EQUAL(percent_decode("%00%c3%a4", true),
                  (std::string{"\0\xc3\xa4", 3}));
}

CAF_TEST(the absolute form and a missing path are understood) {
  CAF_CHECK_EQUAL(parse_target("http://h:1/ping?x=1").path, "/ping");
  auto bare = parse_target("http://h:1?x=1");
  CAF_CHECK_EQUAL(*bare.find("x"), "1");
  CAF_CHECK_EQUAL(parse_target("http://h:1").path, "/");
  CAF_CHECK_EQUAL(parse_target("").path, "/");
  CAF_CHECK_EQUAL(parse_target("/a%20b#c").path, "/a b");
}

CAF_TEST(addresses are taken apart) {
  auto x = split_host_port("127.0.0.1:8123");
  CAF_REQUIRE(x);
  CAF_CHECK_EQUAL(x->first, "127.0.0.1");
  CAF_CHECK_EQUAL(x->second, 8123);
  x = split_host_port("[::1]:0");
  CAF_CHECK_EQUAL(x->first, "::1");
  x = split_host_port("*:80");
  CAF_CHECK_EQUAL(x->first, "*");
  for (auto bad : {"", "8123", ":8123", "::1:8123", "h:", "h:x", "h:99999",
                   "h:-1", "h:80 "})
    CAF_CHECK(!split_host_port(bad));
}

CAF_TEST(loopback addresses are known) {
  for (auto yes : {"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"})
    CAF_CHECK(is_loopback(yes));
  for (auto no : {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "localhost", "",
                  "::ffff:10.0.0.1"})
    CAF_CHECK(!is_loopback(no));
}
