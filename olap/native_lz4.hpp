#pragma once

#include "olap/db_error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::olap {

/// ClickHouse's compressed blocks, as `compress=1` and `decompress=1` use them:
/// CityHash128 of what follows (16 bytes), method (1 byte), size of the block
/// without the hash (4), size of the data (4), data.
namespace native_block {

constexpr size_t checksum_size = 16;
constexpr size_t header_size = checksum_size + 9;

/// Larger blocks are refused: they would have to be held in memory.
constexpr size_t max_size = 256 << 20;

/// Data of one block that we write.
constexpr size_t chunk_size = 1 << 20;

enum class method : uint8_t {
  none = 0x02,
  lz4 = 0x82,
  zstd = 0x90,
};

struct header {
  method how = method::none;

  /// Bytes of the block behind the header.
  size_t compressed = 0;

  /// Bytes of the data.
  size_t plain = 0;
};

/// Appends `data` (at most chunk_size) as one LZ4 block to `out`.
void append(std::string& out, std::string_view data);

/// Reads a header from `header_size` bytes.
db_error read_header(std::string_view bytes, header& x);

/// Writes the data of a whole block (header included, as `x` has it) to
/// `target`, which has room for `x.plain` bytes.
db_error decode_to(std::string_view block, const header& x, char* target);

/// Appends the data of a whole block (header included) to `out`.
db_error decode(std::string_view block, std::string& out);

} // namespace native_block

} // namespace millrace::olap
