#pragma once

namespace millrace {

/// Version of the program: `0.1.0`.
const char* version_text();

} // namespace millrace
