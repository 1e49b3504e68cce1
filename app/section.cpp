#include "app/section.hpp"

#include "app/suggest.hpp"

#include <caf/config_value.hpp>
#include <caf/timespan.hpp>

#include <algorithm>

namespace millrace {

namespace {

/// As a user would write it: 90s, 1500ms.
std::string span_text(std::chrono::milliseconds x) {
  if (x.count() % 1000 == 0)
    return std::to_string(x.count() / 1000) + "s";
  return std::to_string(x.count()) + "ms";
}

} // namespace

section::section(std::string path, const caf::settings& xs,
                 std::vector<std::string>& problems)
  : path_(std::move(path)), xs_(xs), problems_(problems) {
  // nop
}

section::~section() {
  for (const auto& entry : xs_) {
    std::string key{entry.first.begin(), entry.first.end()};
    if (std::find(known_.begin(), known_.end(), key) == known_.end())
      report(key, "unknown entry" + suggest(key, known_));
  }
}

void section::read(const std::string& key, std::string& out) {
  const auto* value = find(key);
  if (value == nullptr)
    return;
  if (auto* x = caf::get_if<std::string>(value))
    out = *x;
  else
    report(key, "expected a \"string\", got " + describe(*value));
}

void section::read(const std::string& key, std::vector<std::string>& out) {
  const auto* list = find_list(key);
  if (list == nullptr)
    return;
  std::vector<std::string> result;
  for (size_t i = 0; i < list->size(); ++i)
    if (auto* x = caf::get_if<std::string>(&(*list)[i]))
      result.push_back(*x);
    else
      report(key + "[" + std::to_string(i) + "]",
             "expected a \"string\", got " + describe((*list)[i]));
  if (result.size() == list->size())
    out = std::move(result);
}

void section::read(const std::string& key,
                   std::initializer_list<const char*> choices, size_t& out) {
  const auto* value = find(key);
  if (value == nullptr)
    return;
  if (auto* x = caf::get_if<std::string>(value))
    if (auto i = std::find(choices.begin(), choices.end(), *x);
        i != choices.end()) {
      out = static_cast<size_t>(i - choices.begin());
      return;
    }
  report(key, expected(choices, '"') + ", got " + describe(*value));
}

void section::read_atom(const std::string& key,
                        std::initializer_list<const char*> choices,
                        std::string& out) {
  const auto* value = find(key);
  if (value == nullptr)
    return;
  std::string text;
  if (auto* x = caf::get_if<caf::atom_value>(value))
    text = to_string(*x);
  else if (auto* x = caf::get_if<std::string>(value))
    text = *x;
  if (std::find(choices.begin(), choices.end(), text) != choices.end())
    out = text;
  else
    report(key, expected(choices, '\'') + ", got " + describe(*value));
}

void section::read(const std::string& key, std::chrono::milliseconds& out,
                   std::chrono::milliseconds min,
                   std::chrono::milliseconds max) {
  const auto* value = find(key);
  if (value == nullptr)
    return;
  if (auto* x = caf::get_if<caf::timespan>(value))
    if (*x >= min && *x <= max
        && *x % std::chrono::milliseconds{1} == caf::timespan{0}) {
      out = std::chrono::duration_cast<std::chrono::milliseconds>(*x);
      return;
    }
  report(key, "expected a time span from " + span_text(min) + " to "
                + span_text(max) + " with a unit, such as 10s or 500ms, got "
                + describe(*value));
}

void section::require(const std::string& key, std::string& out) {
  if (!has(key)) {
    known_.push_back(key);
    report(key, "missing");
    return;
  }
  read(key, out);
  if (auto* x = caf::get_if<std::string>(find(key)); x != nullptr && x->empty())
    report(key, "must not be empty");
}

void section::refuse(const std::string& key, const std::string& why) {
  if (find(key) != nullptr)
    report(key, why);
}

bool section::has(const std::string& key) const {
  return xs_.count(key) > 0;
}

void section::report(const std::string& key, const std::string& what) {
  problems_.push_back(path_ + "." + key + ": " + what);
}

std::string
section::expected(std::initializer_list<const char*> choices, char quote) {
  std::string result = choices.size() > 1 ? "expected one of " : "expected ";
  for (auto x : choices) {
    if (x != *choices.begin())
      result += ", ";
    result += quote + std::string{x} + quote;
  }
  return result;
}

std::string section::describe(const caf::config_value& x) {
  if (auto* text = caf::get_if<std::string>(&x))
    return "\"" + *text + "\" (string)";
  return to_string(x) + " (" + x.type_name() + ")";
}

const caf::config_value* section::find(const std::string& key) {
  known_.push_back(key);
  auto i = xs_.find(key);
  return i == xs_.end() ? nullptr : &i->second;
}

const caf::config_value::list* section::find_list(const std::string& key) {
  const auto* value = find(key);
  if (value == nullptr)
    return nullptr;
  if (auto* list = caf::get_if<caf::config_value::list>(value))
    return list;
  report(key,
         "expected a list, such as [\"a\", \"b\"], got " + describe(*value));
  return nullptr;
}

void section::read_integer(const std::string& key, uint64_t& out, uint64_t min,
                           uint64_t max) {
  const auto* value = find(key);
  if (value == nullptr)
    return;
  if (auto* x = caf::get_if<int64_t>(value))
    if (*x >= 0 && static_cast<uint64_t>(*x) >= min
        && static_cast<uint64_t>(*x) <= max) {
      out = static_cast<uint64_t>(*x);
      return;
    }
  report(key, "expected an integer from " + std::to_string(min) + " to "
                + std::to_string(max) + ", got " + describe(*value));
}

} // namespace millrace
