#pragma once

#include "messages/ec.hpp"

#include <string>
#include <vector>

namespace millrace::olap {

/// `millrace olap`: what its command line sets.
struct olap_options {
  /// Made if it is missing.
  std::string data_dir;

  /// `host:port`; port 0 takes a free one, which is printed.
  std::string listen = "127.0.0.1:8123";

  /// See user_list. Empty: the user `default` without a password, and only
  /// loopback addresses may be listened on.
  std::string users_file;

  /// Path of libchdb.so; empty to look for it.
  std::string library;

  /// Further names by which clients may call this server in `Host`.
  std::vector<std::string> host_names;

  /// Memory of the engine in bytes; 0 leaves its default (0.9 of the machine).
  uint64_t max_memory = 0;
};

/// Serves libchdb over ClickHouse's HTTP interface until SIGINT or SIGTERM; a
/// second signal ends the process at once. Blocks both signals in the calling
/// thread; no other thread of the process may take them. Prints one line on
/// stdout when it is ready, `millrace olap: listening on http://HOST:PORT`, and
/// one on stderr for what keeps it from serving.
/// Returns the exit code: 0 stopped, 1 failed, 2 bad options.
int run_olap(const olap_options& options);

} // namespace millrace::olap
