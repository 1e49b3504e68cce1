#pragma once

#include "messages/change_batch.hpp"
#include "messages/ec.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace millrace::postgres {

/// A column as the Relation message names it.
struct relation_column {
  bool key = false;
  std::string name;
  uint32_t type = 0;
  int32_t modifier = -1;

  friend bool operator==(const relation_column&, const relation_column&)
    = default;
};

/// Relation message ('R'): the shape of the rows that follow.
struct relation {
  uint32_t oid = 0;
  std::string schema;
  std::string name;
  /// 'd' default, 'n' nothing, 'f' full, 'i' index.
  char replica_identity = 'd';
  std::vector<relation_column> columns;

  /// Transaction in which it was sent; not a part of it.
  uint32_t xid = 0;

  friend bool operator==(const relation& a, const relation& b) {
    return a.oid == b.oid && a.schema == b.schema && a.name == b.name
           && a.replica_identity == b.replica_identity
           && a.columns == b.columns;
  }
};

/// Whether rows of the relation can be read by the description: same table,
/// same columns with the same types in the same order, same identity.
bool fits(const relation& x, const table_description& table);

/// Decodes pgoutput (protocol version 1) straight into a change batch: one copy
/// of each message's text, no allocation per row. Checks everything: a message
/// that is cut short, too long, unknown or out of place is never guessed at.
///
/// Old rows: an update keeps the old key only when it differs from the new one
/// by its text; with REPLICA IDENTITY FULL every update keeps its full old row.
/// Columns that are unchanged TOAST are filled from the old row if it has them.
///
/// Versions: `change::minor` is the change's LSN; for tables without key the
/// ordinal of the change among the table's own changes in its transaction,
/// from 1. (Among its own: which other tables are published must not matter
/// when a transaction is read again.)
class pgoutput_decoder {
public:
  enum class verdict {
    /// Taken in; go on with the next message.
    more,
    /// Taken in; take the batch before the next message.
    cut,
    /// Not taken in: take the batch, then give the same message again.
    again,
    /// Taken in, and a description is needed before the next message.
    unknown,
    /// See `error`. The decoder is of no use any more.
    malformed,
  };

  /// Describes a table, before or after its Relation message. One that is
  /// ahead of the stream waits for the Relation message that it fits.
  void describe(table_description_ptr table);

  /// Rows of this relation are passed over until its Relation message changes
  /// or it is described; those of commits from `end` on are not.
  void skip(uint32_t oid, lsn end = lsn{UINT64_MAX});

  /// A larger message is a batch of its own, if its memory can be had.
  static constexpr size_t huge = 1 << 20;

  /// Decodes one message that began at `at`.
  /// @param memory what the message lies in. It is taken as the batch's text
  /// if the message is huge, which saves a copy; it is empty then.
  verdict
  decode(lsn at, std::string_view message, text_buffer* memory = nullptr);

  const failure& error() const {
    return error_;
  }

  /// The relation that must be described before decoding goes on.
  const relation* unknown() const {
    return unknown_;
  }

  /// Number of changes in the batch under construction.
  size_t rows() const {
    return batch_ ? batch_->changes.size() : 0;
  }

  /// Bytes of text in the batch under construction.
  size_t bytes() const {
    return batch_ ? batch_->text.size() : 0;
  }

  /// Number of changes in it with unchanged cells.
  size_t unchanged() const {
    return with_unchanged_.size();
  }

  /// Hands over the batch; null when it has no change.
  change_batch_ptr take();

  /// Changes of the batch with unchanged TOAST cells; take it with the batch.
  std::vector<uint32_t> take_unchanged() {
    return std::exchange(with_unchanged_, {});
  }

  /// Whether a transaction has begun and not ended.
  bool in_transaction() const {
    return open_;
  }

  /// End of the last transaction that was decoded whole.
  lsn last_end() const {
    return last_end_;
  }

  /// Highest commit LSN received.
  lsn received() const {
    return received_;
  }

private:
  struct cursor;

  /// What is known of a relation.
  struct shape {
    relation message;
    table_description_ptr table;

    /// Described ahead of the Relation message that it fits.
    table_description_ptr next;
    bool announced = false;
    bool skipped = false;
    lsn skipped_until;

    // Of `table`, in the form in which rows need them.
    uint32_t columns = 0;
    std::vector<uint32_t> key;
    bool by_ordinal = false;

    /// Place in the batch with this number.
    uint64_t batch = 0;
    uint32_t index = 0;

    /// Changes in the transaction with this number.
    uint64_t transaction = 0;
    uint64_t ordinal = 0;
  };

  verdict begin(cursor& in);
  verdict commit(cursor& in);
  verdict relation_message(cursor& in);
  verdict row_change(cursor& in, char type);
  verdict truncate(cursor& in);
  verdict other(cursor& in, char type);

  bool read_tuple(cursor& in, const shape& x, uint32_t base, cell* out);
  bool key_is_complete(const shape& x, const cell* row) const;
  bool same_key(const shape& x, const cell* a, const cell* b) const;
  bool may_skip(shape& x);
  shape* find(uint32_t oid);
  change& add_change(shape& x, operation op);
  void use(shape& x);
  void start_batch();
  verdict malformed(std::string why);

  std::unordered_map<uint32_t, shape> shapes_;
  std::shared_ptr<change_batch> batch_;
  std::vector<uint32_t> with_unchanged_;
  std::vector<cell> old_;
  const relation* unknown_ = nullptr;
  shape* last_ = nullptr;
  failure error_;

  // The message at hand.
  lsn at_;
  std::string_view message_;
  text_buffer* memory_ = nullptr;

  // The transaction at hand, and its place in the batch with this number.
  bool open_ = false;
  transaction transaction_;
  uint64_t transaction_number_ = 0;
  uint64_t transaction_batch_ = 0;

  uint64_t batch_number_ = 0;
  lsn last_end_;
  lsn received_;

  // What the last batch needed: the next one reserves as much.
  size_t expected_text_ = 0;
  size_t expected_cells_ = 0;
  size_t expected_changes_ = 0;
};

} // namespace millrace::postgres
