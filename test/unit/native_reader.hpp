#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::test {

/// Reads a Native block of a few types back to text; independent of the code
/// that writes blocks. Throws when the block is not well-formed.
class native_reader {
public:
  explicit native_reader(std::string_view block) : rest_(block) {
    auto width = varint();
    rows = varint();
    for (uint64_t i = 0; i < width; ++i) {
      auto name = string();
      names.push_back(name);
      types[name] = string();
      values[name] = column(types[name], rows);
    }
    if (!rest_.empty())
      throw std::runtime_error("bytes behind the block");
  }

  uint64_t rows = 0;
  std::vector<std::string> names;
  std::map<std::string, std::string> types;

  /// NULL is "\N", an array is `[a,b]`, 128 bits are `high:low`.
  std::map<std::string, std::vector<std::string>> values;

private:
  std::string_view bytes(size_t n) {
    if (n > rest_.size())
      throw std::runtime_error("the block ends too early");
    auto result = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return result;
  }

  template <class T>
  T load() {
    T result;
    std::memcpy(&result, bytes(sizeof(T)).data(), sizeof(T));
    return result;
  }

  uint64_t varint() {
    uint64_t result = 0;
    for (int shift = 0;; shift += 7) {
      auto byte = load<uint8_t>();
      result |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128)
        return result;
    }
  }

  std::string string() {
    return std::string{bytes(varint())};
  }

  std::string value(std::string_view type) {
    auto is
      = [type](std::string_view x) { return type.substr(0, x.size()) == x; };
    if (is("String"))
      return string();
    if (is("Int64") || is("DateTime64") || is("Decimal(12") || is("Decimal(18"))
      return std::to_string(load<int64_t>());
    if (is("Int32") || is("Date32") || is("Decimal(9"))
      return std::to_string(load<int32_t>());
    if (is("Int16"))
      return std::to_string(load<int16_t>());
    if (is("UInt32"))
      return std::to_string(load<uint32_t>());
    if (is("UInt8") || is("Bool"))
      return std::to_string(load<uint8_t>());
    if (is("Float64"))
      return std::to_string(load<double>());
    if (is("UInt128")) {
      auto low = load<uint64_t>();
      return std::to_string(load<uint64_t>()) + ":" + std::to_string(low);
    }
    return hex(bytes(fixed_size(type)));
  }

  /// Of a type that nobody needs in a readable form.
  static size_t fixed_size(std::string_view type) {
    constexpr std::pair<std::string_view, size_t> sizes[]
      = {{"Int8", 1},     {"Int128", 16},   {"Int256", 32}, {"UInt16", 2},
         {"UInt64", 8},   {"UInt256", 32},  {"Float32", 4}, {"Date", 2},
         {"DateTime", 4}, {"DateTime(", 4}, {"UUID", 16}};
    for (auto [name, size] : sizes)
      if (type == name || (name.back() == '(' && type.starts_with(name)))
        return size;
    auto open = type.find('(');
    size_t n = open == type.npos
                 ? 0
                 : std::strtoul(type.data() + open + 1, nullptr, 10);
    if (type.starts_with("FixedString("))
      return n;
    if (type.starts_with("Decimal("))
      return n <= 9 ? 4 : n <= 18 ? 8 : n <= 38 ? 16 : 32;
    throw std::runtime_error("unknown type " + std::string{type});
  }

  static std::string hex(std::string_view bytes) {
    std::string result;
    for (char c : bytes)
      for (auto shift : {4, 0})
        result += "0123456789abcdef"[static_cast<uint8_t>(c) >> shift & 15];
    return result;
  }

  std::vector<std::string> column(std::string_view type, uint64_t n) {
    std::vector<std::string> result;
    if (type.substr(0, 9) == "Nullable(") {
      auto nulls = bytes(n);
      auto inner = column(type.substr(9, type.size() - 10), n);
      for (uint64_t i = 0; i < n; ++i)
        result.push_back(nulls[i] != 0 ? "\\N" : inner[i]);
    } else if (type.substr(0, 6) == "Array(") {
      std::vector<uint64_t> offsets;
      for (uint64_t i = 0; i < n; ++i)
        offsets.push_back(load<uint64_t>());
      auto inner
        = column(type.substr(6, type.size() - 7), n == 0 ? 0 : offsets.back());
      uint64_t at = 0;
      for (auto end : offsets) {
        std::string text;
        for (; at < end; ++at)
          text += (text.empty() ? "" : ",") + inner[at];
        result.push_back("[" + text + "]");
      }
    } else {
      for (uint64_t i = 0; i < n; ++i)
        result.push_back(value(type));
    }
    return result;
  }

  std::string_view rest_;
};

} // namespace millrace::test
