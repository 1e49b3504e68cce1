#pragma once

#include "messages/change_batch.hpp"
#include "messages/row_block.hpp"
#include "messages/target_table.hpp"
#include "transform/clickhouse_type.hpp"
#include "transform/mapping.hpp"
#include "transform/values.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::transform {

/// One row of a block to be.
struct row_ref {
  /// Its cells; of a tombstone, those of the old row.
  const cell* cells = nullptr;

  /// Where unchanged TOAST values may be: the old row of an update, or null.
  const cell* old = nullptr;

  /// Place of its change among those being encoded.
  uint32_t change = 0;
  bool tombstone = false;

  /// Whether `old` holds all columns, not only the key.
  bool old_is_full = false;
};

/// What cells refer to.
struct cell_memory {
  /// The batch's text; `end` is how far it may be read.
  const char* text = nullptr;
  const char* end = nullptr;
  std::span<const std::string_view> patches;
};

/// A value that could not be stored.
struct bad_value {
  uint32_t change = 0;
  value_status status = value_status::ok;
};

/// Collects the values of one target column for a block. Virtual calls are per
/// column and run of rows; the loop inside is made for the column's type.
class column_writer {
public:
  virtual ~column_writer() = default;

  /// Appends a value for each row: converted text, a patch, or the type's
  /// default in tombstones (but for key columns). A value that cannot be
  /// stored is noted in `bad`, with a default in its place. Large texts are not
  /// copied: `memory` must outlive what `emit` makes.
  virtual void append(const cell_memory& memory, std::span<const row_ref> rows)
    = 0;

  /// Size of the column in Native format, but for large values.
  virtual size_t bytes() const = 0;

  /// Appends the column in Native format, without name and type, and forgets
  /// it; `saturated` stays.
  virtual void emit(native_bytes& out) = 0;

  /// Forgets the values, `bad` and `saturated`.
  virtual void clear() = 0;

  /// Appends one value in RowBinary. Zeros lose their sign: this is for keys,
  /// and 0 = -0 in the target's order.
  virtual value_status
  to_row_binary(const char* p, uint32_t n, std::string& out)
    = 0;

  std::vector<bad_value> bad;
  uint64_t saturated = 0;
};

/// Makes the writer of a column. The column's type must be one that
/// `map_table` gives for its source.
std::unique_ptr<column_writer>
make_column_writer(const target_table& table, const target_column& column,
                   const server_limits& limits);

} // namespace millrace::transform
