#pragma once

#include "transform/clickhouse_type.hpp"

#include <string>
#include <string_view>
#include <vector>

/// ClickHouse orders 0 and -0 as one key, but finds them only by their bytes.
namespace millrace::clickhouse {

using key_types = std::vector<transform::clickhouse_type>;

/// Whether keys of these types can have several forms.
bool has_float(const key_types& types);

/// The key in RowBinary with each -0 as 0: equal for keys that are one.
std::string canonical_key(const key_types& types, std::string_view key);

/// All forms of the key; with more than four zeros only those where all of
/// them have one sign, and the given one.
std::vector<std::string>
key_forms(const key_types& types, std::string_view key);

} // namespace millrace::clickhouse
