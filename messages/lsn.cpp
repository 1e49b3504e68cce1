#include "messages/lsn.hpp"

#include <charconv>
#include <cstdio>

namespace millrace {

namespace {

bool parse_half(std::string_view text, uint32_t& out) {
  const auto* end = text.data() + text.size();
  auto [ptr, err] = std::from_chars(text.data(), end, out, 16);
  return err == std::errc{} && ptr == end;
}

} // namespace

std::string to_string(lsn x) {
  char buf[32];
  std::snprintf(buf, sizeof(buf), "%X/%X", static_cast<uint32_t>(x.value >> 32),
                static_cast<uint32_t>(x.value));
  return buf;
}

std::optional<lsn> parse_lsn(std::string_view text) {
  auto slash = text.find('/');
  uint32_t high = 0;
  uint32_t low = 0;
  if (slash == std::string_view::npos
      || !parse_half(text.substr(0, slash), high)
      || !parse_half(text.substr(slash + 1), low))
    return std::nullopt;
  return lsn{uint64_t{high} << 32 | low};
}

} // namespace millrace
