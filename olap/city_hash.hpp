#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::olap {

struct hash128 {
  uint64_t low = 0;
  uint64_t high = 0;

  bool operator==(const hash128&) const = default;
};

/// CityHash128 of version 1.0.2, which ClickHouse's compressed blocks carry;
/// later versions of CityHash give other values.
hash128 city_hash_128(std::string_view data);

} // namespace millrace::olap
