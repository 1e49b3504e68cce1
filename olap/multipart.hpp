#pragma once

#include "olap/byte_source.hpp"

#include <string>
#include <string_view>

namespace millrace::olap {

/// Reads a `multipart/form-data` body part by part without collecting it.
class multipart_reader {
public:
  struct part {
    std::string name;
    std::string file_name;

    /// Has a `filename`, even an empty one.
    bool is_file = false;
  };

  multipart_reader(byte_source& in, std::string_view boundary);

  /// Goes to the next part, over the rest of the current one. False after the
  /// last one and on an error.
  bool next_part(part& x);

  /// Next piece of the part's content, valid until the next call; empty at its
  /// end and on an error.
  std::string_view read();

  /// Why reading has ended early; code 0 if it has not, or because the client
  /// is gone (then `broken` is true).
  const db_error& error() const {
    return error_;
  }

  bool broken() const {
    return broken_;
  }

private:
  /// Gets more bytes into window_; false at the end.
  bool more();
  bool fail(std::string_view text);
  bool read_line(std::string& line);

  byte_source& in_;
  std::string delimiter_;
  std::string window_;

  /// Bytes of window_ that are done with.
  size_t begin_ = 0;
  bool in_part_ = false;
  bool at_start_ = false;
  bool last_ = false;
  bool broken_ = false;
  db_error error_;
};

/// The boundary of a `multipart/form-data` content type; empty for others.
std::string multipart_boundary(std::string_view content_type);

} // namespace millrace::olap
