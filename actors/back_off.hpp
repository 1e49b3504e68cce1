#pragma once

#include <algorithm>
#include <chrono>

namespace millrace {

/// Delays that double from `first` to `last`.
class back_off {
public:
  using duration = std::chrono::milliseconds;

  back_off(duration first, duration last) : first_(first), last_(last) {
    // nop
  }

  duration next() {
    current_ = std::clamp(current_ * 2, first_, last_);
    return current_;
  }

  void reset() {
    current_ = duration{0};
  }

private:
  duration first_;
  duration last_;
  duration current_{0};
};

} // namespace millrace
