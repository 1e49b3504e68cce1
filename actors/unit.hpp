#pragma once

#include "actors/metrics.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace millrace {

/// What all actors of one run of a pipeline share.
struct unit {
  std::string pipeline;

  /// Outlives the unit: counters go on over restarts.
  std::shared_ptr<metrics> numbers;

  /// Set when the unit is to end; blocking calls give up within 100 ms.
  std::shared_ptr<std::atomic<bool>> stop
    = std::make_shared<std::atomic<bool>>(false);

  /// How a blocking actor sleeps; tests need not.
  std::function<void(std::chrono::milliseconds)> nap
    = [](auto time) { std::this_thread::sleep_for(time); };

  bool stopping() const {
    return stop->load(std::memory_order_relaxed);
  }

  /// Sleeps in a blocking actor; ends early when the unit stops.
  void sleep(std::chrono::milliseconds delay) const {
    constexpr auto slice = std::chrono::milliseconds{50};
    for (; delay.count() > 0 && !stopping(); delay -= slice)
      nap(std::min(delay, slice));
  }
};

} // namespace millrace
