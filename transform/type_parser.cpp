#include "transform/plain_types.hpp"

#include <charconv>
#include <utility>

namespace millrace::transform {

namespace {

std::string_view trim(std::string_view x) {
  while (!x.empty() && (x.front() == ' ' || x.front() == '\n'))
    x.remove_prefix(1);
  while (!x.empty() && (x.back() == ' ' || x.back() == '\n'))
    x.remove_suffix(1);
  return x;
}

/// Splits at commas outside of parentheses and quotes; nothing if unbalanced.
std::optional<std::vector<std::string_view>>
split_arguments(std::string_view x) {
  std::vector<std::string_view> result;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    char c = x[i];
    if (c == '\'' || c == '`' || c == '"') {
      for (++i; i < x.size() && x[i] != c; ++i)
        if (x[i] == '\\')
          ++i;
      if (i >= x.size())
        return std::nullopt;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')') {
      if (--depth < 0)
        return std::nullopt;
    } else if (c == ',' && depth == 0) {
      result.push_back(trim(x.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  if (depth != 0)
    return std::nullopt;
  result.push_back(trim(x.substr(begin)));
  for (auto argument : result)
    if (argument.empty())
      return std::nullopt;
  return result;
}

std::optional<int> number(std::string_view x) {
  int result = 0;
  auto [end, err] = std::from_chars(x.data(), x.data() + x.size(), result);
  if (err != std::errc{} || end != x.data() + x.size())
    return std::nullopt;
  return result;
}

std::optional<std::string> quoted(std::string_view x) {
  if (x.size() < 2 || x.front() != '\'' || x.back() != '\'')
    return std::nullopt;
  return std::string{x.substr(1, x.size() - 2)};
}

std::optional<clickhouse_type> decimal(int precision, int scale) {
  if (precision < 1 || precision > 76 || scale < 0 || scale > precision)
    return std::nullopt;
  return make_decimal(precision, scale);
}

std::optional<clickhouse_type>
parse_decimal_type(std::string_view name,
                   const std::vector<std::string_view>& args) {
  auto first = number(args[0]);
  if (!first)
    return std::nullopt;
  constexpr std::pair<std::string_view, int> fixed[] = {{"Decimal32", 9},
                                                        {"Decimal64", 18},
                                                        {"Decimal128", 38},
                                                        {"Decimal256", 76}};
  for (auto [alias, precision] : fixed)
    if (name == alias)
      return args.size() == 1 ? decimal(precision, *first) : std::nullopt;
  if (args.size() == 1)
    return decimal(*first, 0);
  auto second = number(args[1]);
  if (!second || args.size() > 2)
    return std::nullopt;
  return decimal(*first, *second);
}

std::optional<clickhouse_type>
parse_datetime64(const std::vector<std::string_view>& args) {
  auto precision = number(args[0]);
  if (!precision || *precision < 0 || *precision > 9 || args.size() > 2)
    return std::nullopt;
  if (args.size() == 1)
    return make_datetime64(*precision, "");
  auto zone = quoted(args[1]);
  if (!zone)
    return std::nullopt;
  return make_datetime64(*precision, std::move(*zone));
}

std::optional<clickhouse_type>
parse_wrapper(type_family family, const std::vector<std::string_view>& args) {
  if (args.size() != 1)
    return std::nullopt;
  auto inner = parse_type(args[0]);
  if (!inner)
    return std::nullopt;
  auto in = inner->family;
  if (family == type_family::nullable
      && (in == type_family::nullable || in == type_family::array
          || in == type_family::low_cardinality))
    return std::nullopt;
  if (family == type_family::low_cardinality
      && (in == type_family::low_cardinality || in == type_family::array))
    return std::nullopt;
  auto result = make_type(family);
  result.inner.push_back(std::move(*inner));
  return result;
}

std::optional<clickhouse_type>
parse_with_arguments(std::string_view name, std::string_view text,
                     const std::vector<std::string_view>& args) {
  if (name.substr(0, 7) == "Decimal")
    return parse_decimal_type(name, args);
  if (name == "DateTime64")
    return parse_datetime64(args);
  if (name == "Nullable")
    return parse_wrapper(type_family::nullable, args);
  if (name == "LowCardinality")
    return parse_wrapper(type_family::low_cardinality, args);
  if (name == "Array")
    return parse_wrapper(type_family::array, args);
  if (name == "DateTime") {
    auto zone = quoted(args[0]);
    if (!zone || args.size() != 1)
      return std::nullopt;
    auto result = make_type(type_family::datetime);
    result.zone = std::move(*zone);
    return result;
  }
  if (name == "FixedString") {
    auto size = number(args[0]);
    if (!size || *size < 1 || args.size() != 1)
      return std::nullopt;
    return make_type(type_family::fixed_string, *size);
  }
  auto result
    = make_type(name == "JSON" ? type_family::json : type_family::other);
  result.text = result.family == type_family::json
                  ? std::string{text.substr(name.size() + 1,
                                            text.size() - name.size() - 2)}
                  : std::string{text};
  return result;
}

bool is_word(std::string_view x) {
  for (char c : x)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
          || (c >= 'A' && c <= 'Z') || c == '_'))
      return false;
  return !x.empty();
}

} // namespace

std::optional<clickhouse_type> parse_type(std::string_view text) {
  text = trim(text);
  auto open = text.find('(');
  auto name = trim(text.substr(0, open));
  if (!is_word(name))
    return std::nullopt;
  if (open == std::string_view::npos) {
    for (const auto& x : plain_types)
      if (name == x.name)
        return make_type(x.family, x.bits);
    auto result = make_type(type_family::other);
    result.text = name;
    return result;
  }
  if (text.back() != ')')
    return std::nullopt;
  auto args = split_arguments(text.substr(open + 1, text.size() - open - 2));
  if (!args)
    return std::nullopt;
  // A space before the parenthesis is no part of the canonical form.
  std::string canonical{name};
  canonical += text.substr(open);
  return parse_with_arguments(name, canonical, *args);
}

} // namespace millrace::transform
