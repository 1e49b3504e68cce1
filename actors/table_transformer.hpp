#pragma once

#include "actors/unit.hpp"
#include "messages/actors.hpp"
#include "transform/mapping.hpp"
#include "transform/row_encoder.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace millrace {

/// What a TRANSFORMER sends to.
struct transformer_targets {
  sink_actor sink;

  /// Makes tables, truncates, takes dead letters.
  target_agent_actor admin;

  /// Reads rows by key; an actor of its own, since reads are frequent.
  target_agent_actor reader;
};

/// What the server can hold; filled by the TARGET AGENT when it loads the
/// state, which is before any row moves.
using limits_ptr = std::shared_ptr<const transform::server_limits>;

/// Turns source rows of one table (or one shard of it) into target rows. Parts
/// are worked off in order:
///
///   a new description  -> make or alter the target table first
///   unchanged values   -> wait until all before is durable, read them back
///   truncate           -> tombstones for what is there
///   anything else      -> encode, send to the SINK
///   rows are refused   -> find them by halves, put them aside
///   (row_delivery.hpp)
///
/// A table that cannot be followed is quarantined: its changes are let go, and
/// that shows; the others go on. An announcement, which is a part without
/// changes, is another try.
struct table_transformer_state {
  static inline const char* name = "table-transformer";

  struct waiting_part {
    row_part_ptr part;
    caf::typed_response_promise<atom::ack> promise;

    /// An announcement has been looked at.
    bool tried = false;
  };

  unit context;
  transformer_targets to;
  transform::mapping_options mapping;
  limits_ptr limits;
  std::shared_ptr<table_metrics> numbers;
  std::shared_ptr<histogram> duration;

  table_description_ptr description;
  target_table_ptr target;
  std::shared_ptr<transform::row_encoder> encoder;
  bool quarantined = false;

  /// Columns that had NULLs in the stream, though the catalogue says of now that
  /// they have none.
  std::set<std::string> with_nulls;

  /// That the table is let go is not durable yet; what waits for it.
  bool letting_go = false;
  std::vector<std::function<void()>> when_let_go;

  /// Changes were put aside in this run.
  bool has_letters = false;

  std::deque<waiting_part> queue;

  /// The front of the queue waits for an answer.
  bool busy = false;

  /// Parts that have been sent and are not durable.
  size_t outstanding = 0;
};

transformer_actor::behavior_type table_transformer(
  transformer_actor::stateful_pointer<table_transformer_state> self,
  unit context, std::string table, transformer_targets to,
  transform::mapping_options mapping, limits_ptr limits);

} // namespace millrace
