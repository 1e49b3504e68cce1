#pragma once

#include "olap/byte_source.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace millrace::test {

/// Gives a text in pieces of the same size.
class pieces : public olap::byte_source {
public:
  pieces(std::string_view text, size_t size) : text_(text), size_(size) {
    // nop
  }

  std::optional<std::string_view> next() override {
    auto x = text_.substr(0, size_);
    text_.remove_prefix(x.size());
    return x;
  }

  olap::db_error error() const override {
    return {};
  }

private:
  std::string_view text_;
  size_t size_;
};

} // namespace millrace::test
