#pragma once

#include "transform/values.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

/// Codecs: one value of PostgreSQL's text to ClickHouse's binary form (Native
/// and RowBinary agree on it). Each has
///
///   write(at, p, n, end, status)  writes behind `at`, returns where it ended;
///                                 `end` is how far the memory at `p` may be
///                                 read; on failure it writes the default
///   write_default(at)
///   bound(n)                      most bytes that `write` may touch for n
///                                 bytes of text
///   element_overhead              the same beyond n when `end` is the text's
///   binary_size(p, end)           length of the RowBinary value at `p`; 0 when
///                                 it does not end before `end`
namespace millrace::transform {

static_assert(std::endian::native == std::endian::little);

template <class T>
char* store(char* at, const T& x) {
  std::memcpy(at, &x, sizeof(T));
  return at + sizeof(T);
}

/// LEB128 as ClickHouse writes lengths.
inline char* store_varint(char* at, uint64_t x) {
  for (; x >= 128; x >>= 7)
    *at++ = static_cast<char>(x | 128);
  *at++ = static_cast<char>(x);
  return at;
}

/// False when the number does not end before `end`.
inline bool load_varint(const char*& p, const char* end, uint64_t& x) {
  x = 0;
  for (int shift = 0; p != end && shift < 64; shift += 7) {
    auto byte = static_cast<unsigned char>(*p++);
    x |= static_cast<uint64_t>(byte & 127) << shift;
    if (byte < 128)
      return true;
  }
  return false;
}

/// What values of a fixed width share; `Derived::read` converts.
template <class Derived, class T>
struct fixed_codec {
  using value_type = T;
  static constexpr size_t element_overhead = sizeof(T);

  size_t bound(size_t) const {
    return sizeof(T);
  }

  char* write(char* at, const char* p, uint32_t n, const char*,
              value_status& status) const {
    T value{};
    status = static_cast<const Derived*>(this)->read(p, n, value);
    return store(at, value);
  }

  char* write_default(char* at) const {
    return store(at, T{});
  }

  size_t binary_size(const char* p, const char* end) const {
    return static_cast<size_t>(end - p) >= sizeof(T) ? sizeof(T) : 0;
  }
};

struct bool_codec : fixed_codec<bool_codec, uint8_t> {
  value_status read(const char* p, uint32_t n, uint8_t& out) const {
    if (n != 1 || (*p != 't' && *p != 'f'))
      return value_status::malformed;
    out = *p == 't';
    return value_status::ok;
  }
};

template <class T>
struct integer_codec : fixed_codec<integer_codec<T>, T> {
  value_status read(const char* p, uint32_t n, T& out) const {
    return parse_integer(p, n, out);
  }
};

/// `Source` is the width that PostgreSQL prints: a float4 keeps its value.
template <class T, class Source = T>
struct float_codec : fixed_codec<float_codec<T, Source>, T> {
  value_status read(const char* p, uint32_t n, T& out) const {
    Source value{};
    auto status = parse_float(p, n, value);
    out = static_cast<T>(value);
    return status;
  }
};

/// Decimals of 32 and 64 bits.
template <class T>
struct decimal_codec : fixed_codec<decimal_codec<T>, T> {
  int precision = 0;
  int scale = 0;

  value_status read(const char* p, uint32_t n, T& out) const {
    int64_t value = 0;
    auto status = parse_decimal(p, n, precision, scale, value);
    out = static_cast<T>(value);
    return status;
  }
};

template <size_t Words>
struct wide_value {
  uint64_t words[Words];
};

/// Decimals and integers of 128 and 256 bits.
template <size_t Words>
struct wide_codec : fixed_codec<wide_codec<Words>, wide_value<Words>> {
  int precision = 0;
  int scale = 0;
  bool is_signed = true;

  value_status read(const char* p, uint32_t n, wide_value<Words>& out) const {
    wide_integer value;
    auto status = parse_wide_decimal(p, n, precision, scale, value);
    if (status == value_status::ok && !is_signed && value.words[3] >> 63 != 0)
      return value_status::overflow;
    std::copy_n(value.words, Words, out.words);
    return status;
  }
};

/// Moves a value to the nearest end of its range, or refuses to.
struct range_rule {
  int64_t min = 0;
  int64_t max = 0;
  bool refuse = false;

