#pragma once

#include "actors/capture.hpp"

namespace millrace {

/// The tables that are streamed and of which no snapshot runs or is ordered;
/// a failure before the stream is open.
result<table_states_ptr> quiet_tables(const capture_state& st);

} // namespace millrace
