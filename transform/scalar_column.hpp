#pragma once

#include "transform/byte_buffer.hpp"
#include "transform/column_parts.hpp"

namespace millrace::transform {

/// Columns of type T and Nullable(T).
template <class Codec, bool Nullable>
class scalar_column final : public column_writer {
public:
  scalar_column(const Codec& codec, const column_rules& rules)
    : codec_(codec), rules_(rules) {
    // nop
  }

  void
  append(const cell_memory& memory, std::span<const row_ref> rows) override {
    // Locals, because stores through char* could change members.
    const Codec codec = codec_;
    const column_rules rules = rules_;
    char* at = values_.reserve(bound_of(codec, rules, memory, rows));
    [[maybe_unused]] char* null_at = nulls_.reserve(Nullable ? rows.size() : 0);
    uint64_t saturated_here = 0;
    for (const auto& row : rows) {
      if (row.tombstone && !rules.key) {
        at = codec.write_default(at);
        if constexpr (Nullable)
          *null_at++ = 1;
        continue;
      }
      cell x = row.cells[rules.source];
      if (x.size == cell::unchanged) [[unlikely]]
        x = resolve(row, rules);
      if constexpr (has_large_values<Codec>)
        if (is_large(x)) [[unlikely]] {
          at = store_varint(at, static_cast<uint32_t>(x.size));
          large_.push_back(
            {static_cast<size_t>(at - values_.begin()),
             {memory.text + x.offset, static_cast<size_t>(x.size)}});
          if constexpr (Nullable)
            *null_at++ = 0;
          continue;
        }
      if (x.size >= 0) [[likely]] {
        value_status status;
        at
          = codec.write(at, memory.text + x.offset, x.size, memory.end, status);
        if constexpr (Nullable)
          *null_at++ = 0;
        if (status != value_status::ok) [[unlikely]] {
          if (status == value_status::saturated)
            ++saturated_here;
          else
            bad.push_back({row.change, status});
        }
        continue;
      }
      bool is_null = x.size == cell::null;
      if (x.size == cell::patched) {
        auto* patched = put_patch(codec, at, x, memory, is_null);
        if (patched == nullptr)
          bad.push_back({row.change, value_status::bad_patch});
        at = patched != nullptr ? patched : codec.write_default(at);
      } else {
        at = codec.write_default(at);
        if (!is_null)
          bad.push_back({row.change, value_status::unchanged});
        else if (!Nullable && !rules.null_as_default)
          bad.push_back({row.change, value_status::null_value});
      }
      if constexpr (Nullable)
        *null_at++ = static_cast<char>(is_null);
    }
    values_.finish(at);
    if constexpr (Nullable)
      nulls_.finish(null_at);
    saturated += saturated_here;
  }

  size_t bytes() const override {
    return nulls_.size() + values_.size();
  }

  void emit(native_bytes& out) override {
    nulls_.drain(out.own);
    auto begin = out.own.size();
    for (auto& x : large_)
      out.large.push_back({begin + x.at, x.bytes});
    large_.clear();
    values_.drain(out.own);
  }

  void clear() override {
    nulls_.clear();
    values_.clear();
    large_.clear();
    bad.clear();
    saturated = 0;
  }

  value_status
  to_row_binary(const char* p, uint32_t n, std::string& out) override {
    if constexpr (Nullable)
      out += '\0';
    auto status = value_status::ok;
    append_row_binary(codec_, p, n, out, status);
    return status;
  }

private:
  /// Copies a RowBinary value; null when it is not one of this type.
  char* put_patch(const Codec& codec, char* at, const cell& x,
                  const cell_memory& memory, bool& is_null) {
    if (x.offset >= memory.patches.size())
      return nullptr;
    const auto& patch = memory.patches[x.offset];
    const char* p = patch.data();
    const char* end = p + patch.size();
    if constexpr (Nullable) {
      if (p == end)
        return nullptr;
      is_null = *p++ != 0;
      if (is_null)
        return p == end ? codec.write_default(at) : nullptr;
    }
    auto size = static_cast<size_t>(end - p);
    if (size == 0 || codec.binary_size(p, end) != size)
      return nullptr;
    if (size > large_value) {
      large_.push_back({static_cast<size_t>(at - values_.begin()), {p, size}});
      return at;
    }
    std::memcpy(at, p, size);
    return at + size;
  }

  Codec codec_;
  column_rules rules_;
  byte_buffer nulls_;
  byte_buffer values_;

  // Places count in `values_`.
  std::vector<native_bytes::piece> large_;
};

} // namespace millrace::transform
