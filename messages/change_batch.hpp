#pragma once

#include "messages/lsn.hpp"
#include "messages/table_description.hpp"
#include "messages/text_buffer.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// One value of a row: a slice of the batch's text, in PostgreSQL's text form
/// under the settings that every session fixes (docs/types.md).
struct cell {
  /// SQL NULL.
  static constexpr int32_t null = -1;

  /// Unchanged TOAST: the stream left the value out. Never a null.
  static constexpr int32_t unchanged = -2;

  /// Taken from the target (docs/architecture.md): `offset` counts in the
  /// patches of the transformer, not in the batch's text.
  static constexpr int32_t patched = -3;

  uint32_t offset = 0;

  /// Bytes of text, or one of the marks above.
  int32_t size = null;
};

/// What happened to a row.
enum class operation : uint8_t {
  insert,
  update,
  remove,
  /// A row that a snapshot read; its version is `label << 64`.
  read,
  /// All rows of the table with a lower version are gone.
  truncate,
};

const char* to_string(operation x);

/// What a change tells about the row before it.
enum class old_row : uint8_t {
  none,
  /// Only the key columns are filled, the others are null.
  key,
  /// All columns are filled.
  full,
};

/// One change. Plain data: rows of cells lie in `change_batch::cells`, as many
/// for each row as the table has columns.
struct change {
  static constexpr uint32_t no_row = UINT32_MAX;

  /// Index in `change_batch::tables`.
  uint32_t table = 0;

  /// Index in `change_batch::transactions`.
  uint32_t transaction = 0;

  /// First cell of the new row; `no_row` for a delete or truncate.
  uint32_t row = no_row;

  /// First cell of the old row; `no_row` when `old` is none.
  uint32_t old_row_at = no_row;

  /// `version::minor` of the change.
  uint64_t minor = 0;

  operation op = operation::insert;
  old_row old = old_row::none;
};

/// What the changes of one transaction share. The chunks of a snapshot have
/// one too: label and time of the snapshot.
struct transaction {
  /// `version::major` of its changes.
  lsn commit;

  /// Microseconds since 1970-01-01 UTC.
  int64_t committed_at = 0;
  uint32_t xid = 0;
};

/// A run of changes in the order of the log. Immutable once shared: actors
/// pass `change_batch_ptr`, so fan-out costs one reference count, not a copy.
/// A batch may begin and end inside a transaction. One with tables and without
/// changes announces the tables (target tables are made though no row came).
struct change_batch {
  std::vector<table_description_ptr> tables;
  std::vector<transaction> transactions;
  std::vector<change> changes;
  std::vector<cell> cells;

  /// The text of all cells, at most 4 GiB; a cell's slice never moves.
  text_buffer text;

  /// Memory that the batch holds; what windows count.
  size_t bytes() const {
    return text.size() + cells.size() * sizeof(cell)
           + changes.size() * sizeof(change);
  }

  std::string_view text_of(const cell& x) const {
    return {text.data() + x.offset, static_cast<size_t>(x.size)};
  }

  version version_of(const change& x) const {
    return {transactions[x.transaction].commit.value, x.minor};
  }
};

using change_batch_ptr = std::shared_ptr<const change_batch>;

/// The changes [first, last) of a batch, at least one, with text of their own.
/// @relates change_batch
change_batch_ptr slice(const change_batch& x, uint32_t first, uint32_t last);

} // namespace millrace
