#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace millrace {

/// millrace's error codes. Append only: the numeric values cross the wire.
enum class ec : uint8_t {
  /// No error.
  none = 0,
  /// The configuration file has a missing, unknown or ill-typed entry.
  invalid_configuration,
  /// An actor let an exception escape.
  unhandled_exception,
  /// The source cannot be reached, or the connection broke. Retriable.
  source_unavailable,
  /// The source answered an error that may pass (a lock, a shutdown).
  /// Retriable.
  source_failed,
  /// The source refuses us: password, privilege, TLS, database. Fatal.
  source_refused,
  /// The server's settings or objects do not allow replication. Fatal.
  source_unsuitable,
  /// The slot is lost, invalidated, foreign, or gone though we had one. Fatal.
  slot_lost,
  /// The slot is in use by another process. Retriable.
  slot_busy,
  /// The source is not the one that the target was filled from. Fatal.
  source_changed,
  /// A replication message is malformed or unknown. Fatal.
  protocol_violation,
  /// The target cannot be reached, or the connection broke. Retriable.
  target_unavailable,
  /// The target answered an error that may pass. Retriable.
  target_failed,
  /// The target refuses us: user, password, read-only. Fatal.
  target_refused,
  /// The target's version, settings or tables do not fit. Fatal.
  target_unsuitable,
  /// A table's schema or data cannot be followed; only that table stops.
  table_unsuitable,
  /// A local resource is missing: port taken, folder not writable. Fatal.
  local_failure,
  /// The target refuses an insert for what is in its rows. Never leaves the
  /// transform side: the rows are found and put aside.
  rows_refused,
  /// Number of codes; not an error.
  ec_count,
};

/// @relates ec
const char* to_string(ec x);

/// Whether a later try may succeed without anybody doing anything.
/// @relates ec
bool is_retriable(ec x);

/// Whether trying again is of no use: the process ends with the message.
/// @relates ec
bool is_fatal(ec x);

/// An error as the rooms without actors return it. `text` is one line: what
/// failed, on what, what the server said, and what to do about it.
struct failure {
  ec code = ec::none;
  std::string text;
};

/// A value or a failure.
template <class T>
using result = tl::expected<T, failure>;

/// @relates failure
inline tl::unexpected<failure> fail(ec code, std::string text) {
  return tl::unexpected<failure>{failure{code, std::move(text)}};
}

} // namespace millrace
