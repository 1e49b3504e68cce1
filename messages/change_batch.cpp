#include "messages/change_batch.hpp"

#include <iterator>

namespace millrace {

const char* to_string(operation x) {
  constexpr const char* names[]
    = {"insert", "update", "delete", "read", "truncate"};
  auto i = static_cast<size_t>(x);
  return i < std::size(names) ? names[i] : "unknown";
}

} // namespace millrace
