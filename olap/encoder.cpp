#include "olap/encoder.hpp"

#include "olap/native_lz4.hpp"

#include <algorithm>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

namespace millrace::olap {

namespace {

class deflater : public encoder {
public:
  deflater(bool gzip, int level) {
    deflateInit2(&stream_, level, Z_DEFLATED, gzip ? 15 + 16 : 15, 8,
                 Z_DEFAULT_STRATEGY);
  }

  ~deflater() override {
    deflateEnd(&stream_);
  }

  void put(std::string_view data, std::string& out) override {
    run(data, out, Z_NO_FLUSH);
  }

  void finish(std::string& out) override {
    run({}, out, Z_FINISH);
  }

private:
  void run(std::string_view data, std::string& out, int flush) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream_.avail_in = static_cast<uInt>(data.size());
    do {
      auto begin = out.size();
      out.resize(begin + (64 << 10));
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + begin);
      stream_.avail_out = 64 << 10;
      deflate(&stream_, flush);
      out.resize(out.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

  z_stream stream_{};
};

class zstd_writer : public encoder {
public:
  explicit zstd_writer(int level) {
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
  }

  ~zstd_writer() override {
    ZSTD_freeCCtx(context_);
  }

  void put(std::string_view data, std::string& out) override {
    run(data, out, ZSTD_e_continue);
  }

  void finish(std::string& out) override {
    run({}, out, ZSTD_e_end);
  }

private:
  void run(std::string_view data, std::string& out, ZSTD_EndDirective how) {
    ZSTD_inBuffer source{data.data(), data.size(), 0};
    size_t left = 1;
    while (how == ZSTD_e_end ? left > 0 : source.pos < source.size) {
      auto begin = out.size();
      out.resize(begin + (64 << 10));
      ZSTD_outBuffer target{out.data() + begin, 64 << 10, 0};
      left = ZSTD_compressStream2(context_, &target, &source, how);
      out.resize(begin + target.pos);
      if (ZSTD_isError(left))
        return;
    }
  }

  ZSTD_CCtx* context_ = ZSTD_createCCtx();
};

class lz4_writer : public encoder {
public:
  lz4_writer() {
    LZ4F_createCompressionContext(&context_, LZ4F_VERSION);
    preferences_.frameInfo.blockSizeID = LZ4F_max256KB;
  }

  ~lz4_writer() override {
    LZ4F_freeCompressionContext(context_);
  }

  void put(std::string_view data, std::string& out) override {
    begin(out);
    auto at = out.size();
    out.resize(at + LZ4F_compressBound(data.size(), &preferences_));
    take(LZ4F_compressUpdate(context_, out.data() + at, out.size() - at,
                             data.data(), data.size(), nullptr),
         at, out);
  }

  void finish(std::string& out) override {
    begin(out);
    auto at = out.size();
    out.resize(at + LZ4F_compressBound(0, &preferences_));
    take(LZ4F_compressEnd(context_, out.data() + at, out.size() - at, nullptr),
         at, out);
  }

private:
  void begin(std::string& out) {
    if (begun_)
      return;
    begun_ = true;
    auto at = out.size();
    out.resize(at + LZ4F_HEADER_SIZE_MAX);
    take(LZ4F_compressBegin(context_, out.data() + at, LZ4F_HEADER_SIZE_MAX,
                            &preferences_),
         at, out);
  }

  static void take(size_t written, size_t at, std::string& out) {
    out.resize(at + (LZ4F_isError(written) ? 0 : written));
  }

  LZ4F_cctx* context_ = nullptr;
  LZ4F_preferences_t preferences_{};
  bool begun_ = false;
};

class block_encoder : public encoder {
public:
  void put(std::string_view data, std::string& out) override {
    while (!data.empty()) {
      auto n = std::min(data.size(), native_block::chunk_size - rest_.size());
      if (rest_.empty() && n == native_block::chunk_size) {
        native_block::append(out, data.substr(0, n));
      } else {
        rest_.append(data.substr(0, n));
        if (rest_.size() == native_block::chunk_size)
          flush(out);
      }
      data.remove_prefix(n);
    }
  }

  void finish(std::string& out) override {
    if (!rest_.empty())
      flush(out);
  }

private:
  void flush(std::string& out) {
    native_block::append(out, rest_);
    rest_.clear();
  }

  std::string rest_;
};

} // namespace

std::string_view choose_encoding(std::string_view accept) {
  constexpr std::string_view ours[] = {"lz4", "zstd", "gzip", "deflate"};
  std::string_view best;
  size_t rank = std::size(ours);
  while (!accept.empty()) {
    auto item = accept.substr(0, accept.find(','));
    accept.remove_prefix(std::min(accept.size(), item.size() + 1));
    auto weight = item.find(';');
    if (weight != item.npos
        && item.substr(weight).find_first_of("123456789") == item.npos)
      continue; // q=0
    item = item.substr(0, weight);
    while (!item.empty() && item.front() == ' ')
      item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ')
      item.remove_suffix(1);
    for (size_t i = 0; i < rank; ++i)
      if (item == ours[i]) {
        best = ours[i];
        rank = i;
      }
  }
  return best;
}

std::unique_ptr<encoder> make_encoder(std::string_view encoding, int level) {
  if (encoding == "lz4")
    return std::make_unique<lz4_writer>();
  if (encoding == "zstd")
    return std::make_unique<zstd_writer>(level);
  if (encoding == "gzip" || encoding == "deflate")
    return std::make_unique<deflater>(encoding == "gzip", level);
  return nullptr;
}

std::unique_ptr<encoder> make_block_encoder() {
  return std::make_unique<block_encoder>();
}

} // namespace millrace::olap
