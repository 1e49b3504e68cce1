#pragma once

#include "clickhouse/options.hpp"
#include "messages/ec.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::clickhouse {

/// Settings or parameters of one request, sent in the URL.
using parameters = std::vector<std::pair<std::string, std::string>>;

/// How a statement is run.
struct query_options {
  /// For error texts, after "cannot": `read from "orders"`. Empty: the
  /// statement's first words.
  std::string what;
  std::string query_id;

  /// The statement may work for long without a byte on the connection: no
  /// stall timeout. A dead peer is still noticed (TCP keep-alive).
  bool patient = false;

  /// An answer of more bytes is broken off and fails. 0: any size.
  size_t max_answer = 0;

  /// Bytes that are expected, so that the answer is not moved as it grows.
  size_t expected = 0;
};

/// HTTP client of one server, over libcurl; keeps its connection. Calls block;
/// one thread at a time. Failures carry the server's text and a code that says
/// whether a later try may help: target_unavailable (no or broken connection,
/// timeout), target_failed (5xx, TOO_MANY_PARTS, memory, disk full, ...),
/// target_refused (authentication, privileges, read-only), target_unsuitable
/// (anything else that the server refuses).
class client {
public:
  /// `stop`, when given, ends a running call within 100 ms once it is true.
  explicit client(target_options options,
                  std::shared_ptr<std::atomic<bool>> stop = nullptr);
  ~client();
  client(const client&) = delete;

  const target_options& options() const;

  /// Runs a statement and returns the body of the answer. The server keeps the
  /// answer until it is complete, so that an error is never taken for a row.
  result<std::string> query(std::string_view sql, const parameters& xs = {},
                            const query_options& how = {});

  /// `INSERT INTO ... FORMAT Native` with the given bodies one after another,
  /// streamed without a copy. Returns when the server has confirmed. All the
  /// settings on which durability rests are fixed here (design 5). Compresses
  /// when the server is not on this machine.
  result<void> insert(std::string_view statement, std::string_view query_id,
                      const std::vector<std::string_view>& bodies);

  /// Ends a query whose answer was lost, and waits until it has ended. Call it
  /// before such an insert is repeated, and before a truncate.
  result<void> kill(std::string_view query_id);

  /// The same for all queries whose IDs begin with `prefix`.
  result<void> kill_all(std::string_view prefix);

  /// The server's numeric code of the last failure; 0 when there was none.
  int server_code() const;

  /// Whether the last query failed for its `max_answer`.
  bool answer_was_too_large() const;

private:
  result<void> end_queries(const std::string& condition, std::string what);

  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace millrace::clickhouse
