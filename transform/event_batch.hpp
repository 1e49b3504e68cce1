#pragma once

#include "messages/change_batch.hpp"
#include "messages/ec.hpp"
#include "messages/row_block.hpp"

namespace millrace::transform {

/// A dead letter as a batch of one change, for the table as it is now. What its
/// event does not say is unchanged; columns that the table no longer has are
/// left out. Failure `table_unsuitable`: the event cannot be read.
result<change_batch>
to_batch(table_description_ptr table, const dead_letter& letter);

} // namespace millrace::transform
