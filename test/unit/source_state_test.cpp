#define CAF_SUITE source_state

#include "messages/source_state.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;

CAF_TEST(survives JSON) {
  source_state x{"7301234567890123456", 3, "sh\"op", lsn{0x16'B374D848},
                 lsn{7}};
  auto copy = parse_source_state(to_json(x));
  CAF_REQUIRE(copy);
  CAF_CHECK_EQUAL(copy->system_identifier, x.system_identifier);
  CAF_CHECK_EQUAL(copy->timeline, x.timeline);
  CAF_CHECK_EQUAL(copy->database, x.database);
  CAF_CHECK(copy->received == x.received);
  CAF_CHECK(copy->confirmable == x.confirmable);
}

CAF_TEST(an earlier version did not keep what may be confirmed) {
  auto x = parse_source_state(
    R"({"system_identifier":"1","timeline":1,"database":"d","received":"0/1"})");
  CAF_REQUIRE(x);
  CAF_CHECK_EQUAL(x->confirmable.value, 0u);
}

CAF_TEST(what cannot be read is an error that shows it) {
  for (
    std::string json :
    {"", "{}", "null",
     R"({"system_identifier":1,"timeline":1,"database":"d","received":"0/1"})",
     R"({"system_identifier":"1","timeline":-1,"database":"d","received":"0/1"})",
     R"({"system_identifier":"1","timeline":1,"received":"0/1"})",
     R"({"system_identifier":"1","timeline":1,"database":"d","received":"1"})",
     R"({"system_identifier":"1","timeline":1,"database":"d","received":"0/1","confirmable":"x"})"}) {
    auto x = parse_source_state(json);
    CAF_REQUIRE(!x);
    CAF_CHECK(x.error().code == ec::target_unsuitable);
    CAF_CHECK_NOT_EQUAL(x.error().text.find(json), std::string::npos);
  }
}
