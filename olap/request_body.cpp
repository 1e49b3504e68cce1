#include "olap/request_body.hpp"

#include "olap/decoder.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace millrace::olap {

namespace {

class http_source : public byte_source {
public:
  explicit http_source(http::request& in) : in_(in) {
    // nop
  }

  std::optional<std::string_view> next() override {
    return in_.read();
  }

  db_error error() const override {
    return {};
  }

private:
  http::request& in_;
};

std::string lower(std::string_view text) {
  std::string result{text};
  for (auto& c : result)
    c = static_cast<char>(std::tolower(static_cast<uint8_t>(c)));
  return result;
}

} // namespace

db_error request_body::open(http::request& in, bool blocks) {
  raw_ = std::make_unique<http_source>(in);
  source_ = raw_.get();
  auto encoding = lower(in.header("Content-Encoding"));
  if (!encoding.empty() && encoding != "identity") {
    decoded_ = make_decoder(encoding, *source_);
    if (!decoded_)
      return make_error(48, "NOT_IMPLEMENTED",
                        "Unknown compression method " + encoding
                          + ". Only 'gzip', 'deflate', 'lz4' and 'zstd' are "
                            "supported as compression methods");
    source_ = decoded_.get();
  }
  if (blocks) {
    blocks_ = make_block_decoder(*source_);
    source_ = blocks_.get();
  }
  return {};
}

} // namespace millrace::olap
