#define CAF_SUITE source_agent

#include "actors/source_agent.hpp"
#include "test/unit/fake_actors.hpp"
#include "test/unit/table_fixture.hpp"

#include <functional>

using namespace millrace;
using namespace millrace::test;

namespace {

// No server: what it says to a real one, tests of both ends say. Here: that
// whoever asks learns what is wrong, each time, and that nothing ends it.
struct fixture : peers_fixture {
  void start(std::string uri = "host=/nowhere dbname=shop user=somebody") {
    postgres::source_options options;
    options.uri = std::move(uri);
    options.publication = options.slot = "test";
    options.stop = context.stop;
    hdl = own(sys.spawn(source_agent, context, options, uint64_t{1} << 20));
    end = watch_end(hdl);
  }

  template <class Out, class... Ts>
  std::string error(Ts... xs) {
    auto asked = ask<Out>(hdl, xs...);
    CAF_CHECK(!asked->answered());
    return asked->error;
  }

  // Every question that an agent can be asked, by name.
  std::vector<std::pair<const char*, std::string>> ask_everything() {
    table_description_ptr orders
      = table("orders", {column("id", value_kind::int8, false, 0)});
    batch_builder b{orders};
    b.insert({"1"});
    change_batch_ptr batch = std::make_shared<change_batch>(b.batch);
    change_list_ptr changes = std::make_shared<std::vector<uint32_t>>(1, 0);
    source_start_ptr known = std::make_shared<postgres::source_start>();
    relation_ptr message = std::make_shared<postgres::relation>();
    xid_list_ptr xids = std::make_shared<std::vector<uint64_t>>(1, 7);
    return {
      {"check", error<source_look_ptr>(atom::check_v)},
      {"prepare", error<source_start_ptr>(atom::prepare_v, lsn{})},
      {"connect", error<reader_ptr>(atom::connect_v, known)},
      {"describe", error<table_description_ptr>(atom::describe_v, message)},
      {"fill", error<change_batch_ptr>(atom::fill_v, batch, changes)},
      {"plan", error<snapshot_plan_ptr>(atom::plan_v, orders, lsn{})},
      {"plan at", error<snapshot_plan_ptr>(atom::plan_v, orders, lsn{5})},
      {"running", error<xid_list_ptr>(atom::running_v)},
      {"still running", error<xid_list_ptr>(atom::running_v, xids)},
      {"position", error<lsn>(atom::position_v)},
      {"timeline", error<lsn>(atom::position_v, uint32_t{1})},
      {"slot", error<slot_state_ptr>(atom::slot_v)},
      {"tables", error<table_list_ptr>(atom::tables_v)},
    };
  }

  source_agent_actor hdl;
  std::shared_ptr<std::string> end;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(source_agent_tests, fixture)

CAF_TEST(a server that is away fails each request and ends nothing) {
  start();
  for (int again = 0; again < 2; ++again)
    for (const auto& [name, why] : ask_everything()) {
      CAF_MESSAGE(name << ": " << why);
      CAF_CHECK(why.starts_with("source_unavailable: cannot connect to "
                                "PostgreSQL (shop on /nowhere"));
    }
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a connection string that is none is the fault of the configuration) {
  start("host=/nowhere hots=typo");
  for (const auto& [name, why] : ask_everything()) {
    CAF_MESSAGE(name << ": " << why);
    CAF_CHECK(why.starts_with("invalid_configuration: source.uri is not a"));
  }
}

CAF_TEST(several hosts are named each with what it said) {
  start("host=/nowhere,/elsewhere port=1,2 dbname=shop");
  auto why = error<lsn>(atom::position_v);
  CAF_MESSAGE(why);
  CAF_CHECK(why.starts_with("source_unavailable: "));
  CAF_CHECK_NOT_EQUAL(why.find("shop on /nowhere:1"), std::string::npos);
  CAF_CHECK_NOT_EQUAL(why.find("shop on /elsewhere:2"), std::string::npos);
}

CAF_TEST(a list without transactions is answered without a question) {
  start();
  auto none = ask<xid_list_ptr>(
    hdl, atom::running_v,
    xid_list_ptr{std::make_shared<std::vector<uint64_t>>()});
  CAF_REQUIRE(none->answered());
  CAF_CHECK((*none->value)->empty());
}

CAF_TEST_FIXTURE_SCOPE_END()
