#pragma once

#include "olap/db_error.hpp"

#include <optional>
#include <string_view>

namespace millrace::olap {

/// A body, piece by piece, as it arrives or as it leaves a decoder.
class byte_source {
public:
  virtual ~byte_source() = default;

  /// Next piece, valid until the next call; empty at the end; `nullopt` when
  /// the rest will not come: `error` says why, and has code 0 when the client
  /// went away or the request was interrupted.
  virtual std::optional<std::string_view> next() = 0;

  virtual db_error error() const = 0;
};

/// Puts bytes that were already read back in front of a source.
class prefixed_source : public byte_source {
public:
  prefixed_source(std::string_view prefix, byte_source& rest)
    : prefix_(prefix), rest_(rest) {
    // nop
  }

  std::optional<std::string_view> next() override {
    if (prefix_.empty())
      return rest_.next();
    auto x = prefix_;
    prefix_ = {};
    return x;
  }

  db_error error() const override {
    return rest_.error();
  }

private:
  std::string_view prefix_;
  byte_source& rest_;
};

} // namespace millrace::olap
