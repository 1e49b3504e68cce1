#pragma once

#include "http/server.hpp"
#include "olap/byte_source.hpp"

#include <memory>

namespace millrace::olap {

/// The body of a request, without its encodings. The request must outlive it.
class request_body {
public:
  /// Prepares reading; fails for an unknown Content-Encoding. `blocks`: what is
  /// inside is ClickHouse's compressed blocks (`decompress=1`).
  db_error open(http::request& in, bool blocks);

  /// Null before `open`.
  byte_source* source() const {
    return source_;
  }

private:
  std::unique_ptr<byte_source> raw_;
  std::unique_ptr<byte_source> decoded_;
  std::unique_ptr<byte_source> blocks_;
  byte_source* source_ = nullptr;
};

} // namespace millrace::olap
