#pragma once

#include "clickhouse/options.hpp"

#include <string>
#include <string_view>

namespace millrace::clickhouse {

/// Condition: letters of a pipeline, and of one source table.
std::string letters_of(std::string_view pipeline);
std::string letters_of(std::string_view pipeline, std::string_view table);

/// Gives the open letters that meet the condition a newer revision that is no
/// longer open.
std::string
resolve_statement(const target_options& options, std::string_view resolution,
                  const std::string& condition);

} // namespace millrace::clickhouse
