#pragma once

#include "clickhouse/client.hpp"

namespace millrace::clickhouse {

/// Settings of every insert, whatever the user's profile says: the answer
/// means that the rows are in the table, equal blocks are different changes, a
/// null is never a default, and one insert is one part. All of them are known
/// to ClickHouse 23.2.
const parameters& insert_settings();

} // namespace millrace::clickhouse