  value_status apply(int64_t& x) const {
    if (x >= min && x <= max) [[likely]]
      return value_status::ok;
    if (refuse)
      return value_status::out_of_range;
    x = x < min ? min : max;
    return value_status::saturated;
  }
};

/// Date (uint16_t) and Date32 (int32_t).
template <class T>
struct date_codec : fixed_codec<date_codec<T>, T> {
  range_rule range;

  value_status read(const char* p, uint32_t n, T& out) const {
    int64_t days = 0;
    auto status = parse_date(p, n, days);
    if (status == value_status::ok)
      status = range.apply(days);
    out = static_cast<T>(days);
    return status;
  }
};

/// DateTime (uint32_t, seconds) and DateTime64 (int64_t). The range is in
/// microseconds.
template <class T>
struct timestamp_codec : fixed_codec<timestamp_codec<T>, T> {
  range_rule range;

  /// Microseconds become `x * multiplier / divisor`.
  int64_t multiplier = 1;
  int64_t divisor = 1;

  value_status read(const char* p, uint32_t n, T& out) const {
    int64_t micros = 0;
    auto status = parse_timestamp(p, n, micros);
    if (status == value_status::ok) [[likely]]
      status = range.apply(micros);
    if (status > value_status::saturated) [[unlikely]]
      return status;
    if (divisor != 1) [[unlikely]] {
      auto rest = micros % divisor;
      // An end of the range need not be a whole number of units.
      if (rest != 0 && status == value_status::ok)
        return value_status::inexact;
      micros -= rest;
      micros /= divisor;
    }
    out = static_cast<T>(micros * multiplier);
    return status;
  }
};

struct uuid_codec : fixed_codec<uuid_codec, wide_value<2>> {
  value_status read(const char* p, uint32_t n, wide_value<2>& out) const {
    return parse_uuid(p, n, reinterpret_cast<char*>(out.words));
  }
};

/// What strings share: a length and bytes.
struct string_base {
  /// Over-long copies of short texts need some slack.
  static constexpr size_t slack = 48;
  static constexpr size_t element_overhead = 5;

  size_t bound(size_t n) const {
    return n + slack;
  }

  char* write_default(char* at) const {
    *at = 0;
    return at + 1;
  }

  size_t binary_size(const char* p, const char* end) const {
    const char* begin = p;
    uint64_t size = 0;
    if (!load_varint(p, end, size) || size > static_cast<uint64_t>(end - p))
      return 0;
    return p - begin + size;
  }
};

struct text_codec : string_base {
  char* write(char* at, const char* p, uint32_t n, const char* end,
              value_status& status) const {
    status = value_status::ok;
    if (n <= 32 && end - p >= 32) [[likely]] {
      *at = static_cast<char>(n);
      std::memcpy(at + 1, p, 32);
      return at + 1 + n;
    }
    at = store_varint(at, n);
    std::memcpy(at, p, n);
    return at + n;
  }
};

struct bytea_codec : string_base {
  char* write(char* at, const char* p, uint32_t n, const char*,
              value_status& status) const {
    char* begin = at;
    at = store_varint(at, n < 2 ? 0 : (n - 2) / 2);
    status = parse_bytea(p, n, at);
    if (status != value_status::ok)
      return write_default(begin);
    return at + (n - 2) / 2;
  }
};

/// Text for a column of type JSON, which holds objects only.
struct json_codec : text_codec {
  char* write(char* at, const char* p, uint32_t n, const char* end,
              value_status& status) const {
    const char* first = std::find_if(p, p + n, [](char c) {
      return c != ' ' && c != '\t' && c != '\n' && c != '\r';
    });
    if (first == p + n || *first != '{') {
      status = value_status::no_object;
      return write_default(at);
    }
    return text_codec::write(at, p, n, end, status);
  }

  char* write_default(char* at) const {
    std::memcpy(at, "\2{}", 3);
    return at + 3;
  }
};

/// Whether the codec's zeros have a sign.
template <class Codec>
constexpr bool is_float_codec = false;

template <class T, class Source>
constexpr bool is_float_codec<float_codec<T, Source>> = true;

} // namespace millrace::transform
