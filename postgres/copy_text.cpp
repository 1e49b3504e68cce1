#include "postgres/copy_text.hpp"

#include <cstring>

namespace millrace::postgres {

namespace {

int digit(char c, int base) {
  auto lower = c | 0x20;
  auto result = c >= '0' && c <= '9'           ? c - '0'
                : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                               : 16;
  return result < base ? result : -1;
}

// Reads up to `most` digits.
const char*
number(const char* pos, const char* end, int base, int most, char& out) {
  auto value = 0;
  for (; most > 0 && pos != end && digit(*pos, base) >= 0; --most)
    value = value * base + digit(*pos++, base);
  out = static_cast<char>(value);
  return pos;
}

// Unescapes [pos, end) to `out`, which may overlap from below. Null when the
// text ends in the middle of an escape.
char* unescape(const char* pos, const char* end, char* out) {
  while (pos != end) {
    auto n = static_cast<size_t>(end - pos);
    const auto* slash = static_cast<const char*>(std::memchr(pos, '\\', n));
    if (slash == nullptr) {
      std::memmove(out, pos, n);
      return out + n;
    }
    n = static_cast<size_t>(slash - pos);
    std::memmove(out, pos, n);
    out += n;
    pos = slash + 1;
    if (pos == end)
      return nullptr;
    auto c = *pos++;
    switch (c) {
      case 'b':
        *out++ = '\b';
        break;
      case 'f':
        *out++ = '\f';
        break;
      case 'n':
        *out++ = '\n';
        break;
      case 'r':
        *out++ = '\r';
        break;
      case 't':
        *out++ = '\t';
        break;
      case 'v':
        *out++ = '\v';
        break;
      case 'x':
        if (pos != end && digit(*pos, 16) >= 0)
          pos = number(pos, end, 16, 2, *out++);
        else
          *out++ = c;
        break;
      default:
        if (digit(c, 8) >= 0)
          pos = number(pos - 1, end, 8, 3, *out++);
        else
          *out++ = c;
    }
  }
  return out;
}

// Unescapes where it stands.
bool split_row(char* begin, size_t n, uint32_t columns, size_t base,
               cell* out) {
  if (n > 0 && begin[n - 1] == '\n')
    --n;
  auto* end = begin + n;
  auto escaped = n > 0 && std::memchr(begin, '\\', n) != nullptr;
  auto* pos = begin;
  for (uint32_t i = 0; i < columns; ++i, ++out) {
    // A raw tab separates; one in a value is escaped.
    auto* stop = pos == end
                   ? nullptr
                   : static_cast<char*>(std::memchr(pos, '\t', end - pos));
    if ((stop == nullptr) != (i + 1 == columns))
      return false;
    if (stop == nullptr)
      stop = end;
    out->offset = static_cast<uint32_t>(base + (pos - begin));
    out->size = static_cast<int32_t>(stop - pos);
    if (escaped) {
      if (stop - pos == 2 && pos[0] == '\\' && pos[1] == 'N') {
        *out = {0, cell::null};
      } else {
        auto* last = unescape(pos, stop, pos);
        if (last == nullptr)
          return false;
        out->size = static_cast<int32_t>(last - pos);
      }
    }
    pos = stop + 1;
  }
  return columns > 0 || n == 0;
}

} // namespace

bool append_copy_row(std::string_view row, uint32_t columns, text_buffer& text,
                     cell* out) {
  auto base = text.size();
  text.append(row);
  return split_row(text.data() + base, row.size(), columns, base, out);
}

bool read_copy_row(uint32_t columns, text_buffer& text, cell* out) {
  return split_row(text.data(), text.size(), columns, 0, out);
}

} // namespace millrace::postgres
