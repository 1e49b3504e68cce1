#pragma once

#include <caf/settings.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

namespace millrace {

/// Reads one section of a parsed configuration file and collects every
/// problem, so that a user sees all of them in one run. CAF itself drops
/// ill-typed and unknown entries without a word.
class section {
public:
  /// `xs` and `problems` must outlive the section.
  section(std::string path, const caf::settings& xs,
          std::vector<std::string>& problems);

  section(const section&) = delete;

  section& operator=(const section&) = delete;

  /// Reports all entries that nobody asked for.
  ~section();

  // Each of these leaves `out` as it is when the entry is absent or wrong, and
  // reports what is wrong.

  void read(const std::string& key, std::string& out);
  void read(const std::string& key, std::vector<std::string>& out);

  /// One of `choices`; stores its index.
  void read(const std::string& key, std::initializer_list<const char*> choices,
            size_t& out);

  /// One of `choices`, as CAF's 'atom'; a "string" is taken too.
  void read_atom(const std::string& key,
                 std::initializer_list<const char*> choices, std::string& out);

  template <std::unsigned_integral T>
  void read(const std::string& key, T& out, T min,
            T max = std::numeric_limits<T>::max()) {
    constexpr uint64_t limit = std::numeric_limits<int64_t>::max();
    uint64_t value = out;
    read_integer(key, value, min, std::min<uint64_t>(max, limit));
    out = static_cast<T>(value);
  }

  void read(const std::string& key, std::chrono::milliseconds& out,
            std::chrono::milliseconds min, std::chrono::milliseconds max);

  /// Like `read`, but reports an absent or empty entry.
  void require(const std::string& key, std::string& out);

  /// Calls `f` with a nested section for each `{ ... }` of a list.
  template <class F>
  void each(const std::string& key, F f) {
    const auto* list = find_list(key);
    if (list == nullptr)
      return;
    for (size_t i = 0; i < list->size(); ++i) {
      auto path = path_ + "." + key + "[" + std::to_string(i) + "]";
      if (auto* xs = caf::get_if<caf::settings>(&(*list)[i])) {
        section sub{path, *xs, problems_};
        f(sub);
      } else {
        problems_.push_back(path + ": expected { ... }, got "
                            + describe((*list)[i]));
      }
    }
  }

  /// Takes `key` as known and says what is wrong with it if it is there.
  void refuse(const std::string& key, const std::string& why);

  bool has(const std::string& key) const;

  void report(const std::string& key, const std::string& what);

private:
  static std::string
  expected(std::initializer_list<const char*> choices, char quote);

  static std::string describe(const caf::config_value& x);

  const caf::config_value* find(const std::string& key);

  const caf::config_value::list* find_list(const std::string& key);

  void read_integer(const std::string& key, uint64_t& out, uint64_t min,
                    uint64_t max);

  std::string path_;
  const caf::settings& xs_;
  std::vector<std::string>& problems_;
  std::vector<std::string> known_;
};

} // namespace millrace
