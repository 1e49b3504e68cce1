#pragma once

#include "messages/ec.hpp"
#include "transform/clickhouse_type.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace millrace::clickhouse {

/// @name Writing RowBinary
/// @{
void put_varint(std::string& out, uint64_t x);
void put_string(std::string& out, std::string_view x);

/// Integers, little endian.
template <class T>
void put_integer(std::string& out, T x) {
  auto bits = static_cast<std::make_unsigned_t<T>>(x);
  for (size_t i = 0; i < sizeof(T); ++i)
    out += static_cast<char>(bits >> (8 * i) & 0xFF);
}
/// @}

/// Reads RowBinary front to back. After a read beyond the end `failed` is
/// true, and everything read is empty.
class row_binary_reader {
public:
  explicit row_binary_reader(std::string_view bytes) : rest_(bytes) {
    // nop
  }

  bool at_end() const {
    return rest_.empty();
  }

  bool failed() const {
    return failed_;
  }

  uint64_t varint();
  std::string_view string();
  std::string_view bytes(size_t n);
  uint64_t integer(size_t size);

  /// The bytes of one value of the type.
  std::string_view value(const transform::clickhouse_type& type);

private:
  void skip(const transform::clickhouse_type& type);

  std::string_view rest_;
  bool failed_ = false;
};

/// Whether `row_binary_reader` knows the length of such values.
bool has_known_layout(const transform::clickhouse_type& type);

} // namespace millrace::clickhouse
