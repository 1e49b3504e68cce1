#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace millrace {

/// A count that only grows. Any thread; no order with other memory.
class counter {
public:
  void add(uint64_t n = 1) {
    value_.fetch_add(n, std::memory_order_relaxed);
  }

  uint64_t value() const {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<uint64_t> value_{0};
};

/// A number that goes up and down. Any thread; no order with other memory.
class gauge {
public:
  void set(int64_t x) {
    value_.store(x, std::memory_order_relaxed);
  }

  void add(int64_t x) {
    value_.fetch_add(x, std::memory_order_relaxed);
  }

  int64_t value() const {
    return value_.load(std::memory_order_relaxed);
  }

private:
  std::atomic<int64_t> value_{0};
};

/// Counts values by size in fixed buckets. Any thread, no lock.
class histogram {
public:
  static constexpr size_t max_bounds = 16;

  /// Upper bounds, inclusive, ascending; what is above all of them counts too.
  histogram(std::initializer_list<double> bounds);

  void observe(double x);

  /// A moment of it: `counts[i]` values are at most `bounds[i]` and above the
  /// bound before; the last count has no bound.
  struct view {
    size_t size = 0;
    std::array<double, max_bounds> bounds{};
    std::array<uint64_t, max_bounds + 1> counts{};
    uint64_t count = 0;
    double sum = 0;

    /// Linear inside a bucket; 0 without values, the highest bound beyond it.
    double quantile(double q) const;
  };

  view look() const;

private:
  size_t size_ = 0;
  std::array<double, max_bounds> bounds_{};
  std::array<std::atomic<uint64_t>, max_bounds + 1> counts_{};
  std::atomic<double> sum_{0};
};

} // namespace millrace
