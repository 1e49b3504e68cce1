#include "actors/insert_pool.hpp"

#include "actors/setup.hpp"

namespace millrace {

namespace {

using pool_ptr = inserter_actor::stateful_pointer<insert_pool_state>;

void hand_out(pool_ptr self) {
  auto& st = self->state;
  while (!st.idle.empty() && !st.waiting.empty()) {
    auto worker = std::move(st.idle.back());
    st.idle.pop_back();
    auto [job, answer] = std::move(st.waiting.front());
    st.waiting.pop_front();
    // No deadline: the target may be away for hours. (clang 14 captures no
    // structured binding by its name.)
    self->request(worker, caf::infinite, std::move(job))
      .then(
        [self, worker, promise = answer](atom::ack) mutable {
          promise.deliver(atom::ack_v);
          self->state.idle.push_back(worker);
          hand_out(self);
        },
        [self, worker, promise = answer](caf::error& err) mutable {
          promise.deliver(std::move(err));
          self->state.idle.push_back(worker);
          hand_out(self);
        });
  }
}

} // namespace

inserter_actor::behavior_type
insert_pool(pool_ptr self, std::vector<inserter_actor> inserters) {
  set_default_handlers(self);
  for (auto& x : inserters)
    self->link_to(x);
  self->state.idle = std::move(inserters);
  return {
    [self](const insert_job_ptr& job) -> caf::result<atom::ack> {
      auto promise = self->make_response_promise<atom::ack>();
      self->state.waiting.push_back({job, promise});
      hand_out(self);
      return promise;
    },
  };
}

} // namespace millrace
