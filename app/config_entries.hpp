#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// What a second look at the text of a configuration file finds.
struct config_entries {
  /// `section.key`, `section.list[0].key` to the line of its first appearance.
  std::map<std::string, int> lines;

  /// Entries given twice and brackets left open: CAF's parser keeps the first
  /// value, or drops the rest of the file, without a word.
  std::vector<std::string> problems;
};

/// Scans a text that CAF's parser has accepted.
config_entries scan_config(std::string_view text);

} // namespace millrace
