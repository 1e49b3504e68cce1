#include "http/target.hpp"

namespace millrace::http {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

} // namespace

const std::string* target::find(std::string_view name) const {
  for (auto& [key, value] : parameters)
    if (key == name)
      return &value;
  return nullptr;
}

std::string percent_decode(std::string_view text, bool plus_is_blank) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    auto c = text[i];
    if (c == '+' && plus_is_blank) {
      result += ' ';
    } else if (c == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0
               && hex_digit(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_digit(text[i + 1]) * 16
                                  + hex_digit(text[i + 2]));
      i += 2;
    } else {
      result += c;
    }
  }
  return result;
}

parameter_list parse_parameters(std::string_view text) {
  parameter_list result;
  while (!text.empty()) {
    auto pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty())
      continue;
    auto equals = std::min(pair.find('='), pair.size());
    auto value = pair.substr(std::min(pair.size(), equals + 1));
    result.emplace_back(percent_decode(pair.substr(0, equals), true),
                        percent_decode(value, true));
  }
  return result;
}

target parse_target(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    auto scheme = text.find("://");
    auto slash
      = scheme == text.npos ? text.npos : text.find_first_of("/?", scheme + 3);
    if (scheme != text.npos)
      text = slash == text.npos ? std::string_view{} : text.substr(slash);
  }
  text = text.substr(0, text.find('#'));
  auto question = std::min(text.find('?'), text.size());
  target result;
  result.path = percent_decode(text.substr(0, question), false);
  if (result.path.empty())
    result.path += '/'; // an assignment draws a false warning of g++ 12
  result.parameters
    = parse_parameters(text.substr(std::min(text.size(), question + 1)));
  return result;
}

} // namespace millrace::http
