#include "app/check.hpp"
#include "app/command_line.hpp"
#include "app/configuration.hpp"
#include "app/logging.hpp"
#include "app/run.hpp"
#include "app/status.hpp"
#include "app/version.hpp"
#include "olap/command.hpp"

#include <csignal>
#include <exception>
#include <iostream>

namespace {

using namespace millrace;

constexpr int failed = 1;
constexpr int bad_usage = 2;

/// Threads inherit the mask, so this comes before the first of them: the
/// signals are for `run`, which waits for them.
void block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (auto x : {SIGINT, SIGTERM, SIGHUP, SIGUSR1})
    sigaddset(&set, x);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int run_node(const configuration& config) {
  block_signals();
  if (auto ready = set_up_logging(config.log); !ready) {
    std::cerr << "millrace run: " << ready.error().text << "\n";
    return failed;
  }
  return run(config);
}

int with_configuration(const command_line& line) {
  auto asks = line.what == command::status || line.what == command::snapshot;
  auto what = asks ? secrets::skip : secrets::read;
  auto config = read_configuration(line.config_file, what);
  if (!config) {
    for (const auto& problem : config.error())
      std::cerr << problem << "\n";
    return bad_usage;
  }
  switch (line.what) {
    case command::run:
      return run_node(*config);
    case command::check:
      return check(*config, std::cout);
    case command::dlq:
      return dlq(*config, line.dlq, std::cout, std::cerr);
    case command::snapshot:
      return take_again(*config, line.table, std::cout, std::cerr);
    default:
      return status(*config, line.json, std::cout, std::cerr);
  }
}

int dispatch(const std::vector<std::string>& args) {
  auto line = parse_command_line(args);
  if (!line) {
    std::cerr << "millrace: " << line.error() << "\n";
    return bad_usage;
  }
  switch (line->what) {
    case command::help:
      std::cout << help_text(line->about);
      return 0;
    case command::version:
      std::cout << "millrace " << version_text() << "\n";
      return 0;
    case command::olap:
      return olap::run_olap(line->olap);
    default:
      return with_configuration(*line);
  }
}

} // namespace

int main(int argc, char** argv) {
  // A peer that is gone is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return dispatch({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::cerr << "millrace: " << e.what() << "\n";
    return failed;
  }
}
