#pragma once

#include "olap/byte_source.hpp"

#include <memory>
#include <string_view>

namespace millrace::olap {

/// Decodes a body of `Content-Encoding: encoding` (gzip, deflate, lz4, zstd, in
/// one piece of memory of 256 KB). Null when the encoding is unknown. `in` must
/// outlive it.
std::unique_ptr<byte_source>
make_decoder(std::string_view encoding, byte_source& in);

/// Decodes `decompress=1`: ClickHouse's compressed blocks.
std::unique_ptr<byte_source> make_block_decoder(byte_source& in);

} // namespace millrace::olap
