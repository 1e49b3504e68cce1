#define CAF_SUITE log

#include "app/log_sink.hpp"
#include "app/logging.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <caf/test/dsl.hpp>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace millrace;
using namespace std::literals;

namespace {

struct fixture {
  fixture() : before(spdlog::default_logger()) {
    folder = std::filesystem::temp_directory_path()
             / ("millrace-log-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    options.file = (folder / "m.log").string();
  }

  ~fixture() {
    spdlog::set_default_logger(before);
    std::filesystem::remove_all(folder);
  }

  std::string content(const std::string& name = "m.log") {
    std::ifstream in{folder / name};
    return {std::istreambuf_iterator<char>{in}, {}};
  }

  std::string line(const std::string& text, bool json) {
    spdlog::details::log_msg msg{"m", spdlog::level::warn, text};
    msg.time = spdlog::log_clock::time_point{1'700'000'000'123ms};
    return log_line(msg, json);
  }

  std::shared_ptr<spdlog::logger> before;
  std::filesystem::path folder;
  log_options options;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(log_tests, fixture)

CAF_TEST(an event is one line of text) {
  CAF_CHECK_EQUAL(line("hello", false),
                  "2023-11-14T22:13:20.123Z warning hello");
  CAF_CHECK_EQUAL(line("ERROR: a\nDETAIL: b\n", false),
                  "2023-11-14T22:13:20.123Z warning ERROR: a | DETAIL: b");
}

CAF_TEST(an event is one JSON object on request) {
  auto text = line("a \"b\"\\\n\tc\x01 \xC3\xA9", true);
  CAF_CHECK_EQUAL(text.find('\n'), std::string::npos);
  auto x = boost::json::parse(text);
  CAF_CHECK_EQUAL(x.at("message").as_string().c_str(),
                  "a \"b\"\\\n\tc\x01 \xC3\xA9"s);
  CAF_CHECK_EQUAL(x.at("level").as_string().c_str(), "warning"s);
  CAF_CHECK_EQUAL(x.at("time").as_string().c_str(),
                  "2023-11-14T22:13:20.123Z"s);
}

CAF_TEST(writes to the file from the level on) {
  options.level = "warning";
  CAF_REQUIRE(set_up_logging(options));
  spdlog::info("left out");
  spdlog::warn("kept");
  auto text = content();
  CAF_CHECK_EQUAL(text.find("left out"), std::string::npos);
  CAF_CHECK(text.find("kept\n") != std::string::npos);
}

CAF_TEST(opens the file again after a rotation) {
  CAF_REQUIRE(set_up_logging(options));
  spdlog::info("first");
  std::filesystem::rename(folder / "m.log", folder / "m.log.1");
  spdlog::info("second");
  reopen_log();
  spdlog::info("third");
  CAF_CHECK(content("m.log.1").find("second") != std::string::npos);
  CAF_CHECK(content().find("third") != std::string::npos);
  CAF_CHECK_EQUAL(content().find("second"), std::string::npos);
}

CAF_TEST(a file that cannot be opened is an error) {
  options.file = (folder / "no" / "m.log").string();
  auto x = set_up_logging(options);
  CAF_REQUIRE(!x);
  CAF_CHECK_EQUAL(x.error().text,
                  "cannot open the log file \"" + options.file
                    + "\": No such file or directory; see millrace.log-file");
}

CAF_TEST_FIXTURE_SCOPE_END()
