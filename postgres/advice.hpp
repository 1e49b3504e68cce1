#pragma once

#include <string>

namespace millrace::postgres {

/// What to do when changes are lost to a slot. Never only "make the slot
/// anew": the pipeline would go on with a gap that nobody sees.
std::string take_all_again(const std::string& slot);

} // namespace millrace::postgres
