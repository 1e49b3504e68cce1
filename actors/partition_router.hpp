#pragma once

#include "actors/unit.hpp"
#include "messages/actors.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace millrace {

/// Starts the TRANSFORMERS of a table, one for each shard of its keys, linked
/// to the router.
using transformer_factory = std::function<std::vector<transformer_actor>(
  router_actor::pointer self, const table_description_ptr& table)>;

/// Splits batches by table and, where a table has shards, by key; keeps the
/// order of each key. Tables are found by name at run time.
///
///   batch     -> a part for each table and shard; answer when all are durable
///   truncate  -> wait until everything before it is durable; hold what comes
///                after it back until it is durable itself
///   flush     -> answer when what the table has on its way now is durable
struct partition_router_state {
  static inline const char* name = "partition-router";

  /// Parts of a table that are not durable, by number, and who waits for them.
  struct open_parts {
    struct waiter {
      uint64_t last = 0;
      caf::typed_response_promise<atom::ack> promise;
    };

    std::set<uint64_t> numbers;
    std::vector<waiter> waiters;
  };

  struct route {
    std::vector<transformer_actor> shards;
    std::shared_ptr<table_metrics> numbers;
    std::shared_ptr<open_parts> open = std::make_shared<open_parts>();
  };

  struct held_batch {
    change_batch_ptr batch;
    caf::typed_response_promise<atom::ack> promise;
  };

  unit context;
  transformer_factory start;
  std::unordered_map<std::string, route> routes;

  /// Batches that have been passed on and are not durable.
  size_t outstanding = 0;

  /// Numbers the parts.
  uint64_t parts = 0;

  /// A truncate is on its way; what comes after it waits in `held`.
  bool truncating = false;
  std::deque<held_batch> held;
};

router_actor::behavior_type
partition_router(router_actor::stateful_pointer<partition_router_state> self,
                 unit context, transformer_factory start);

} // namespace millrace
