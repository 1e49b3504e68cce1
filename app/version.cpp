#include "app/version.hpp"

namespace millrace {

const char* version_text() {
  return MILLRACE_VERSION;
}

} // namespace millrace
