#include "actors/instruments.hpp"

#include <algorithm>

namespace millrace {

histogram::histogram(std::initializer_list<double> bounds)
  : size_(std::min(bounds.size(), max_bounds)) {
  std::copy_n(bounds.begin(), size_, bounds_.begin());
}

void histogram::observe(double x) {
  auto end = bounds_.begin() + size_;
  auto i = std::lower_bound(bounds_.begin(), end, x) - bounds_.begin();
  counts_[i].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(x, std::memory_order_relaxed);
}

histogram::view histogram::look() const {
  view result;
  result.size = size_;
  result.bounds = bounds_;
  for (size_t i = 0; i <= size_; ++i) {
    result.counts[i] = counts_[i].load(std::memory_order_relaxed);
    result.count += result.counts[i];
  }
  result.sum = sum_.load(std::memory_order_relaxed);
  return result;
}

double histogram::view::quantile(double q) const {
  if (count == 0 || size == 0)
    return 0;
  auto rank = q * static_cast<double>(count);
  uint64_t below = 0;
  for (size_t i = 0; i < size; ++i) {
    if (counts[i] > 0 && static_cast<double>(below + counts[i]) >= rank) {
      auto low = i == 0 ? 0.0 : bounds[i - 1];
      auto part
        = (rank - static_cast<double>(below)) / static_cast<double>(counts[i]);
      return low + (bounds[i] - low) * std::clamp(part, 0.0, 1.0);
    }
    below += counts[i];
  }
  return bounds[size - 1];
}

} // namespace millrace
