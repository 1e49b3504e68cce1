#pragma once

#include "messages/change_batch.hpp"

#include <cstdint>
#include <string_view>

namespace millrace::postgres {

/// Appends one row of COPY's text format (with or without its newline) to
/// `text`, unescaped, and writes its cells. False when the row does not have
/// exactly `columns` fields, or ends in the middle of an escape.
///
/// Format: https://www.postgresql.org/docs/current/sql-copy.html, "Text Format"
bool append_copy_row(std::string_view row, uint32_t columns, text_buffer& text,
                     cell* out);

/// The same for a row that has `text` to itself already.
bool read_copy_row(uint32_t columns, text_buffer& text, cell* out);

} // namespace millrace::postgres
