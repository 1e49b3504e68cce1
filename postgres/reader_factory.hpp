#pragma once

#include "postgres/connection.hpp"
#include "postgres/replication_reader.hpp"

#include <memory>

namespace millrace::postgres {

/// Reads a connection on which START_REPLICATION has been answered; `start` is
/// the lowest position that may be reported.
std::unique_ptr<replication_reader>
make_reader(const source_options& options, conn_ptr conn, lsn start);

} // namespace millrace::postgres
