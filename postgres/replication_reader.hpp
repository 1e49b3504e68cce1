#pragma once

#include "messages/change_batch.hpp"
#include "messages/ec.hpp"
#include "postgres/options.hpp"
#include "postgres/pgoutput.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace millrace::postgres {

/// What one `read` brought.
struct read_outcome {
  /// Null when no change came. May end inside a transaction.
  change_batch_ptr batch;

  /// Changes of `batch` that have unchanged TOAST cells.
  std::vector<uint32_t> with_unchanged;

  /// Once all batches up to and including this one are durable, this position
  /// may be confirmed. Zero when nothing new may be.
  lsn complete;

  /// A Relation message: the server sends it when something about the table
  /// may have changed. Reading goes on only after `describe` or `skip`; changes
  /// before it are in `batch`.
  std::optional<relation> unknown;

  /// Nothing more can be read without waiting for the socket.
  bool drained = false;
};

/// Limits of one batch.
struct read_limits {
  size_t rows = 8192;
  size_t bytes = 1 << 20;

  /// Changes with unchanged cells: their values are looked up together, but
  /// for large ones.
  size_t unchanged = 256;

  /// What has been read stays in the reader while more is likely to come:
  /// `drained` then brings no batch. While catching up, larger batches cost
  /// less; the caller reads again without `gather` before long.
  bool gather = false;
};

/// Reads one slot by the streaming replication protocol and decodes pgoutput
/// (protocol version 1). Not thread safe; `read` never blocks.
///
/// Format:
/// https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
class replication_reader {
public:
  virtual ~replication_reader() = default;

  /// Becomes readable when `read` may bring something after `drained`.
  virtual int fd() const = 0;

  /// A truncate is always alone in its batch.
  virtual result<read_outcome> read(const read_limits& limits) = 0;

  /// Makes the rows of a relation readable (also again, after a change).
  virtual void describe(table_description_ptr table) = 0;

  /// Passes over the rows of a relation: of one that nobody asked for, or that
  /// is quarantined. Until `describe`, or until its Relation message changes.
  virtual void skip(const relation& x) = 0;

  /// The same up to a position: rows of later commits are asked for again.
  virtual void skip_until(const relation& x, lsn end) = 0;

  /// Everything up to `pos` is durable. Never goes back; sent with the next
  /// status, which is sent now if `pos` moved and the last one is older than
  /// 100 ms or the server asked.
  virtual result<void> confirm(lsn pos) = 0;

  /// To be called at least every second, whatever else waits: sends the status
  /// when it is due, notices a silent or broken connection.
  virtual result<void> tick() = 0;

  /// Whether the connection holds on to the memory of a huge message, and a new
  /// one would bring nothing a second time: all that was read is confirmed.
  virtual bool may_renew() const {
    return false;
  }

  /// Reads on over a new connection; the file descriptor is another. Blocks up
  /// to the connection timeout. What was described or skipped stays so.
  virtual result<void> renew() {
    return {};
  }

  /// Newest position that the server has told: end of WAL.
  virtual lsn server_position() const = 0;

  /// Highest commit LSN received.
  virtual lsn received() const = 0;
};

/// Connects and starts streaming. Tables that are known are given up front:
/// whoever has seen their descriptions gets the same ones with the rows. Blocks up to the connection
/// timeout.
result<std::unique_ptr<replication_reader>>
start_replication(const source_options& options,
                  const std::vector<std::string>& publications, lsn from,
                  const std::vector<table_description_ptr>& known);

} // namespace millrace::postgres
