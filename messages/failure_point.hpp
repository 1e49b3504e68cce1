#pragma once

#include "messages/ec.hpp"

namespace millrace {

/// A place at which tests make the program crash, hang, wait or fail; `place`
/// is "<step>.before" or "<step>.after". In the program itself it does nothing:
/// the acting definition is in test/faults, which is linked in its stead into
/// `millrace_faults`. Thread-safe.
/// @returns a failure with this code where an error was asked for.
result<void> failure_point(const char* place, ec code);

} // namespace millrace
