#include "clickhouse/row_binary.hpp"

namespace millrace::clickhouse {

using transform::clickhouse_type;
using transform::type_family;

namespace {

/// Bytes of a value; 0 when they vary.
size_t fixed_size(const clickhouse_type& x) {
  switch (x.family) {
    case type_family::boolean:
      return 1;
    case type_family::signed_integer:
    case type_family::unsigned_integer:
    case type_family::floating:
      return static_cast<size_t>(x.bits) / 8;
    case type_family::decimal:
      return x.precision <= 9    ? 4
             : x.precision <= 18 ? 8
             : x.precision <= 38 ? 16
                                 : 32;
    case type_family::fixed_string:
      return static_cast<size_t>(x.bits);
    case type_family::date:
      return 2;
    case type_family::date32:
    case type_family::datetime:
      return 4;
    case type_family::datetime64:
      return 8;
    case type_family::uuid:
      return 16;
    default:
      return 0;
  }
}

} // namespace

void put_varint(std::string& out, uint64_t x) {
  while (x >= 0x80) {
    out += static_cast<char>((x & 0x7F) | 0x80);
    x >>= 7;
  }
  out += static_cast<char>(x);
}

void put_string(std::string& out, std::string_view x) {
  put_varint(out, x.size());
  out += x;
}

uint64_t row_binary_reader::varint() {
  uint64_t out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    auto byte = bytes(1);
    if (failed_)
      return 0;
    auto u = static_cast<unsigned char>(byte[0]);
    out |= static_cast<uint64_t>(u & 0x7F) << shift;
    if (u < 0x80)
      return out;
  }
  failed_ = true;
  return 0;
}

std::string_view row_binary_reader::bytes(size_t n) {
  if (n > rest_.size()) {
    failed_ = true;
    rest_ = {};
    return {};
  }
  auto out = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return out;
}

std::string_view row_binary_reader::string() {
  return bytes(varint());
}

uint64_t row_binary_reader::integer(size_t size) {
  uint64_t out = 0;
  auto raw = bytes(size);
  for (size_t i = 0; i < raw.size(); ++i)
    out |= static_cast<uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
  return out;
}

std::string_view row_binary_reader::value(const clickhouse_type& type) {
  auto begin = rest_;
  skip(type);
  return failed_ ? std::string_view{}
                 : begin.substr(0, begin.size() - rest_.size());
}

void row_binary_reader::skip(const clickhouse_type& type) {
  if (failed_)
    return;
  switch (type.family) {
    case type_family::string:
    case type_family::json:
      string();
      break;
    case type_family::low_cardinality:
      skip(type.inner[0]);
      break;
    case type_family::nullable:
      if (integer(1) == 0)
        skip(type.inner[0]);
      break;
    case type_family::array:
      for (auto n = varint(); n > 0 && !failed_; --n)
        skip(type.inner[0]);
      break;
    case type_family::other:
      failed_ = true;
      break;
    default:
      bytes(fixed_size(type));
  }
}

bool has_known_layout(const clickhouse_type& type) {
  if (type.family == type_family::other)
    return false;
  return type.inner.empty() || has_known_layout(type.inner[0]);
}

} // namespace millrace::clickhouse
