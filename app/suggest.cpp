#include "app/suggest.hpp"

#include <algorithm>
#include <numeric>

namespace millrace {

namespace {

/// Letters left out, put in, changed, or swapped with their neighbour.
size_t distance(std::string_view a, std::string_view b) {
  using row = std::vector<size_t>;
  row before(b.size() + 1);
  row last(b.size() + 1);
  row current(b.size() + 1);
  std::iota(last.begin(), last.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      auto changed = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({changed, last[j] + 1, current[j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        current[j] = std::min(current[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(current);
  }
  return last.back();
}

} // namespace

std::string
suggest(std::string_view word, const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  // Short words are near to everything.
  auto limit = std::min<size_t>(3, word.size() / 2 + 1);
  for (const auto& x : known)
    if (auto d = distance(word, x); d < limit) {
      best = &x;
      limit = d;
    }
  if (best == nullptr)
    return {};
  return "; did you mean \"" + *best + "\"?";
}

} // namespace millrace
