#pragma once

#include "actors/capture.hpp"

namespace millrace {

/// Takes out what the snapshot of a table without key has brought already:
/// there a row that comes twice is two rows. Up to the end of the snapshot they
/// pass, and its end removes them.
void drop_early(const capture_state& st, postgres::read_outcome& x);

} // namespace millrace
