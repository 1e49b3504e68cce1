#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct LZ4F_cctx_s;

namespace millrace::clickhouse {

/// The body of a request as a stream: pieces one after another, not copied,
/// optionally as an LZ4 frame (`Content-Encoding: lz4`). The pieces must
/// outlive the upload.
class upload {
public:
  upload(std::vector<std::string_view> pieces, bool compress);
  ~upload();
  upload(const upload&) = delete;

  /// Bytes of the pieces.
  size_t size() const {
    return size_;
  }

  bool compressed() const {
    return compress_;
  }

  static constexpr size_t failed = static_cast<size_t>(-1);

  /// Writes up to `capacity` bytes to `out`; 0 at the end, `failed` when the
  /// compressor fails.
  size_t read(char* out, size_t capacity);

  /// Starts again, for a request that must be repeated.
  void rewind();

private:
  size_t take(char* out, size_t capacity);
  bool fill();

  std::vector<std::string_view> pieces_;
  size_t size_ = 0;
  bool compress_ = false;
  size_t piece_ = 0;
  size_t offset_ = 0;

  // Compressor and its output that has not been read.
  LZ4F_cctx_s* context_ = nullptr;
  bool begun_ = false;
  bool ended_ = false;
  std::vector<char> staged_;
  size_t staged_at_ = 0;
  size_t staged_end_ = 0;
};

} // namespace millrace::clickhouse
