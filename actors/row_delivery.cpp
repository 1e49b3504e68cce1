#include "actors/row_delivery.hpp"

#include "actors/failing.hpp"
#include "actors/let_table_go.hpp"
#include "actors/setup.hpp"
#include "clickhouse/target_admin.hpp"

#include <algorithm>
#include <span>

namespace millrace {

namespace {

using rejected_list = std::vector<transform::rejected>;

// A part that is on its way to the target.
struct delivery {
  row_part_ptr part;
  restored_ptr restored;

  // As of the part's shape: a later one does not concern it.
  std::shared_ptr<transform::row_encoder> encoder;
  caf::typed_response_promise<atom::ack> promise;

  // Changes that could be encoded.
  std::vector<uint32_t> changes;

  // Requests that have not been answered.
  size_t open = 0;

  const change_batch& batch() const {
    return *part->batch;
  }
};

using delivery_ptr = std::shared_ptr<delivery>;

void refused(transformer_ptr self, const delivery_ptr& x,
             std::span<const uint32_t> changes, const caf::error& err);

void answered(transformer_ptr self, delivery& x) {
  if (--x.open != 0)
    return;
  // Only the last piece of a part has one.
  if (x.promise.pending())
    x.promise.deliver(atom::ack_v);
  if (--self->state.outstanding == 0)
    work(self);
}

// A failure that ends the table, not the pipeline.
void failed(transformer_ptr self, const delivery_ptr& x,
            const caf::error& err) {
  if (err == ec::table_unsuitable)
    quarantine(self, text_of(err), [self, x] { answered(self, *x); });
  else
    self->quit(err);
}

dead_letters_ptr
to_letters(const change_batch& batch, const rejected_list& rejects) {
  auto result = std::make_shared<std::vector<dead_letter>>();
  for (const auto& reject : rejects) {
    const auto& x = batch.changes[reject.change];
    dead_letter letter;
    letter.table = batch.tables[x.table]->full_name();
    letter.op = x.op;
    letter.at = batch.version_of(x);
    letter.committed_at = batch.transactions[x.transaction].committed_at;
    letter.event = transform::event_json(batch, x);
    letter.key = transform::key_json(batch, x);
    letter.error = reject.error;
    result->push_back(std::move(letter));
  }
  return result;
}

void put_aside(transformer_ptr self, const delivery_ptr& x,
               const rejected_list& rejects) {
  if (rejects.empty())
    return;
  auto& st = self->state;
  const auto& batch = x->batch();
  st.has_letters = true;
  st.numbers->dead_letters.add(rejects.size());
  const auto& first = rejects.front();
  spdlog::error(
    "{} of {} change(s) of {} go to the dead letters; the first, "
    "at {}: {}",
    rejects.size(), batch.changes.size(), st.description->full_name(),
    to_string(lsn{batch.version_of(batch.changes[first.change]).major}),
    first.error);
  ++x->open;
  self->request(st.to.admin, caf::infinite, to_letters(batch, rejects))
    .then([self, x](atom::ack) { answered(self, *x); },
          [self, x](const caf::error& err) { failed(self, x, err); });
}

transform::row_encoder::outcome
encode(const delivery& x, std::span<const uint32_t> changes) {
  if (!x.restored)
    return x.encoder->encode(x.batch(), changes, x.batch().cells, {},
                             x.part->batch);
  using both = std::pair<change_batch_ptr, restored_ptr>;
  return x.encoder->encode(x.batch(), changes, x.restored->cells(),
                           x.restored->patches(),
                           std::make_shared<both>(x.part->batch, x.restored));
}

// `changes` are the block's, a piece of `x->changes`.
void send(transformer_ptr self, const delivery_ptr& x, row_block_ptr block,
          std::span<const uint32_t> changes) {
  ++x->open;
  self->request(self->state.to.sink, caf::infinite, std::move(block))
    .then([self, x](atom::ack) { answered(self, *x); },
          [self, x, changes](const caf::error& err) {
            refused(self, x, changes, err);
          });
}

void send_alone(transformer_ptr self, const delivery_ptr& x,
                std::span<const uint32_t> changes) {
  auto out = encode(*x, changes);
  auto block = std::make_shared<row_block>(*out.block);
  block->urgent = true;
  block->alone = true;
  send(self, x, std::move(block), changes);
}

void refused(transformer_ptr self, const delivery_ptr& x,
             std::span<const uint32_t> changes, const caf::error& err) {
  if (err != ec::rows_refused) {
    failed(self, x, err);
    return;
  }
  if (self->state.quarantined) {
    quarantine(self, {}, [self, x] { answered(self, *x); });
    return;
  }
  if (changes.size() == 1) {
    put_aside(self, x, {{changes.front(), text_of(err)}});
  } else {
    if (changes.size() == x->changes.size())
      spdlog::warn("{}; the rows are looked for", text_of(err));
    auto half = changes.size() / 2;
    send_alone(self, x, changes.first(half));
    send_alone(self, x, changes.subspan(half));
  }
  answered(self, *x);
}

void count_saturated(table_transformer_state& st,
                     const std::vector<uint64_t>& by_column) {
  for (size_t i = 0; i < by_column.size(); ++i)
    if (by_column[i] != 0)
      st.numbers->saturated(st.target->columns[i].name, by_column[i]);
}

// Both are in the order of the changes.
void remove(std::vector<uint32_t>& changes, const rejected_list& rejects) {
  if (rejects.empty())
    return;
  std::erase_if(changes, [&](uint32_t i) {
    auto at = std::lower_bound(rejects.begin(), rejects.end(), i,
                               [](const auto& x, uint32_t y) {
                                 return x.change < y;
                               });
    return at != rejects.end() && at->change == i;
  });
}

// The part again, once the target's columns can hold NULLs.
void try_with_nulls(transformer_ptr self, const delivery_ptr& x,
                    std::set<std::string>&& columns) {
  auto& st = self->state;
  for (const auto& name : columns)
    spdlog::info("column \"{}\" of {} was nullable when its rows were written",
                 name, st.description->full_name());
  st.with_nulls.merge(columns);
  st.description = nullptr;
  st.queue.push_front({x->part, x->promise});
  --st.outstanding;
}

} // namespace

void deliver(transformer_ptr self, row_part_ptr part, restored_ptr restored,
             caf::typed_response_promise<atom::ack> promise) {
  if (fails_at(self, "transform.before"))
    return;
  auto& st = self->state;
  auto x = std::make_shared<delivery>();
  x->part = std::move(part);
  x->restored = std::move(restored);
  x->encoder = st.encoder;
  x->promise = promise;
  x->open = 1;
  ++st.outstanding;
  if (st.quarantined) {
    quarantine(self, {}, [self, x] { answered(self, *x); });
    return;
  }
  rejected_list rejects;
  if (x->restored)
    rejects = x->restored->rejects();
  x->changes = x->restored ? x->restored->changes() : x->part->changes;
  auto start = std::chrono::steady_clock::now();
  auto out = encode(*x, x->changes);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  st.duration->observe(took.count());
  if (!out.nulls.empty()) {
    try_with_nulls(self, x, std::move(out.nulls));
    return;
  }
  count_saturated(st, out.saturated);
  remove(x->changes, out.rejects);
  rejects.insert(rejects.end(), out.rejects.begin(), out.rejects.end());
  put_aside(self, x, rejects);
  if (out.block)
    send(self, x, std::move(out.block), x->changes);
  if (fails_at(self, "transform.after"))
    return;
  answered(self, *x);
}

void quarantine(transformer_ptr self, const std::string& why,
                std::function<void()> then) {
  auto& st = self->state;
  if (st.quarantined && !st.letting_go) {
    then();
    return;
  }
  st.when_let_go.push_back(std::move(then));
  if (st.quarantined)
    return;
  st.quarantined = true;
  st.letting_go = true;
  let_table_go(self, st.to.admin, *st.numbers, why, [self] {
    auto& st = self->state;
    st.letting_go = false;
    for (const auto& f : std::exchange(st.when_let_go, {}))
      f();
    work(self);
  });
}

} // namespace millrace
