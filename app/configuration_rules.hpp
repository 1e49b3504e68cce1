#pragma once

#include "app/configuration.hpp"

namespace millrace {

/// Adds what is wrong with entries that are well-typed each for itself: names,
/// addresses, contradictions.
void check_rules(const configuration& x, configuration_problems& problems);

} // namespace millrace
