#include "clickhouse/float_keys.hpp"

#include "clickhouse/row_binary.hpp"

#include <algorithm>

namespace millrace::clickhouse {

using transform::clickhouse_type;
using transform::type_family;

namespace {

constexpr char sign = '\x80';

bool has_float_inside(const clickhouse_type& x) {
  return x.family == type_family::floating
         || (!x.inner.empty() && has_float_inside(x.inner[0]));
}

struct canonical_form {
  std::string key;
  /// Indexes of the bytes that hold the signs of zeros.
  std::vector<size_t> zeros;
};

void add(canonical_form& out, const clickhouse_type& type,
         row_binary_reader& in) {
  if (type.family == type_family::array) {
    auto n = in.varint();
    put_varint(out.key, n);
    for (; n > 0 && !in.failed(); --n)
      add(out, type.inner[0], in);
    return;
  }
  if (type.family == type_family::nullable) {
    auto is_null = in.integer(1);
    out.key += static_cast<char>(is_null);
    if (is_null == 0)
      add(out, type.inner[0], in);
    return;
  }
  auto bytes = in.value(type);
  out.key += bytes;
  if (type.family != type_family::floating || bytes.empty())
    return;
  auto is_zero = bytes.find_first_not_of('\0') >= bytes.size() - 1
                 && (bytes.back() == '\0' || bytes.back() == sign);
  if (is_zero) {
    out.key.back() = '\0';
    out.zeros.push_back(out.key.size() - 1);
  }
}

canonical_form canonical(const key_types& types, std::string_view key) {
  canonical_form out;
  row_binary_reader in{key};
  for (auto& type : types)
    add(out, type, in);
  if (in.failed())
    return {std::string{key}, {}};
  return out;
}

} // namespace

bool has_float(const key_types& types) {
  return std::any_of(types.begin(), types.end(), has_float_inside);
}

std::string canonical_key(const key_types& types, std::string_view key) {
  return canonical(types, key).key;
}

std::vector<std::string>
key_forms(const key_types& types, std::string_view key) {
  constexpr size_t most = 4;
  auto form = canonical(types, key);
  auto n = form.zeros.size();
  std::vector<std::string> out;
  if (n > most) {
    out = {std::string{key}, form.key};
    for (auto at : form.zeros)
      form.key[at] = sign;
    out.push_back(std::move(form.key));
    return out;
  }
  for (size_t signs = 0; signs < size_t{1} << n; ++signs) {
    for (size_t i = 0; i < n; ++i)
      form.key[form.zeros[i]] = (signs >> i & 1) != 0 ? sign : '\0';
    out.push_back(form.key);
  }
  return out;
}

} // namespace millrace::clickhouse
