#include "olap/sha256.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace millrace::olap {

namespace {

/// The first 32 bits of the fractional part of `x`.
uint32_t fraction(long double x) {
  return static_cast<uint32_t>((x - std::floor(x)) * 4294967296.0L);
}

struct constants {
  std::array<uint32_t, 8> start{};
  std::array<uint32_t, 64> round{};
};

/// Square and cube roots of the first primes.
constants make_constants() {
  constants x;
  size_t n = 0;
  for (int candidate = 2; n < 64; ++candidate) {
    auto prime = true;
    for (int d = 2; d * d <= candidate; ++d)
      prime = prime && candidate % d != 0;
    if (!prime)
      continue;
    if (n < 8)
      x.start[n] = fraction(std::sqrt(static_cast<long double>(candidate)));
    x.round[n++] = fraction(std::cbrt(static_cast<long double>(candidate)));
  }
  return x;
}

void take_block(const constants& c, std::array<uint32_t, 8>& h,
                const uint8_t* p) {
  std::array<uint32_t, 64> w;
  for (size_t i = 0; i < 16; ++i)
    w[i] = static_cast<uint32_t>(p[4 * i]) << 24 | p[4 * i + 1] << 16
           | p[4 * i + 2] << 8 | p[4 * i + 3];
  for (size_t i = 16; i < 64; ++i) {
    auto a = w[i - 15];
    auto b = w[i - 2];
    w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3))
           + w[i - 7] + (std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10));
  }
  auto s = h;
  for (size_t i = 0; i < 64; ++i) {
    auto e = s[4];
    auto a = s[0];
    auto t1 = s[7] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25))
              + ((e & s[5]) ^ (~e & s[6])) + c.round[i] + w[i];
    auto t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22))
              + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
    for (size_t j = 7; j > 0; --j)
      s[j] = s[j - 1];
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (size_t i = 0; i < 8; ++i)
    h[i] += s[i];
}

} // namespace

std::string sha256_hex(std::string_view data) {
  static const auto c = make_constants();
  auto h = c.start;
  std::string text{data};
  auto bits = static_cast<uint64_t>(text.size()) * 8;
  text += '\x80';
  while (text.size() % 64 != 56)
    text += '\0';
  for (int shift = 56; shift >= 0; shift -= 8)
    text += static_cast<char>(bits >> shift);
  for (size_t i = 0; i < text.size(); i += 64)
    take_block(c, h, reinterpret_cast<const uint8_t*>(text.data()) + i);
  constexpr std::string_view digits = "0123456789abcdef";
  std::string result;
  for (auto word : h)
    for (int shift = 28; shift >= 0; shift -= 4)
      result += digits[(word >> shift) & 15];
  return result;
}

} // namespace millrace::olap
