#include "app/suggest.hpp"

#include <algorithm>
#include <numeric>

namespace millrace {

namespace {

/// Levenshtein's distance.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      auto changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
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
