#pragma once

#include "postgres/pgoutput.hpp"

#include <cstring>

namespace millrace::postgres {

/// Reads big-endian values; `ok` turns false at the first byte too few.
struct pgoutput_decoder::cursor {
  const char* begin;
  const char* pos;
  const char* end;
  bool ok = true;

  explicit cursor(std::string_view x)
    : begin(x.data()), pos(x.data()), end(x.data() + x.size()) {
    // nop
  }

  bool has(size_t n) {
    ok = ok && static_cast<size_t>(end - pos) >= n;
    return ok;
  }

  uint8_t u8() {
    return has(1) ? static_cast<uint8_t>(*pos++) : 0;
  }

  uint16_t u16() {
    if (!has(2))
      return 0;
    uint16_t x;
    std::memcpy(&x, pos, 2);
    pos += 2;
    return __builtin_bswap16(x);
  }

  uint32_t u32() {
    if (!has(4))
      return 0;
    uint32_t x;
    std::memcpy(&x, pos, 4);
    pos += 4;
    return __builtin_bswap32(x);
  }

  uint64_t u64() {
    if (!has(8))
      return 0;
    uint64_t x;
    std::memcpy(&x, pos, 8);
    pos += 8;
    return __builtin_bswap64(x);
  }

  std::string_view text() {
    const auto* zero
      = ok ? static_cast<const char*>(std::memchr(pos, 0, end - pos)) : nullptr;
    if (zero == nullptr) {
      ok = false;
      return {};
    }
    std::string_view result{pos, static_cast<size_t>(zero - pos)};
    pos = zero + 1;
    return result;
  }

  void pass(size_t n) {
    if (has(n))
      pos += n;
  }

  bool at_end() const {
    return ok && pos == end;
  }
};

} // namespace millrace::postgres
