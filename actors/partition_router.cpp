#include "actors/partition_router.hpp"

#include "actors/setup.hpp"

#include <array>
#include <functional>

namespace millrace {

namespace {

using router_ptr = router_actor::stateful_pointer<partition_router_state>;
using promise_type = caf::typed_response_promise<atom::ack>;

// The parts of one batch that are not yet durable.
struct pending_batch {
  change_batch_ptr batch;
  promise_type promise;
  size_t parts = 0;
};

using pending_ptr = std::shared_ptr<pending_batch>;

partition_router_state::route&
find_route(router_ptr self, const table_description_ptr& table) {
  auto& st = self->state;
  auto name = table->full_name();
  auto i = st.routes.find(name);
  if (i == st.routes.end()) {
    partition_router_state::route fresh{st.start(self, table),
                                        st.context.numbers->table(name)};
    i = st.routes.emplace(std::move(name), std::move(fresh)).first;
  }
  return i->second;
}

bool is_truncate(const change_batch& xs) {
  return !xs.changes.empty() && xs.changes.front().op == operation::truncate;
}

size_t key_hash(const change_batch& xs, const change& x,
                const std::vector<uint32_t>& key) {
  // A change of the key has been completed by the source: both its rows may
  // go where the new key lives.
  auto row = x.row != change::no_row ? x.row : x.old_row_at;
  size_t result = 0;
  for (auto column : key) {
    const auto& value = xs.cells[row + column];
    auto text = value.size < 0 ? std::string_view{} : xs.text_of(value);
    result = result * 31 + std::hash<std::string_view>{}(text);
  }
  return result;
}

using index_lists = std::vector<std::vector<uint32_t>>;

// Change indexes by table; one pass over the batch.
index_lists split_by_table(const change_batch& xs) {
  index_lists result(xs.tables.size());
  if (xs.tables.size() == 1)
    result.front().reserve(xs.changes.size());
  for (uint32_t i = 0; i < xs.changes.size(); ++i)
    result[xs.changes[i].table].push_back(i);
  return result;
}

index_lists
split_by_key(const change_batch& xs, std::vector<uint32_t>&& changes,
             const table_description& table, size_t shards) {
  index_lists result(shards);
  if (shards == 1) {
    result.front() = std::move(changes);
    return result;
  }
  auto key = table.key_columns();
  for (auto i : changes) {
    const auto& x = xs.changes[i];
    auto shard = x.op == operation::truncate || key.empty()
                   ? 0
                   : key_hash(xs, x, key) % shards;
    result[shard].push_back(i);
  }
  return result;
}

void count_events(const partition_router_state::route& to,
                  const change_batch& xs,
                  const std::vector<uint32_t>& changes) {
  std::array<uint64_t, 5> counts{};
  for (auto i : changes)
    ++counts[static_cast<size_t>(xs.changes[i].op)];
  for (size_t op = 0; op < counts.size(); ++op)
    if (counts[op] != 0)
      to.numbers->events[op].add(counts[op]);
  if (changes.empty())
    return;
  const auto& last = xs.changes[changes.back()];
  if (last.op != operation::read) {
    const auto& tx = xs.transactions[last.transaction];
    to.numbers->received(tx.commit, tx.committed_at);
  }
}

void pass_on(router_ptr self, pending_ptr pending);

void release_held(router_ptr self) {
  auto& st = self->state;
  while (!st.held.empty() && !st.truncating) {
    const auto& next = *st.held.front().batch;
    if (is_truncate(next) && st.outstanding > 0)
      return;
    auto [batch, promise] = std::move(st.held.front());
    st.held.pop_front();
    pass_on(self, std::make_shared<pending_batch>(
                    pending_batch{std::move(batch), promise}));
  }
}

void batch_done(router_ptr self, pending_batch& x) {
  auto& st = self->state;
  --st.outstanding;
  if (is_truncate(*x.batch))
    st.truncating = false;
  x.promise.deliver(atom::ack_v);
  release_held(self);
}

void part_done(partition_router_state::open_parts& open, uint64_t number) {
  open.numbers.erase(number);
  std::erase_if(open.waiters, [&](auto& x) {
    if (!open.numbers.empty() && *open.numbers.begin() <= x.last)
      return false;
    x.promise.deliver(atom::ack_v);
    return true;
  });
}

void send_part(router_ptr self, const transformer_actor& to,
               const partition_router_state::route& from, row_part&& part,
               const pending_ptr& pending) {
  ++pending->parts;
  auto part_number = ++self->state.parts;
  from.open->numbers.insert(part_number);
  auto last = version{};
  int64_t committed_at = 0;
  if (!part.changes.empty()) {
    const auto& x = part.batch->changes[part.changes.back()];
    if (x.op != operation::read) {
      last = part.batch->version_of(x);
      committed_at = part.batch->transactions[x.transaction].committed_at;
    }
  }
  self
    ->request(to, caf::infinite,
              row_part_ptr{std::make_shared<row_part>(std::move(part))})
    .then(
      [self, pending, numbers = from.numbers, open = from.open, part_number,
       last, committed_at](atom::ack) {
        part_done(*open, part_number);
        if (last.major != 0)
          numbers->durable(lsn{last.major}, committed_at);
        if (--pending->parts == 0)
          batch_done(self, *pending);
      },
      quit_on_error(self));
}

void pass_on(router_ptr self, pending_ptr pending) {
  auto& st = self->state;
  const auto& xs = *pending->batch;
  ++st.outstanding;
  st.truncating = is_truncate(xs);
  // Holds the answer back until all parts are on their way.
  pending->parts = 1;
  auto by_table = split_by_table(xs);
  for (uint32_t table = 0; table < by_table.size(); ++table) {
    auto announces = xs.changes.empty();
    if (by_table[table].empty() && !announces)
      continue;
    const auto& description = xs.tables[table];
    auto& to = find_route(self, description);
    count_events(to, xs, by_table[table]);
    auto by_key = split_by_key(xs, std::move(by_table[table]), *description,
                               to.shards.size());
    for (size_t shard = 0; shard < by_key.size(); ++shard)
      if (announces || !by_key[shard].empty())
        send_part(self, to.shards[shard], to,
                  {pending->batch, table, std::move(by_key[shard])}, pending);
  }
  if (--pending->parts == 0)
    batch_done(self, *pending);
}

} // namespace

router_actor::behavior_type
partition_router(router_ptr self, unit context, transformer_factory start) {
  set_default_handlers(self);
  self->state.context = std::move(context);
  self->state.start = std::move(start);
  return {
    [self](const change_batch_ptr& batch) -> caf::result<atom::ack> {
      auto promise = self->make_response_promise<atom::ack>();
      self->state.held.push_back({batch, promise});
      release_held(self);
      return promise;
    },
    [self](atom::flush, const std::string& table) -> caf::result<atom::ack> {
      auto& routes = self->state.routes;
      auto i = routes.find(table);
      if (i == routes.end() || i->second.open->numbers.empty())
        return atom::ack_v;
      auto& open = *i->second.open;
      auto promise = self->make_response_promise<atom::ack>();
      open.waiters.push_back({*open.numbers.rbegin(), promise});
      return promise;
    },
  };
}

} // namespace millrace
