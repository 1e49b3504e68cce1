#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace millrace::postgres {

/// What the user says about the source (section [source]).
struct source_options {
  /// libpq connection string or URI, without password. Several hosts are
  /// tried in turn; TLS by libpq's own parameters.
  std::string uri;

  /// From `password-file` or the environment; never logged.
  std::string password;

  /// Patterns of `schema.table`; `*` stands for any characters.
  std::vector<std::string> tables = {"public.*"};
  std::vector<std::string> exclude;

  /// Names of the publication and of the slot. The inserts-only publication
  /// for tables without identity is named `<publication>_inserts`.
  std::string publication;
  std::string slot;

  /// Standby status at least this often.
  std::chrono::milliseconds status_interval{10'000};

  /// A peer from which nothing came for so long is taken for dead.
  std::chrono::milliseconds silence{30'000};

  /// Set when whoever asks is to end: calls that wait for the server give up
  /// within 100 ms, and the server with them. Null: they wait.
  std::shared_ptr<const std::atomic<bool>> stop;
};

} // namespace millrace::postgres
