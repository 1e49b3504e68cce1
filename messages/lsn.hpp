#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

/// Position in the source's write-ahead log, in bytes.
struct lsn {
  uint64_t value = 0;

  friend auto operator<=>(const lsn&, const lsn&) = default;
};

/// Prints the way PostgreSQL does: `16/B374D848`.
/// @relates lsn
std::string to_string(lsn x);

/// Reads PostgreSQL's form; nothing when the text is anything else.
/// @relates lsn
std::optional<lsn> parse_lsn(std::string_view text);

/// Place of a row in the history of its key; larger wins in the target.
/// Stored there as `UInt128 = major << 64 | minor`.
struct version {
  /// LSN of the commit (a snapshot row: the label of its snapshot).
  uint64_t major = 0;

  /// LSN of the change inside the transaction (a snapshot row: 0; a table
  /// without key: the ordinal of the change in its transaction).
  uint64_t minor = 0;

  friend auto operator<=>(const version&, const version&) = default;
};

} // namespace millrace
