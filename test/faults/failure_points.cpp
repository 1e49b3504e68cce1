// Linked into `millrace_faults` instead of messages/failure_point.cpp. The
// environment says what happens where:
//
//   MILLRACE_FAULTS=place=action[@hit][,...]
//
// action: crash (SIGKILL), hang, error, delay (half a second); hit: the how
// manyeth time at this place, default 1.

#include "messages/failure_point.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

namespace millrace {

namespace {

struct fault {
  std::string action;
  int hit = 1;
};

using plan_type = std::multimap<std::string, fault, std::less<>>;

[[noreturn]] void refuse(std::string_view entry) {
  std::fprintf(stderr, "MILLRACE_FAULTS: \"%.*s\" is not place=action[@hit]\n",
               static_cast<int>(entry.size()), entry.data());
  std::exit(2);
}

plan_type read_plan() {
  plan_type result;
  const char* value = std::getenv("MILLRACE_FAULTS");
  std::string_view rest = value != nullptr ? value : "";
  while (!rest.empty()) {
    auto entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
    auto equals = entry.find('=');
    if (equals == std::string_view::npos)
      refuse(entry);
    fault x;
    x.action = entry.substr(equals + 1);
    if (auto at = x.action.find('@'); at != std::string::npos) {
      x.hit = std::atoi(x.action.c_str() + at + 1);
      x.action.resize(at);
    }
    if (x.hit < 1
        || (x.action != "crash" && x.action != "hang" && x.action != "error"
            && x.action != "delay"))
      refuse(entry);
    result.emplace(entry.substr(0, equals), x);
  }
  return result;
}

// What is to happen at this hit of the place; empty for nothing.
std::string action_at(std::string_view place) {
  static std::mutex lock;
  static const auto plan = read_plan();
  static std::map<std::string, int, std::less<>> hits;
  if (plan.empty())
    return {};
  std::lock_guard guard{lock};
  auto hit = ++hits.try_emplace(std::string{place}).first->second;
  auto [first, last] = plan.equal_range(place);
  for (; first != last; ++first)
    if (first->second.hit == hit)
      return first->second.action;
  return {};
}

} // namespace

result<void> failure_point(const char* place, ec code) {
  auto action = action_at(place);
  if (action.empty())
    return {};
  // One write: the process may be gone after it.
  auto line = "failure point " + std::string{place} + ": " + action + "\n";
  [[maybe_unused]] auto written = ::write(2, line.data(), line.size());
  if (action == "crash")
    ::kill(::getpid(), SIGKILL);
  while (action == "hang" || action == "crash")
    std::this_thread::sleep_for(std::chrono::hours{1});
  if (action == "delay")
    std::this_thread::sleep_for(std::chrono::milliseconds{500});
  if (action == "error")
    return fail(code, "failure point " + std::string{place});
  return {};
}

} // namespace millrace
