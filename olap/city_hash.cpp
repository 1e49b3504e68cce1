#include "olap/city_hash.hpp"

#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

namespace millrace::olap {

namespace {

constexpr uint64_t k0 = 0xc3a5c85c97cb3127;
constexpr uint64_t k1 = 0xb492b66fbe98f273;
constexpr uint64_t k2 = 0x9ae16a3b2f90404f;
constexpr uint64_t k3 = 0xc949d7c7509e6557;

uint64_t load64(const char* p) {
  uint64_t x;
  std::memcpy(&x, p, sizeof(x));
  return x;
}

uint64_t load32(const char* p) {
  uint32_t x;
  std::memcpy(&x, p, sizeof(x));
  return x;
}

uint64_t mix(uint64_t x) {
  return x ^ (x >> 47);
}

/// Murmur-like reduction of two words to one.
uint64_t reduce(uint64_t low, uint64_t high) {
  constexpr uint64_t factor = 0x9ddfea08eb382d69;
  auto a = mix((low ^ high) * factor);
  auto b = mix((high ^ a) * factor);
  return b * factor;
}

uint64_t hash_up_to_16(const char* p, size_t n) {
  if (n > 8) {
    auto a = load64(p);
    auto b = load64(p + n - 8);
    return reduce(a, std::rotr(b + n, static_cast<int>(n))) ^ b;
  }
  if (n >= 4)
    return reduce(n + (load32(p) << 3), load32(p + n - 4));
  if (n == 0)
    return k2;
  auto byte = [p](size_t i) { return static_cast<uint8_t>(p[i]); };
  uint32_t y = byte(0) + (static_cast<uint32_t>(byte(n >> 1)) << 8);
  uint32_t z
    = static_cast<uint32_t>(n) + (static_cast<uint32_t>(byte(n - 1)) << 2);
  return mix(y * k2 ^ z * k3) * k2;
}

struct pair64 {
  uint64_t first;
  uint64_t second;
};

/// Weak hash of 32 bytes with two seeds.
pair64 hash_32(const char* p, uint64_t a, uint64_t b) {
  auto z = load64(p + 24);
  a += load64(p);
  b = std::rotr(b + a + z, 21);
  auto start = a;
  a += load64(p + 8) + load64(p + 16);
  b += std::rotr(a, 44);
  return {a + z, b + start};
}

hash128 hash_short(const char* p, size_t n, uint64_t a, uint64_t b) {
  uint64_t c = 0;
  uint64_t d = 0;
  if (n <= 16) {
    a = mix(a * k1) * k1;
    c = b * k1 + hash_up_to_16(p, n);
    d = mix(a + (n >= 8 ? load64(p) : c));
  } else {
    c = reduce(load64(p + n - 8) + k1, a);
    d = reduce(b + n, c + load64(p + n - 16));
    a += d;
    for (auto left = static_cast<int64_t>(n) - 16; left > 0; left -= 16) {
      a = (a ^ (mix(load64(p) * k1) * k1)) * k1;
      b ^= a;
      c = (c ^ (mix(load64(p + 8) * k1) * k1)) * k1;
      d ^= c;
      p += 16;
    }
  }
  a = reduce(a, c);
  b = reduce(d, b);
  return {a ^ b, reduce(b, a)};
}

/// 56 bytes of state for long inputs.
struct long_state {
  uint64_t x;
  uint64_t y;
  uint64_t z;
  pair64 v;
  pair64 w;

  void take_64(const char* p) {
    x = std::rotr(x + y + v.first + load64(p + 16), 37) * k1;
    y = std::rotr(y + v.second + load64(p + 48), 42) * k1;
    x ^= w.second;
    y ^= v.first;
    z = std::rotr(z ^ w.first, 33);
    v = hash_32(p, v.second * k1, x + w.first);
    w = hash_32(p + 32, z + w.second, y);
    std::swap(z, x);
  }
};

hash128 hash_long(const char* p, size_t n, uint64_t low, uint64_t high) {
  long_state s{};
  s.x = low;
  s.y = high;
  s.z = n * k1;
  s.v.first = std::rotr(s.y ^ k1, 49) * k1 + load64(p);
  s.v.second = std::rotr(s.v.first, 42) * k1 + load64(p + 8);
  s.w.first = std::rotr(s.y + s.z, 35) * k1 + s.x;
  s.w.second = std::rotr(s.x + load64(p + 88), 53) * k1;
  for (; n >= 128; n -= 128, p += 128) {
    s.take_64(p);
    s.take_64(p + 64);
  }
  s.y += std::rotr(s.w.first, 37) * k0 + s.z;
  s.x += std::rotr(s.v.first + s.z, 49) * k0;
  // The rest, from its end; the first piece may reach back into what is done.
  for (size_t done = 0; done < n;) {
    done += 32;
    auto* tail = p + n - done;
    s.y = std::rotr(s.y - s.x, 42) * k0 + s.v.second;
    s.w.first += load64(tail + 16);
    s.x = std::rotr(s.x, 49) * k0 + s.w.first;
    s.w.first += s.v.first;
    s.v = hash_32(tail, s.v.first, s.v.second);
  }
  auto x = reduce(s.x, s.v.first);
  auto y = reduce(s.y, s.w.first);
  return {reduce(x + s.v.second, s.w.second) + y,
          reduce(x + s.w.second, y + s.v.second)};
}

hash128 hash_seeded(const char* p, size_t n, uint64_t low, uint64_t high) {
  return n < 128 ? hash_short(p, n, low, high) : hash_long(p, n, low, high);
}

} // namespace

hash128 city_hash_128(std::string_view data) {
  auto* p = data.data();
  auto n = data.size();
  if (n >= 16)
    return hash_seeded(p + 16, n - 16, load64(p) ^ k3, load64(p + 8));
  if (n >= 8)
    return hash_seeded(nullptr, 0, load64(p) ^ (n * k0),
                       load64(p + n - 8) ^ k1);
  return hash_seeded(p, n, k0, k1);
}

} // namespace millrace::olap
