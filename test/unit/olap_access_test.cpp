#define CAF_SUITE olap_access

#include "olap/origin.hpp"
#include "olap/users.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace::olap;

namespace {

/// Code of the error, 0 for none.
int check(std::string_view host, std::string_view origin = "",
          std::string_view site = "", bool check_host = true) {
  origin_policy policy;
  policy.check_host = check_host;
  policy.own_names = {"Olap.internal"};
  return check_origin(policy, {host, origin, site}).code;
}

int log_in(const user_list& users, const credential_fields& fields,
           bool* readonly = nullptr) {
  credentials x;
  if (auto err = find_credentials(fields, x))
    return err.code;
  bool ignored = false;
  return users.check(x.user, x.password, readonly ? *readonly : ignored).code;
}

} // namespace

CAF_TEST(names of this machine are accepted as host) {
  for (auto host :
       {"127.0.0.1:8123", "localhost", "LOCALHOST:1", "[::1]:8123", "127.0.0.1",
        "x.localhost:8123", "olap.internal:8123", "localhost.:8123", ""})
    CAF_CHECK_EQUAL(check(host), 0);
}

CAF_TEST(foreign hosts are refused) {
  for (auto host : {"evil.com", "evil.com:8123", "127.0.0.1.evil.com",
                    "10.0.0.1:8123", "localhost.evil.com", "[::2]:8123"})
    CAF_CHECK_EQUAL(check(host), 497);
  CAF_CHECK_EQUAL(check("evil.com", "", "", false), 0);
}

CAF_TEST(only pages of this server may send) {
  CAF_CHECK_EQUAL(check("localhost:8123", "http://localhost:8123"), 0);
  for (auto origin : {"http://evil.com", "null", "http://localhost:3000",
                      "http://localhost", "http://localhost:8123.evil.com"})
    CAF_CHECK_EQUAL(check("localhost:8123", origin), 497);
  CAF_CHECK_EQUAL(check("a:1", "http://b:1", "", false), 497);
}

CAF_TEST(requests of foreign pages without an origin are refused) {
  CAF_CHECK_EQUAL(check("localhost", "", "none"), 0);
  CAF_CHECK_EQUAL(check("localhost", "", "same-origin"), 0);
  CAF_CHECK_EQUAL(check("localhost", "", "cross-site"), 497);
  CAF_CHECK_EQUAL(check("localhost", "", "same-site"), 497);
}

CAF_TEST(without a file there is one user without password) {
  user_list users;
  CAF_CHECK_EQUAL(log_in(users, {}), 0);
  CAF_CHECK_EQUAL(log_in(users, {"", "default", "", nullptr, nullptr}), 0);
  CAF_CHECK_EQUAL(log_in(users, {"", "default", "x", nullptr, nullptr}), 516);
  CAF_CHECK_EQUAL(log_in(users, {"", "bob", "", nullptr, nullptr}), 516);
}

CAF_TEST(users come from a file) {
  auto users = user_list::parse(
    "# comment\n\n"
    "node secret\n"
    "\tgrafana  sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15"
    "B0F00A08 readonly\r\n",
    "u");
  CAF_REQUIRE(users);
  bool readonly = true;
  CAF_CHECK_EQUAL(
    log_in(*users, {"", "node", "secret", nullptr, nullptr}, &readonly), 0);
  CAF_CHECK(!readonly);
  CAF_CHECK_EQUAL(
    log_in(*users, {"", "grafana", "test", nullptr, nullptr}, &readonly), 0);
  CAF_CHECK(readonly);
  CAF_CHECK_EQUAL(log_in(*users, {"", "node", "", nullptr, nullptr}), 516);
  CAF_CHECK_EQUAL(log_in(*users, {}), 516); // default is not in it
}

CAF_TEST(all problems of a file are told at once) {
  auto users = user_list::parse("a\nb c d\ne sha256:12\nf x\nf y\n", "u");
  CAF_REQUIRE(!users);
  for (auto line : {"u:1:", "u:2:", "u:3:", "u:5:"})
    CAF_CHECK(users.error().text.find(line) != std::string::npos);
  CAF_CHECK(!user_list::parse("# nobody\n", "u"));
  CAF_CHECK(!user_list::load("/nonexistent/users"));
}

CAF_TEST(credentials are found wherever the client puts them) {
  auto users = user_list::parse("u p:w\n", "u");
  CAF_REQUIRE(users);
  std::string name = "u";
  std::string word = "p:w";
  CAF_CHECK_EQUAL(log_in(*users, {"Basic dTpwOnc=", "", "", nullptr, nullptr}),
                  0);
  CAF_CHECK_EQUAL(log_in(*users, {"basic dTpwOnc", "", "", nullptr, nullptr}),
                  0);
  CAF_CHECK_EQUAL(log_in(*users, {"", "u", "p:w", nullptr, nullptr}), 0);
  CAF_CHECK_EQUAL(log_in(*users, {"", "", "", &name, &word}), 0);
  // Two ways at once, other schemes, no base64.
  CAF_CHECK_EQUAL(
    log_in(*users, {"Basic dTpwOnc=", "u", "p:w", nullptr, nullptr}), 516);
  CAF_CHECK_EQUAL(log_in(*users, {"", "u", "p:w", &name, &word}), 516);
  CAF_CHECK_EQUAL(log_in(*users, {"Bearer x", "", "", nullptr, nullptr}), 516);
  CAF_CHECK_EQUAL(log_in(*users, {"Basic ***", "", "", nullptr, nullptr}), 516);
}
