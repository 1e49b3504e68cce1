#define CAF_SUITE command_line

#include "app/command_line.hpp"

#include <caf/test/dsl.hpp>

#include <string>
#include <vector>

using namespace millrace;

namespace {

using words = std::vector<std::string>;

std::string error_of(const words& args) {
  auto x = parse_command_line(args);
  return x ? std::string{"no error"} : x.error();
}

} // namespace

CAF_TEST(reads each command) {
  for (auto what : {command::run, command::check, command::status}) {
    auto x = parse_command_line({to_string(what), "--config-file", "m.conf"});
    CAF_REQUIRE(x);
    CAF_CHECK(x->what == what);
    CAF_CHECK_EQUAL(x->config_file, "m.conf");
    CAF_CHECK(!x->json);
  }
  auto x = parse_command_line({"status", "--json", "--config-file=a=b"});
  CAF_REQUIRE(x);
  CAF_CHECK(x->json);
  CAF_CHECK_EQUAL(x->config_file, "a=b");
}

CAF_TEST(reads the options of olap) {
  auto x = parse_command_line({"olap", "--data-dir", "d", "--listen=h:1",
                               "--users-file", "u", "--library", "l",
                               "--host-name", "a", "--host-name=b",
                               "--max-memory-bytes", "1000000000000"});
  CAF_REQUIRE(x);
  CAF_CHECK(x->what == command::olap);
  CAF_CHECK_EQUAL(x->olap.data_dir, "d");
  CAF_CHECK_EQUAL(x->olap.listen, "h:1");
  CAF_CHECK_EQUAL(x->olap.users_file, "u");
  CAF_CHECK_EQUAL(x->olap.library, "l");
  CAF_CHECK_EQUAL(x->olap.host_names, (words{"a", "b"}));
  CAF_CHECK_EQUAL(x->olap.max_memory, 1000000000000u);
  CAF_CHECK_EQUAL(error_of({"olap"}),
                  "olap needs --data-dir DIR; see: millrace olap --help");
  CAF_CHECK_EQUAL(
    error_of({"olap", "--data-dir", "d", "--max-memory-bytes", "4G"}),
    "--max-memory-bytes needs a number of bytes, got \"4G\"; "
    "see: millrace olap --help");
  CAF_CHECK_EQUAL(error_of({"olap", "-c", "x"}),
                  "olap has no option \"--config-file\"; see: millrace olap "
                  "--help");
}

CAF_TEST(reads what to do with dead letters) {
  for (auto what : {dlq_action::list, dlq_action::show, dlq_action::replay,
                    dlq_action::drop}) {
    auto x = parse_command_line({"dlq", to_string(what), "-c", "m.conf"});
    CAF_REQUIRE(x);
    CAF_CHECK(x->what == command::dlq);
    CAF_CHECK(x->dlq.what == what);
    CAF_CHECK_EQUAL(x->config_file, "m.conf");
    CAF_CHECK(!x->dlq.json && x->dlq.filter.table.empty());
  }
  auto x
    = parse_command_line({"dlq", "--json", "show", "--table=a.b", "--since",
                          "2026-05-01 12:00:00", "--config-file", "m.conf"});
  CAF_REQUIRE(x);
  CAF_CHECK(x->dlq.json);
  CAF_CHECK_EQUAL(x->dlq.filter.table, "a.b");
  CAF_CHECK_EQUAL(x->dlq.filter.since, "2026-05-01 12:00:00");
  CAF_CHECK_EQUAL(error_of({"dlq", "-c", "x"}),
                  "dlq needs list, show, replay or drop; see: millrace dlq "
                  "--help");
  CAF_CHECK_EQUAL(error_of({"dlq", "retry", "-c", "x"}),
                  "dlq cannot \"retry\"; it is list, show, replay or drop; "
                  "see: millrace dlq --help");
  CAF_CHECK_EQUAL(error_of({"dlq", "list", "drop", "-c", "x"}),
                  "dlq takes no argument \"drop\"; see: millrace dlq --help");
  CAF_CHECK_EQUAL(error_of({"dlq", "list"}),
                  "dlq needs --config-file FILE; see: millrace dlq --help");
}

CAF_TEST(help is for all or for one command) {
  for (const auto& args : {words{"--help"}, words{"-h"}, words{"help"}}) {
    auto x = parse_command_line(args);
    CAF_REQUIRE(x);
    CAF_CHECK(x->what == command::help && x->about == command::help);
  }
  for (const auto& args : {words{"run", "--help"}, words{"help", "run"},
                           words{"run", "--config-file", "x", "-h"}}) {
    auto x = parse_command_line(args);
    CAF_REQUIRE(x);
    CAF_CHECK(x->what == command::help && x->about == command::run);
  }
  auto x = parse_command_line({"--version"});
  CAF_CHECK(x && x->what == command::version);
}

CAF_TEST(each command has a help text of its own that names its options) {
  for (auto what : {command::run, command::check, command::status, command::dlq,
                    command::olap}) {
    auto text = help_text(what);
    CAF_CHECK(text.find(std::string{"usage: millrace "} + to_string(what))
              == 0);
    auto option = what == command::olap ? "--data-dir" : "--config-file";
    CAF_CHECK(text.find(option) != std::string::npos);
    CAF_CHECK(text.find("exit code") != std::string::npos);
  }
  CAF_CHECK(help_text(command::help).find("  olap ") != std::string::npos);
}

CAF_TEST(says what is wrong and where to look) {
  CAF_CHECK_EQUAL(error_of({}), "no command given; see: millrace --help");
  CAF_CHECK_EQUAL(error_of({"rnu"}),
                  "unknown command \"rnu\"; did you mean \"run\"?; see: "
                  "millrace --help");
  CAF_CHECK_EQUAL(error_of({"--versoin"}),
                  "unknown option \"--versoin\"; did you mean "
                  "\"--version\"?; see: millrace --help");
  CAF_CHECK_EQUAL(error_of({"run"}), "run needs --config-file FILE; see: "
                                     "millrace run --help");
  CAF_CHECK_EQUAL(error_of({"run", "--config-file"}),
                  "--config-file needs the name of a file; see: millrace run "
                  "--help");
  CAF_CHECK_EQUAL(
    error_of({"run", "--config-file="}),
    "--config-file needs the name of a file, got \"\"; see: millrace "
    "run --help");
  CAF_CHECK_EQUAL(error_of({"run", "--config", "x"}),
                  "run has no option \"--config\"; see: millrace run --help");
  CAF_CHECK_EQUAL(error_of({"run", "--confg-file=x"}),
                  "run has no option \"--confg-file\"; did you mean "
                  "\"--config-file\"?; see: millrace run --help");
  CAF_CHECK_EQUAL(error_of({"run", "-c", "x", "--config-file", "y"}),
                  "--config-file is given twice; see: millrace run --help");
  CAF_CHECK_EQUAL(error_of({"run", "m.conf"}),
                  "run takes no argument \"m.conf\"; see: millrace run --help");
  CAF_CHECK_EQUAL(error_of({"run", "-c", "x", "--json"}),
                  "run has no option \"--json\"; see: millrace run --help");
  CAF_CHECK_EQUAL(error_of({"status", "-c", "x", "--json=yes"}),
                  "--json takes no value; see: millrace status --help");
  CAF_CHECK_EQUAL(error_of({"--version", "x"}),
                  "\"x\" does not belong behind --version; see: millrace "
                  "--help");
}
