#pragma once

#include "postgres/options.hpp"

#include <string_view>

namespace millrace::postgres {

/// Whether `pattern` matches all of `text`; `*` stands for any characters.
bool matches(std::string_view pattern, std::string_view text);

/// Whether the user asks for the table: by `tables`, and not by `exclude`.
bool is_wanted(const source_options& options, std::string_view schema,
               std::string_view name);

/// Whether the user names the table itself, not only by a `*`.
bool is_named(const source_options& options, std::string_view schema,
              std::string_view name);

} // namespace millrace::postgres
