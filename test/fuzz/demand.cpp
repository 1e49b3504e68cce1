#include "test/fuzz/target.hpp"

#include <cstdio>
#include <cstdlib>

namespace millrace::test {

void demand(bool ok, const char* what) {
  if (ok)
    return;
  std::fprintf(stderr, "demand failed: %s\n", what);
  std::abort();
}

} // namespace millrace::test
