#include "postgres/patterns.hpp"

#include <algorithm>

namespace millrace::postgres {

bool matches(std::string_view pattern, std::string_view text) {
  // On a mismatch the last star takes one character more.
  size_t p = 0;
  size_t t = 0;
  auto star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

bool is_wanted(const source_options& options, std::string_view schema,
               std::string_view name) {
  auto full = std::string{schema} + "." + std::string{name};
  auto hit = [&](const std::string& x) { return matches(x, full); };
  return std::any_of(options.tables.begin(), options.tables.end(), hit)
         && std::none_of(options.exclude.begin(), options.exclude.end(), hit);
}

bool is_named(const source_options& options, std::string_view schema,
              std::string_view name) {
  auto full = std::string{schema} + "." + std::string{name};
  return std::find(options.tables.begin(), options.tables.end(), full)
         != options.tables.end();
}

} // namespace millrace::postgres
