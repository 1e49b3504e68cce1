#pragma once

#include <caf/test/dsl.hpp>

#include <string>

namespace millrace::test {

/// Whether `part` stands in `text`; prints both if not.
inline bool has(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos)
    return true;
  CAF_MESSAGE("no " << part << " in " << text);
  return false;
}

} // namespace millrace::test
