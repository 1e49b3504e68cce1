#pragma once

#include "transform/codecs.hpp"
#include "transform/column_writer.hpp"

#include <type_traits>

namespace millrace::transform {

/// How a column treats cells, beside their conversion.
struct column_rules {
  uint32_t source = 0;
  bool key = false;

  /// A NULL becomes the type's default: arrays, and where the user says so.
  bool null_as_default = false;
  char delimiter = ',';
};

/// The old row's value where the stream left an unchanged one out.
inline cell resolve(const row_ref& row, const column_rules& rules) {
  cell x = row.cells[rules.source];
  if (x.size == cell::unchanged && row.old != nullptr
      && (rules.key || row.old_is_full))
    x = row.old[rules.source];
  return x;
}

inline size_t text_size(const cell& x, const cell_memory& memory) {
  if (x.size >= 0)
    return x.size;
  return x.size == cell::patched && x.offset < memory.patches.size()
           ? memory.patches[x.offset].size()
           : 0;
}

/// Texts and patches of more bytes are not copied.
constexpr int32_t large_value = 64 << 10;

/// Whether the codec writes a text as it is.
template <class Codec>
constexpr bool has_large_values = std::is_same_v<Codec, text_codec>;

inline bool is_large(const cell& x) {
  return x.size > large_value;
}

/// Most bytes that `rows` need in a buffer of this codec.
template <class Codec>
size_t bound_of(const Codec& codec, const column_rules& rules,
                const cell_memory& memory, std::span<const row_ref> rows) {
  if constexpr (requires { typename Codec::value_type; })
    return rows.size() * codec.bound(0);
  size_t result = rows.size() * codec.bound(0);
  for (const auto& row : rows)
    if (!row.tombstone || rules.key) {
      auto n = text_size(resolve(row, rules), memory);
      if (!has_large_values<Codec> || n <= large_value)
        result += n;
    }
  return result;
}

template <class Codec>
void append_row_binary(const Codec& codec, const char* p, uint32_t n,
                       std::string& out, value_status& status) {
  auto begin = out.size();
  out.resize(begin + codec.bound(n));
  char* at = out.data() + begin;
  char* end = codec.write(at, p, n, p + n, status);
  if constexpr (is_float_codec<Codec>) {
    typename Codec::value_type value;
    std::memcpy(&value, at, sizeof(value));
    if (value == 0)
      codec.write_default(at);
  }
  out.resize(end - out.data());
}

} // namespace millrace::transform
