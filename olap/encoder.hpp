#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace millrace::olap {

/// Compresses an answer piece by piece.
class encoder {
public:
  virtual ~encoder() = default;

  /// Compresses `data`; appends what is ready to `out`.
  virtual void put(std::string_view data, std::string& out) = 0;

  /// Ends the compressed stream.
  virtual void finish(std::string& out) = 0;
};

/// The best of the encodings that `Accept-Encoding` names and we write: lz4,
/// zstd, gzip, deflate; empty for none.
std::string_view choose_encoding(std::string_view accept_encoding);

/// Encoder for a content encoding; null for an unknown one. `level` is that of
/// zlib and zstd.
std::unique_ptr<encoder> make_encoder(std::string_view encoding, int level);

/// Encoder for `compress=1`.
std::unique_ptr<encoder> make_block_encoder();

} // namespace millrace::olap
