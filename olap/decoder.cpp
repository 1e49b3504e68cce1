#include "olap/decoder.hpp"

#include "olap/native_lz4.hpp"

#include <algorithm>
#include <lz4frame.h>
#include <string>
#include <zlib.h>
#include <zstd.h>

namespace millrace::olap {

namespace {

constexpr size_t buffer_size = 256 << 10;

db_error broken(std::string_view what) {
  return make_error(271, "CANNOT_DECOMPRESS",
                    "Cannot decompress the request body: " + std::string{what});
}

/// What gzip, zstd and lz4 have in common. `Codec::run` consumes from the front
/// of `in`, writes up to `size` bytes to `out`, and tells whether a frame is
/// open; it returns false when the data are broken.
template <class Codec>
class stream_decoder : public byte_source {
public:
  explicit stream_decoder(byte_source& in)
    : in_(in), buffer_(new char[buffer_size]) {
    // nop
  }

  std::optional<std::string_view> next() override {
    for (;;) {
      if (pending_.empty() && !full_) {
        auto piece = in_.next();
        if (!piece)
          return fail(in_.error());
        if (piece->empty()) {
          if (open_)
            return fail(broken("it is cut off"));
          return piece;
        }
        pending_ = *piece;
      }
      size_t written = 0;
      if (!codec_.run(pending_, buffer_.get(), buffer_size, written, open_))
        return fail(broken(Codec::name));
      full_ = written == buffer_size;
      if (written > 0)
        return std::string_view{buffer_.get(), written};
    }
  }

  db_error error() const override {
    return error_;
  }

private:
  std::optional<std::string_view> fail(db_error error) {
    error_ = std::move(error);
    return std::nullopt;
  }

  byte_source& in_;
  Codec codec_;
  std::unique_ptr<char[]> buffer_;
  std::string_view pending_;
  bool open_ = false;

  /// The codec may have more to give without new input.
  bool full_ = false;
  db_error error_;
};

class inflater {
public:
  static constexpr const char* name = "no gzip or deflate data";

  inflater() {
    inflateInit2(&stream_, 15 + 32); // finds out which of the two it is
  }

  ~inflater() {
    inflateEnd(&stream_);
  }

  bool run(std::string_view& in, char* out, size_t size, size_t& written,
           bool& open) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(size);
    auto rc = Z_OK;
    while (rc == Z_OK && stream_.avail_out > 0
           && (stream_.avail_in > 0 || open)) {
      auto before = stream_.avail_in + stream_.avail_out;
      rc = inflate(&stream_, Z_NO_FLUSH);
      open = rc != Z_STREAM_END;
      if (rc == Z_STREAM_END) {
        inflateReset(&stream_); // another member may follow
        rc = Z_OK;
      }
      if (before == stream_.avail_in + stream_.avail_out)
        break;
    }
    in.remove_prefix(in.size() - stream_.avail_in);
    written = size - stream_.avail_out;
    return rc == Z_OK || rc == Z_BUF_ERROR;
  }

private:
  z_stream stream_{};
};

class zstd_reader {
public:
  static constexpr const char* name = "no zstd data";

  ~zstd_reader() {
    ZSTD_freeDStream(stream_);
  }

  bool run(std::string_view& in, char* out, size_t size, size_t& written,
           bool& open) {
    ZSTD_inBuffer source{in.data(), in.size(), 0};
    ZSTD_outBuffer target{out, size, 0};
    do {
      auto rc = ZSTD_decompressStream(stream_, &target, &source);
      if (ZSTD_isError(rc))
        return false;
      open = rc != 0;
    } while (source.pos < source.size && target.pos < target.size);
    in.remove_prefix(source.pos);
    written = target.pos;
    return true;
  }

private:
  ZSTD_DStream* stream_ = ZSTD_createDStream();
};

class lz4_reader {
public:
  static constexpr const char* name = "no lz4 frame";

  lz4_reader() {
    LZ4F_createDecompressionContext(&context_, LZ4F_VERSION);
  }

  ~lz4_reader() {
    LZ4F_freeDecompressionContext(context_);
  }

  bool run(std::string_view& in, char* out, size_t size, size_t& written,
           bool& open) {
    for (;;) {
      auto consumed = in.size();
      auto produced = size - written;
      auto rc = LZ4F_decompress(context_, out + written, &produced, in.data(),
                                &consumed, nullptr);
      if (LZ4F_isError(rc))
        return false;
      in.remove_prefix(consumed);
      written += produced;
      open = rc != 0;
      if (in.empty() || written == size || (consumed == 0 && produced == 0))
        return true;
    }
  }

private:
  LZ4F_dctx* context_ = nullptr;
};

class block_decoder : public byte_source {
public:
  explicit block_decoder(byte_source& in) : in_(in) {
    // nop
  }

  std::optional<std::string_view> next() override {
    namespace nb = native_block;
    for (;;) {
      block_.clear();
      auto bytes = take(nb::header_size);
      if (bytes.empty())
        return error_ || !ended_ ? std::nullopt
                                 : std::optional{std::string_view{}};
      nb::header head;
      if (auto err = nb::read_header(bytes, head))
        return fail(std::move(err));
      bytes = take(nb::header_size + head.compressed);
      if (bytes.empty())
        return std::nullopt;
      if (head.plain > capacity_) {
        plain_.reset(new char[head.plain]);
        capacity_ = head.plain;
      }
      if (auto err = nb::decode_to(bytes, head, plain_.get()))
        return fail(std::move(err));
      pending_.remove_prefix(block_.empty() ? bytes.size() : 0);
      if (head.plain > 0)
        return std::string_view{plain_.get(), head.plain};
    }
  }

  db_error error() const override {
    return error_;
  }

private:
  /// The first `size` bytes of a block: of the piece if it has them all, else
  /// collected in block_. Empty at the end, which is an error in a block.
  std::string_view take(size_t size) {
    if (block_.empty() && pending_.size() >= size)
      return pending_.substr(0, size);
    while (block_.size() < size) {
      if (pending_.empty()) {
        auto piece = in_.next();
        if (!piece) {
          error_ = in_.error();
          return {};
        }
        if (piece->empty()) {
          ended_ = true;
          if (!block_.empty())
            error_ = broken("a compressed block is cut off");
          return {};
        }
        pending_ = *piece;
        if (block_.empty() && pending_.size() >= size)
          return pending_.substr(0, size);
      }
      auto n = std::min(pending_.size(), size - block_.size());
      block_.append(pending_.substr(0, n));
      pending_.remove_prefix(n);
    }
    return block_;
  }

  std::optional<std::string_view> fail(db_error error) {
    error_ = std::move(error);
    return std::nullopt;
  }

  byte_source& in_;
  std::string_view pending_;

  /// A block that came in several pieces.
  std::string block_;
  std::unique_ptr<char[]> plain_;
  size_t capacity_ = 0;
  bool ended_ = false;
  db_error error_;
};

} // namespace

std::unique_ptr<byte_source>
make_decoder(std::string_view encoding, byte_source& in) {
  if (encoding == "gzip" || encoding == "deflate" || encoding == "x-gzip")
    return std::make_unique<stream_decoder<inflater>>(in);
  if (encoding == "zstd")
    return std::make_unique<stream_decoder<zstd_reader>>(in);
  if (encoding == "lz4")
    return std::make_unique<stream_decoder<lz4_reader>>(in);
  return nullptr;
}

std::unique_ptr<byte_source> make_block_decoder(byte_source& in) {
  return std::make_unique<block_decoder>(in);
}

} // namespace millrace::olap
