#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::olap {

/// The Content-Type of an output format.
std::string_view content_type_of(std::string_view format);

/// Whether `sql` is the question with which clickhouse-go begins.
bool is_revision_question(std::string_view sql);

/// Its answer: one Native block as a server of the client's protocol version
/// writes it. It tells revision 0, so that all later answers may come without
/// block headers, which is all that libchdb writes.
std::string
revision_answer(std::string_view display_name, std::string_view version,
                std::string_view timezone);

} // namespace millrace::olap
