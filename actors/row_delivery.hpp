#pragma once

#include "actors/table_transformer.hpp"
#include "transform/unchanged.hpp"

#include <functional>
#include <memory>
#include <string>

namespace millrace {

using transformer_ptr
  = transformer_actor::stateful_pointer<table_transformer_state>;

/// A part with the values that the stream left out.
using restored_ptr = std::shared_ptr<transform::unchanged_values>;

/// Encodes a part, sends it to the SINK, and answers once it is durable. What
/// cannot be encoded goes to the dead letters. Where the target refuses rows,
/// halves are sent again until the rows are found; they go there too.
/// @param restored null when the part has all values.
void deliver(transformer_ptr self, row_part_ptr part, restored_ptr restored,
             caf::typed_response_promise<atom::ack> promise);

/// Lets the table go until its rows are taken again. Calls `then` once that is
/// durable: only then its changes may count as dealt with.
void quarantine(transformer_ptr self, const std::string& why,
                std::function<void()> then);

/// Goes on with the queue. Defined by the TRANSFORMER.
void work(transformer_ptr self);

} // namespace millrace
