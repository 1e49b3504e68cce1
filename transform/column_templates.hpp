#pragma once

#include "transform/array_text.hpp"
#include "transform/byte_buffer.hpp"
#include "transform/codecs.hpp"
#include "transform/column_writer.hpp"

/// The loops of the column writers; included by column_writer.cpp only.
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

/// Most bytes that `rows` need in a buffer of this codec.
template <class Codec>
size_t bound_of(const Codec& codec, const column_rules& rules,
                const cell_memory& memory, std::span<const row_ref> rows) {
  if constexpr (requires { typename Codec::value_type; })
    return rows.size() * codec.bound(0);
  size_t result = rows.size() * codec.bound(0);
  for (const auto& row : rows)
    if (!row.tombstone || rules.key)
      result += text_size(resolve(row, rules), memory);
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
        *null_at++ = is_null;
    }
    values_.finish(at);
    if constexpr (Nullable)
      nulls_.finish(null_at);
    saturated += saturated_here;
  }

  size_t bytes() const override {
    return nulls_.size() + values_.size();
  }

  void emit(std::string& out) const override {
    out += nulls_.view();
    out += values_.view();
  }

  void clear() override {
    nulls_.clear();
    values_.clear();
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
    std::memcpy(at, p, size);
    return at + size;
  }

  Codec codec_;
  column_rules rules_;
  byte_buffer nulls_;
  byte_buffer values_;
};

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

  void emit(std::string& out) const override {
    out += offsets_.view();
    out += nulls_.view();
    out += values_.view();
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
      *null_at++ = element == nullptr;
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
      *null_at++ = is_null;
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
