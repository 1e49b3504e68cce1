#include "transform/names.hpp"

#include <algorithm>

namespace millrace::transform {

std::string default_table_name(std::string_view schema, std::string_view name) {
  std::string result;
  if (schema != "public") {
    result = schema;
    result += '_';
  }
  result += name;
  return result;
}

std::string default_column_name(std::string_view name) {
  std::string result{name};
  std::replace(result.begin(), result.end(), '.', '_');
  return result;
}

bool is_added_column(std::string_view name) {
  constexpr std::string_view names[]
    = {"_version",   "_deleted",  "_committed_at", "_lsn",
       "_partition", "_row_hash", "_row_number"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_virtual_column(std::string_view name) {
  constexpr std::string_view names[]
    = {"_row_exists", "_block_number", "_block_offset"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

bool is_own_table(std::string_view name) {
  return name == "_dead_letters" || name.substr(0, 9) == "_millrace";
}

size_t escaped_size(std::string_view name) {
  size_t result = 0;
  for (char c : name) {
    bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                   || (c >= '0' && c <= '9') || c == '_';
    result += is_word ? 1 : 3;
  }
  return result;
}

size_t max_table_name(std::string_view database) {
  // A dropped table's file is `DATABASE.TABLE.UUID.sql` of 255 bytes at most.
  auto others = escaped_size(database) + 42;
  return others < 255 ? 255 - others : 0;
}

} // namespace millrace::transform
