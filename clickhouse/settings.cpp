#include "clickhouse/settings.hpp"

namespace millrace::clickhouse {

const parameters& insert_settings() {
  static const parameters settings{
    // The answer means that the rows are in the table.
    {"async_insert", "0"},
    {"wait_end_of_query", "1"},
    {"send_progress_in_http_headers", "0"},
    {"timeout_overflow_mode", "throw"},
    // Equal blocks are different changes.
    {"insert_deduplicate", "0"},
    // A null is never a default.
    {"input_format_null_as_default", "0"},
    {"insert_null_as_default", "0"},
    // One insert is one part, of the rows that were sent.
    {"optimize_on_insert", "0"},
    {"min_insert_block_size_rows", "1048576"},
    {"min_insert_block_size_bytes", "268435456"},
    {"max_partitions_per_insert_block", "0"},
  };
  return settings;
}

} // namespace millrace::clickhouse
