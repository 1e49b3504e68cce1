#pragma once

#include "transform/array_text.hpp"
#include "transform/byte_buffer.hpp"
#include "transform/column_parts.hpp"

namespace millrace::transform {

/// Columns of type Array(Nullable(T)).
template <class Codec>
class array_column final : public column_writer {
public:
  array_column(const Codec& codec, const column_rules& rules)
    : codec_(codec), rules_(rules) {
    // nop
  }

  void
  append(const cell_memory& memory, std::span<const row_ref> rows) override {
    char* at = offsets_.reserve(rows.size() * sizeof(uint64_t));
    for (const auto& row : rows) {
      if (!row.tombstone || rules_.key) {
        auto status = put(memory, resolve(row, rules_));
        if (status == value_status::saturated)
          ++saturated;
        else if (status != value_status::ok)
          bad.push_back({row.change, status});
      }
      at = store(at, static_cast<uint64_t>(nulls_.size()));
    }
    offsets_.finish(at);
  }

  size_t bytes() const override {
    return offsets_.size() + nulls_.size() + values_.size();
  }

  void emit(native_bytes& out) override {
    offsets_.drain(out.own);
    nulls_.drain(out.own);
    values_.drain(out.own);
  }

  void clear() override {
    offsets_.clear();
    nulls_.clear();
    values_.clear();
    bad.clear();
    saturated = 0;
  }

  value_status
  to_row_binary(const char* p, uint32_t n, std::string& out) override {
    std::string elements;
    uint64_t count = 0;
    auto each = [&](const char* element, size_t size) {
      auto status = value_status::ok;
      ++count;
      elements += static_cast<char>(element == nullptr);
      if (element != nullptr)
        append_row_binary(codec_, element, static_cast<uint32_t>(size),
                          elements, status);
      return status;
    };
    auto status = for_each_element(p, n, rules_.delimiter, scratch_, each);
    char length[10];
    out.append(length, store_varint(length, count));
    out += elements;
    return status;
  }

private:
  value_status put(const cell_memory& memory, const cell& x) {
    if (x.size == cell::null)
      return rules_.null_as_default ? value_status::ok
                                    : value_status::null_value;
    if (x.size == cell::unchanged)
      return value_status::unchanged;
    if (x.size == cell::patched)
      return put_patch(memory, x);
    return put_text(memory.text + x.offset, x.size);
  }

  value_status put_text(const char* p, uint32_t n) {
    auto most = max_elements(p, n, rules_.delimiter);
    char* null_at = nulls_.reserve(most);
    char* at = values_.reserve(most * Codec::element_overhead + n);
    bool any_saturated = false;
    auto each = [&](const char* element, size_t size) {
      *null_at++ = static_cast<char>(element == nullptr);
      if (element == nullptr) {
        at = codec_.write_default(at);
        return value_status::ok;
      }
      value_status status;
      at = codec_.write(at, element, static_cast<uint32_t>(size),
                        element + size, status);
      any_saturated |= status == value_status::saturated;
      return status;
    };
    auto status = for_each_element(p, n, rules_.delimiter, scratch_, each);
    nulls_.finish(null_at);
    values_.finish(at);
    if (status == value_status::ok && any_saturated)
      return value_status::saturated;
    return status;
  }

  value_status put_patch(const cell_memory& memory, const cell& x) {
    if (x.offset >= memory.patches.size())
      return value_status::bad_patch;
    const auto& patch = memory.patches[x.offset];
    const char* p = patch.data();
    const char* end = p + patch.size();
    uint64_t count = 0;
    if (!load_varint(p, end, count) || count > static_cast<uint64_t>(end - p))
      return value_status::bad_patch;
    char* null_at = nulls_.reserve(count);
    char* at = values_.reserve(count * Codec::element_overhead + patch.size());
    for (; count > 0 && p != end; --count) {
      bool is_null = *p++ != 0;
      *null_at++ = static_cast<char>(is_null);
      if (is_null) {
        at = codec_.write_default(at);
        continue;
      }
      auto size = codec_.binary_size(p, end);
      if (size == 0)
        break;
      std::memcpy(at, p, size);
      at += size;
      p += size;
    }
    nulls_.finish(null_at);
    values_.finish(at);
    return count == 0 && p == end ? value_status::ok : value_status::bad_patch;
  }

  Codec codec_;
  column_rules rules_;
  byte_buffer offsets_;
  byte_buffer nulls_;
  byte_buffer values_;
  std::string scratch_;
};

} // namespace millrace::transform
