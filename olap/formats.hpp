#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::olap {

/// The Content-Type of an output format.
std::string_view content_type_of(std::string_view format);

/// How a result that the engine writes block by block becomes one: it ends each
/// block as if it were the whole result.
enum class joint : uint8_t {
  /// The blocks can simply follow each other.
  append,
  /// All blocks but the first lose their header (`header_size`).
  drop_header,
  /// Only the whole result can be written.
  whole,
};

/// For an output format, in any case of letters.
joint joint_of(std::string_view format);

/// Length of the names and types that a block begins with, for formats with
/// `joint::drop_header`; 0 when they are not complete.
size_t header_size(std::string_view format, std::string_view block);

/// Whether `sql` is the question with which clickhouse-go begins.
bool is_revision_question(std::string_view sql);

/// Its answer: one Native block as a server of the client's protocol version
/// writes it. It tells revision 0, so that all later answers may come without
/// block headers, which is all that libchdb writes.
std::string
revision_answer(std::string_view display_name, std::string_view version,
                std::string_view timezone);

} // namespace millrace::olap
