#pragma once

#include "messages/ec.hpp"
#include "messages/table_description.hpp"
#include "transform/clickhouse_type.hpp"

#include <string_view>

namespace millrace::transform {

/// The type of a column's values without Nullable, as docs/types.md has it.
clickhouse_type default_type(const column_type& source);

/// Whether `type` (without Nullable) can hold the source's values; those that
/// depend on the value (an unsigned type, a Decimal for a numeric without
/// precision) are dead letters where they do not. Failure says why not and
/// what to choose.
result<void> check_type(const column_type& source, const clickhouse_type& type);

/// The default type, or the one that the user names, checked; with Nullable
/// put around it where `nullable` says so, and around elements of arrays.
result<clickhouse_type> choose_type(const column_type& source,
                                    std::string_view users_type, bool nullable);

} // namespace millrace::transform
