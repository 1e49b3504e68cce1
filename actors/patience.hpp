#pragma once

#include "actors/back_off.hpp"
#include "actors/unit.hpp"
#include "messages/ec.hpp"

#include <spdlog/spdlog.h>

namespace millrace {

/// Calls `f` until it succeeds, fails for good, or the unit stops; waits
/// between tries, from 100 ms to 10 s, and tells what it waits for. For
/// blocking actors only.
template <class F>
auto patiently(const unit& context, const std::string& whom, F f) {
  back_off delay{std::chrono::milliseconds{100}, std::chrono::seconds{10}};
  auto waited = false;
  for (;;) {
    auto x = f();
    if (x || !is_retriable(x.error().code) || context.stopping()) {
      if (waited && x) {
        spdlog::info("{} answers again", whom);
        context.numbers->resumes(whom);
      }
      return x;
    }
    waited = true;
    context.numbers->waits(whom, x.error().text);
    auto pause = delay.next();
    spdlog::warn("{}; next try in {} ms", x.error().text, pause.count());
    context.sleep(pause);
  }
}

} // namespace millrace
