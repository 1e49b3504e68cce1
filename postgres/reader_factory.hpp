#pragma once

#include "postgres/connection.hpp"
#include "postgres/replication_reader.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace millrace::postgres {

using steady_time = std::chrono::steady_clock::time_point;

/// Starts replication anew, from the given position.
using reopen_fun = std::function<result<conn_ptr>(lsn)>;

/// Reads a connection on which START_REPLICATION has been answered; `start` is
/// the lowest position that may be reported. `now` is for tests.
std::unique_ptr<replication_reader>
make_reader(const source_options& options, conn_ptr conn, lsn start,
            std::function<steady_time()> now = std::chrono::steady_clock::now,
            reopen_fun reopen = nullptr);

} // namespace millrace::postgres
