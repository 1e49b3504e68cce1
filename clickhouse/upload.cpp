#include "clickhouse/upload.hpp"

#include <algorithm>
#include <cstring>
#include <lz4frame.h>

namespace millrace::clickhouse {

namespace {

/// Raw bytes that are compressed in one go.
constexpr size_t portion = 256 << 10;

} // namespace

upload::upload(std::vector<std::string_view> pieces, bool compress)
  : pieces_(std::move(pieces)), compress_(compress) {
  for (auto& x : pieces_)
    size_ += x.size();
}

upload::~upload() {
  LZ4F_freeCompressionContext(context_);
}

void upload::rewind() {
  piece_ = 0;
  offset_ = 0;
  begun_ = false;
  ended_ = false;
  staged_at_ = 0;
  staged_end_ = 0;
}

size_t upload::read(char* out, size_t capacity) {
  if (!compress_)
    return take(out, capacity);
  size_t n = 0;
  while (n < capacity) {
    if (staged_at_ == staged_end_) {
      if (ended_)
        break;
      if (!fill())
        return failed;
      continue;
    }
    auto m = std::min(capacity - n, staged_end_ - staged_at_);
    std::memcpy(out + n, staged_.data() + staged_at_, m);
    staged_at_ += m;
    n += m;
  }
  return n;
}

size_t upload::take(char* out, size_t capacity) {
  size_t n = 0;
  while (n < capacity && piece_ < pieces_.size()) {
    auto rest = pieces_[piece_].substr(offset_);
    auto m = std::min(capacity - n, rest.size());
    std::memcpy(out + n, rest.data(), m);
    n += m;
    offset_ += m;
    if (m == rest.size()) {
      ++piece_;
      offset_ = 0;
    }
  }
  return n;
}

bool upload::fill() {
  if (context_ == nullptr) {
    if (LZ4F_isError(LZ4F_createCompressionContext(&context_, LZ4F_VERSION)))
      return false;
    staged_.resize(LZ4F_compressBound(portion, nullptr) + LZ4F_HEADER_SIZE_MAX);
  }
  size_t n = 0;
  if (!begun_) {
    n = LZ4F_compressBegin(context_, staged_.data(), staged_.size(), nullptr);
    begun_ = true;
  } else {
    while (piece_ < pieces_.size() && pieces_[piece_].size() == offset_) {
      ++piece_;
      offset_ = 0;
    }
    if (piece_ < pieces_.size()) {
      auto raw = pieces_[piece_].substr(offset_, portion);
      n = LZ4F_compressUpdate(context_, staged_.data(), staged_.size(),
                              raw.data(), raw.size(), nullptr);
      offset_ += raw.size();
    } else {
      n = LZ4F_compressEnd(context_, staged_.data(), staged_.size(), nullptr);
      ended_ = true;
    }
  }
  if (LZ4F_isError(n))
    return false;
  staged_at_ = 0;
  staged_end_ = n;
  return true;
}

} // namespace millrace::clickhouse
