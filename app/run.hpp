#pragma once

#include "app/configuration.hpp"

namespace millrace {

/// Runs a node until SIGINT or SIGTERM, which must be blocked in all threads;
/// then drains, confirms and stops within 10 s. SIGHUP opens the log file
/// again. Returns the exit code: 0 stopped, 1 failed for good.
int run(const configuration& config);

} // namespace millrace
