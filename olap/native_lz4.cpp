#include "olap/native_lz4.hpp"

#include "olap/city_hash.hpp"

#include <cstring>
#include <lz4.h>
#include <zstd.h>

namespace millrace::olap::native_block {

namespace {

uint32_t load32(const char* p) {
  uint32_t x;
  std::memcpy(&x, p, sizeof(x));
  return x;
}

template <class T>
void store(char* p, T x) {
  std::memcpy(p, &x, sizeof(x));
}

db_error broken(std::string_view text) {
  return make_error(271, "CANNOT_DECOMPRESS", text);
}

} // namespace

void append(std::string& out, std::string_view data) {
  auto bound = LZ4_compressBound(static_cast<int>(data.size()));
  auto begin = out.size();
  out.resize(begin + header_size + static_cast<size_t>(bound));
  auto* p = out.data() + begin;
  auto n = LZ4_compress_default(data.data(), p + header_size,
                                static_cast<int>(data.size()), bound);
  auto size = static_cast<uint32_t>(n);
  p[checksum_size] = static_cast<char>(method::lz4);
  store(p + checksum_size + 1, size + 9);
  store(p + checksum_size + 5, static_cast<uint32_t>(data.size()));
  auto hash = city_hash_128({p + checksum_size, size + 9});
  store(p, hash.low);
  store(p + 8, hash.high);
  out.resize(begin + header_size + size);
}

db_error read_header(std::string_view bytes, header& x) {
  x.how = static_cast<method>(bytes[checksum_size]);
  size_t size = load32(bytes.data() + checksum_size + 1);
  x.plain = load32(bytes.data() + checksum_size + 5);
  if (x.how != method::none && x.how != method::lz4 && x.how != method::zstd)
    return make_error(89, "UNKNOWN_COMPRESSION_METHOD",
                      "Unknown codec family code: "
                        + std::to_string(static_cast<int>(x.how)));
  if (size < 9 || size > max_size || x.plain > max_size)
    return make_error(128, "TOO_LARGE_SIZE_COMPRESSED",
                      "Compressed block has a wrong size: "
                        + std::to_string(size) + " bytes with "
                        + std::to_string(x.plain) + " bytes of data");
  x.compressed = size - 9;
  return {};
}

db_error decode_to(std::string_view block, const header& x, char* target) {
  if (block.size() != header_size + x.compressed)
    return broken("Compressed block is cut off");
  hash128 wanted;
  std::memcpy(&wanted, block.data(), sizeof(wanted));
  if (city_hash_128(block.substr(checksum_size)) != wanted)
    return make_error(40, "CHECKSUM_DOESNT_MATCH",
                      "Checksum doesn't match: corrupted data");
  auto data = block.substr(header_size);
  size_t n = 0;
  if (x.how == method::lz4) {
    auto rc
      = LZ4_decompress_safe(data.data(), target, static_cast<int>(data.size()),
                            static_cast<int>(x.plain));
    if (rc < 0)
      return broken("Cannot LZ4_decompress_safe");
    n = static_cast<size_t>(rc);
  } else if (x.how == method::zstd) {
    n = ZSTD_decompress(target, x.plain, data.data(), data.size());
    if (ZSTD_isError(n))
      return broken("Cannot decompress ZSTD block");
  } else {
    n = data.size();
    if (n == x.plain && n > 0)
      std::memcpy(target, data.data(), n);
  }
  if (n != x.plain)
    return broken("Compressed block has another size than it says");
  return {};
}

db_error decode(std::string_view block, std::string& out) {
  header x;
  if (block.size() < header_size)
    return broken("Compressed block is cut off");
  if (auto err = read_header(block, x))
    return err;
  auto begin = out.size();
  out.resize(begin + x.plain);
  return decode_to(block, x, out.data() + begin);
}

} // namespace millrace::olap::native_block
