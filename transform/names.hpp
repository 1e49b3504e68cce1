#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace millrace::transform {

/// Name of the target table of a source table unless the user names another:
/// `orders` for public.orders, `sales_orders` for sales.orders.
std::string default_table_name(std::string_view schema, std::string_view name);

/// The column's name with `_` for each dot (ClickHouse would make it Nested).
std::string default_column_name(std::string_view name);

/// Whether millrace adds a column of this name to target tables.
bool is_added_column(std::string_view name);

/// Whether ClickHouse has the name for a column of its own.
bool is_virtual_column(std::string_view name);

/// Whether the name is that of one of millrace's own tables.
bool is_own_table(std::string_view name);

/// Bytes of the name as a file name: all but letters, digits and `_` take 3.
size_t escaped_size(std::string_view name);

/// Most bytes that an escaped table name may have in a database.
size_t max_table_name(std::string_view database);

} // namespace millrace::transform
