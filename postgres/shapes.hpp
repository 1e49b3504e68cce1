#pragma once

#include "messages/table_description.hpp"
#include "postgres/connection.hpp"

#include <vector>

namespace millrace::postgres {

/// Adds to descriptions of tables what the catalogue says now of how they came
/// to be (`table_description::shape`). A table that is gone by now gets an
/// unknown one. Locks nothing.
result<void> read_shapes(PGconn* conn, const source_options& options,
                         std::vector<table_description_ptr>& tables);

} // namespace millrace::postgres
