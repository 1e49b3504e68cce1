#define CAF_SUITE messages

#include "messages/error.hpp"
#include "test/unit/fixture.hpp"

#include <caf/make_message.hpp>

#include <set>

using namespace millrace;

namespace {

struct fixture : test::actor_fixture {
  // Goes through caf::message, because only that path needs the type to be
  // announced: a type missing from the ID block serializes to nothing.
  template <class T>
  bool survives_the_wire(const T& x) {
    auto copy = roundtrip(caf::make_message(x));
    return copy.template match_elements<T>() && copy.template get_as<T>(0) == x;
  }

  template <class... Ts>
  bool all_survive(const Ts&... xs) {
    return (survives_the_wire(xs) && ...);
  }
};

std::vector<ec> all_codes() {
  std::vector<ec> result;
  for (uint8_t i = 0; i < static_cast<uint8_t>(ec::ec_count); ++i)
    result.push_back(ec{i});
  return result;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(messages_tests, fixture)

CAF_TEST(announced types survive the wire) {
  CAF_CHECK(survives_the_wire(lsn{0}));
  CAF_CHECK(survives_the_wire(lsn{UINT64_MAX}));
}

CAF_TEST(atoms survive the wire) {
  CAF_CHECK(all_survive(atom::ack_v, atom::check_v, atom::clear_v,
                        atom::connect_v, atom::describe_v, atom::ensure_v,
                        atom::fill_v, atom::flush_v, atom::load_v, atom::plan_v,
                        atom::position_v));
  CAF_CHECK(all_survive(atom::prepare_v, atom::read_v, atom::readable_v,
                        atom::restart_v, atom::running_v, atom::save_v,
                        atom::slot_v, atom::stop_v, atom::tables_v,
                        atom::tick_v));
}

CAF_TEST(types without an ID do not ) {
  CAF_CHECK(!survives_the_wire(std::vector<lsn>{lsn{1}}));
}

CAF_TEST(errors of every code survive the wire with their text) {
  for (auto code : all_codes()) {
    if (code == ec::none)
      continue;
    auto copy = roundtrip(
      caf::make_message(caf::make_error(code, std::string{"what and why"})));
    CAF_REQUIRE(copy.match_elements<caf::error>());
    const auto& err = copy.get_as<caf::error>(0);
    CAF_CHECK(err == code);
    CAF_CHECK_EQUAL(render(err),
                    to_string(code) + std::string{": what and why"});
  }
}

CAF_TEST(every code has a name of its own) {
  std::set<std::string> names;
  for (auto code : all_codes())
    names.insert(to_string(code));
  CAF_CHECK_EQUAL(names.size(), all_codes().size());
  CAF_CHECK_EQUAL(names.count("unknown"), 0u);
  CAF_CHECK_EQUAL(to_string(ec::ec_count), std::string{"unknown"});
}

CAF_TEST(an error that is not for one table is either retriable or fatal) {
  for (auto code : all_codes()) {
    if (code == ec::none || code == ec::table_unsuitable) {
      CAF_CHECK(!is_retriable(code));
      CAF_CHECK(!is_fatal(code));
    } else {
      CAF_CHECK_NOT_EQUAL(is_retriable(code), is_fatal(code));
    }
  }
}

CAF_TEST(errors that are not ours are retriable) {
  auto ours = caf::make_error(ec::slot_lost, std::string{"x"});
  auto theirs = caf::make_error(caf::sec::request_receiver_down);
  CAF_CHECK(is_ours(ours));
  CAF_CHECK(!is_ours(theirs));
  CAF_CHECK(!is_retriable(ours));
  CAF_CHECK(is_retriable(theirs));
  CAF_CHECK_NOT_EQUAL(render(theirs), "");
  CAF_CHECK_EQUAL(render(caf::error{}), "none");
}

CAF_TEST(failures of rooms without actors become errors of actors) {
  auto err = to_error({ec::source_refused, "password authentication failed"});
  CAF_CHECK(err == ec::source_refused);
  CAF_CHECK_EQUAL(render(err),
                  "source_refused: password authentication failed");
}

CAF_TEST(positions print as PostgreSQL does and are read strictly) {
  lsn x{0x16'B374D848};
  CAF_CHECK_EQUAL(to_string(x), "16/B374D848");
  CAF_CHECK(parse_lsn("16/B374D848") == x);
  CAF_CHECK(parse_lsn("0/0") == lsn{});
  CAF_CHECK(parse_lsn("FFFFFFFF/FFFFFFFF") == lsn{UINT64_MAX});
  for (auto text :
       {"", "/", "16", "16/", "/1", "16/G", "16/1 ", "1FFFFFFFF/0", "1/2/3"})
    CAF_CHECK(!parse_lsn(text));
}

CAF_TEST(versions compare by commit and then by change) {
  CAF_CHECK((version{1, 9} < version{2, 0}));
  CAF_CHECK((version{2, 0} < version{2, 1}));
  CAF_CHECK((version{2, 1} == version{2, 1}));
}

CAF_TEST_FIXTURE_SCOPE_END()
