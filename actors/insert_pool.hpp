#pragma once

#include "messages/actors.hpp"

#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <deque>
#include <functional>
#include <vector>

namespace millrace {

/// Hands inserts to the INSERTER that is free, in the order in which they came.
struct insert_pool_state {
  static inline const char* name = "insert-pool";

  struct waiting_job {
    insert_job_ptr job;
    caf::typed_response_promise<atom::ack> promise;
  };

  std::vector<inserter_actor> idle;
  std::deque<waiting_job> waiting;
};

/// Takes the ownership of its inserters: a failure of one ends the pool.
inserter_actor::behavior_type
insert_pool(inserter_actor::stateful_pointer<insert_pool_state> self,
            std::vector<inserter_actor> inserters);

} // namespace millrace
