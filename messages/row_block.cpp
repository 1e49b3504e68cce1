#include "messages/row_block.hpp"

namespace millrace {

size_t native_bytes::size() const {
  auto result = own.size();
  for (const auto& x : large)
    result += x.bytes.size();
  return result;
}

std::vector<std::string_view> native_bytes::pieces() const {
  std::vector<std::string_view> result;
  result.reserve(2 * large.size() + 1);
  std::string_view rest{own};
  size_t at = 0;
  for (const auto& x : large) {
    result.push_back(rest.substr(0, x.at - at));
    result.push_back(x.bytes);
    rest.remove_prefix(x.at - at);
    at = x.at;
  }
  result.push_back(rest);
  return result;
}

std::string native_bytes::text() const {
  std::string result;
  result.reserve(size());
  for (auto x : pieces())
    result += x;
  return result;
}

} // namespace millrace
