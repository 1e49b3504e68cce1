#pragma once

#include "transform/values.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace millrace::transform {

/// Upper bound of the number of elements, from the number of delimiters.
inline size_t max_elements(const char* p, size_t n, char delimiter) {
  return 1 + std::count(p, p + n, delimiter);
}

/// Calls `f(pointer, size, quoted_or_null)` for each element of a
/// one-dimensional array in PostgreSQL's text form: `f(nullptr, 0)` for NULL.
/// `scratch` holds unescaped elements; what `f` gets is valid during the call.
/// Stops at the first status that is neither ok nor saturated and returns it.
template <class F>
value_status for_each_element(const char* p, size_t n, char delimiter,
                              std::string& scratch, F&& f) {
  const char* end = p + n;
  if (n < 2 || *p != '{')
    return n > 0 && *p == '[' ? value_status::array_bounds
                              : value_status::malformed;
  if (end[-1] != '}')
    return value_status::malformed;
  ++p;
  --end;
  if (p == end)
    return value_status::ok;
  for (;;) {
    value_status status;
    if (p != end && *p == '"') {
      const char* begin = ++p;
      while (p != end && *p != '"' && *p != '\\')
        ++p;
      if (p != end && *p == '"') {
        status = f(begin, p - begin);
      } else {
        scratch.assign(begin, p);
        for (; p != end && *p != '"'; ++p) {
          if (*p == '\\' && ++p == end)
            return value_status::malformed;
          scratch += *p;
        }
        if (p == end)
          return value_status::malformed;
        status = f(scratch.data(), scratch.size());
      }
      ++p;
    } else {
      const char* begin = p;
      while (p != end && *p != delimiter && *p != '{' && *p != '"')
        ++p;
      if (p != end && *p == '{')
        return value_status::nested_array;
      if (p == begin || (p != end && *p == '"'))
        return value_status::malformed;
      std::string_view element{begin, static_cast<size_t>(p - begin)};
      status
        = element == "NULL" ? f(nullptr, 0) : f(element.data(), element.size());
    }
    if (status > value_status::saturated)
      return status;
    if (p == end)
      return value_status::ok;
    if (*p++ != delimiter)
      return value_status::malformed;
  }
}

} // namespace millrace::transform
