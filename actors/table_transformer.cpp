#include "actors/table_transformer.hpp"

#include "actors/failing.hpp"
#include "actors/setup.hpp"
#include "actors/state_marks.hpp"
#include "clickhouse/target_admin.hpp"
#include "transform/unchanged.hpp"

namespace millrace {

namespace {

using transformer_ptr
  = transformer_actor::stateful_pointer<table_transformer_state>;
using promise_type = caf::typed_response_promise<atom::ack>;

void work(transformer_ptr self);

// The front of the queue is dealt with.
void next(transformer_ptr self) {
  self->state.busy = false;
  work(self);
}

// One part that has been sent somewhere; answers when all answers are there.
struct sent_part {
  promise_type promise;
  size_t answers = 0;
};

void answered(transformer_ptr self, sent_part& x) {
  if (--x.answers != 0)
    return;
  x.promise.deliver(atom::ack_v);
  if (--self->state.outstanding == 0)
    work(self);
}

template <class Handle, class... Ts>
void send_and_count(transformer_ptr self, const Handle& to,
                    std::shared_ptr<sent_part> sent, Ts&&... xs) {
  ++sent->answers;
  self->request(to, caf::infinite, std::forward<Ts>(xs)...)
    .then([self, sent](atom::ack) { answered(self, *sent); },
          [self](const caf::error& err) { self->quit(err); });
}

// The table is let go until its rows are taken again; that it was is durable
// before any change of it counts as dealt with.
void quarantine(transformer_ptr self, const std::string& why) {
  auto& st = self->state;
  auto name = st.description->full_name();
  st.quarantined = true;
  st.numbers->quarantine(why);
  spdlog::error("table {} is quarantined, its changes are not written: {}",
                name, why);
  self
    ->request(st.to.admin, caf::infinite, atom::save_v,
              quarantine_mark(name, why))
    .then([self](atom::ack) { next(self); },
          [self](const caf::error& err) { self->quit(err); });
}

dead_letters_ptr to_letters(const change_batch& batch,
                            const std::vector<transform::rejected>& rejects) {
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

void report_rejects(transformer_ptr self, const change_batch& batch,
                    const std::vector<transform::rejected>& rejects) {
  auto& st = self->state;
  st.has_letters = true;
  st.numbers->dead_letters.add(rejects.size());
  const auto& first = rejects.front();
  spdlog::error(
    "{} of {} change(s) of {} go to the dead letters; the first, "
    "at {}: {}",
    rejects.size(), batch.changes.size(), st.description->full_name(),
    to_string(lsn{batch.version_of(batch.changes[first.change]).major}),
    first.error);
}

void count_saturated(table_transformer_state& st,
                     const std::vector<uint64_t>& by_column) {
  for (size_t i = 0; i < by_column.size(); ++i)
    if (by_column[i] != 0)
      st.numbers->saturated(st.target->columns[i].name, by_column[i]);
}

// Encodes and sends; `rejects` are those that were found before.
void dispatch(transformer_ptr self, const change_batch& batch,
              std::span<const uint32_t> changes, const std::vector<cell>& cells,
              const std::vector<std::string>& patches,
              std::vector<transform::rejected> rejects, promise_type promise) {
  auto& st = self->state;
  if (fails_at(self, "transform.before"))
    return;
  auto start = std::chrono::steady_clock::now();
  auto out = st.encoder->encode(batch, changes, cells, patches);
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  st.duration->observe(took.count());
  count_saturated(st, out.saturated);
  rejects.insert(rejects.end(), out.rejects.begin(), out.rejects.end());
  auto sent = std::make_shared<sent_part>(sent_part{promise, 1});
  ++st.outstanding;
  if (!rejects.empty()) {
    report_rejects(self, batch, rejects);
    send_and_count(self, st.to.admin, sent, to_letters(batch, rejects));
  }
  if (out.block)
    send_and_count(self, st.to.sink, sent, std::move(out.block));
  if (fails_at(self, "transform.after"))
    return;
  answered(self, *sent);
}

// The table has a new shape: the target follows before any row of it.
void follow_shape(transformer_ptr self) {
  auto& st = self->state;
  const auto& part = *st.queue.front().part;
  st.description = part.batch->tables[part.table];
  auto target = transform::map_table(st.description, st.mapping);
  if (!target) {
    quarantine(self, target.error().text);
    return;
  }
  st.target = std::move(*target);
  self->request(st.to.admin, caf::infinite, atom::ensure_v, st.target)
    .then(
      [self](atom::ack) {
        auto& st = self->state;
        st.encoder
          = std::make_unique<transform::row_encoder>(st.target, *st.limits);
        if (!st.quarantined)
          st.numbers->quarantine({});
        next(self);
      },
      [self](const caf::error& err) {
        if (err == ec::table_unsuitable)
          quarantine(self, text_of(err));
        else
          self->quit(err);
      });
}

void truncate(transformer_ptr self, const change_batch& batch,
              const change& x) {
  auto& st = self->state;
  auto at = batch.version_of(x);
  auto committed_at = batch.transactions[x.transaction].committed_at;
  clear_request_ptr request = std::make_shared<clear_request>(
    clear_request{st.target, at, at, committed_at});
  self->request(st.to.admin, caf::infinite, atom::clear_v, request)
    .then(
      [self](atom::ack) {
        auto promise = self->state.queue.front().promise;
        self->state.queue.pop_front();
        promise.deliver(atom::ack_v);
        next(self);
      },
      [self](const caf::error& err) { self->quit(err); });
}

void dispatch_completed(transformer_ptr self,
                        const std::shared_ptr<transform::unchanged_values>& xs,
                        const change_batch& batch) {
  auto& st = self->state;
  auto promise = st.queue.front().promise;
  // Keeps the batch alive while it is encoded.
  auto part = st.queue.front().part;
  st.queue.pop_front();
  st.numbers->enrichment_errors.add(xs->rejects().size());
  dispatch(self, batch, xs->changes(), xs->cells(), xs->patches(),
           xs->rejects(), promise);
  next(self);
}

// All before is durable: the target tells the values that the stream left out.
void restore_unchanged(transformer_ptr self) {
  auto& st = self->state;
  const auto& part = *st.queue.front().part;
  const auto& batch = *part.batch;
  auto xs = std::make_shared<transform::unchanged_values>(
    batch, part.changes, *st.target, *st.encoder);
  if (xs->keys().empty()) {
    dispatch_completed(self, xs, batch);
    return;
  }
  stored_query_ptr query = std::make_shared<stored_query>(stored_query{
    st.target, xs->keys(), xs->columns(), xs->key_texts(), st.has_letters});
  self->request(st.to.reader, caf::infinite, atom::read_v, query)
    .then(
      [self, xs, &batch](const stored_rows_ptr& rows) {
        transform::known_row row;
        xs->complete(
          [&](const std::string& key) -> const transform::known_row* {
            auto i = rows->find(key);
            if (i == rows->end())
              return nullptr;
            row = {i->second.at, i->second.deleted, &i->second.values,
                   &i->second.refused};
            return &row;
          });
        dispatch_completed(self, xs, batch);
      },
      [self](const caf::error& err) { self->quit(err); });
}

void work(transformer_ptr self) {
  auto& st = self->state;
  while (!st.busy && !st.queue.empty()) {
    auto part = st.queue.front().part;
    const auto& batch = *part->batch;
    if (!st.quarantined && st.description != batch.tables[part->table]
        && (!st.description || *st.description != *batch.tables[part->table])) {
      st.busy = true;
      // Rows of the old shape are written by what encoded them.
      follow_shape(self);
      continue;
    }
    auto promise = st.queue.front().promise;
    if (st.quarantined || part->changes.empty()) {
      st.queue.pop_front();
      promise.deliver(atom::ack_v);
      continue;
    }
    const auto& first = batch.changes[part->changes.front()];
    auto truncates = first.op == operation::truncate;
    if (truncates || transform::has_unchanged(batch, part->changes)) {
      if (st.outstanding > 0) {
        self->send(st.to.sink, atom::flush_v);
        return;
      }
      st.busy = true;
      if (truncates)
        truncate(self, batch, first);
      else
        restore_unchanged(self);
      continue;
    }
    st.queue.pop_front();
    dispatch(self, batch, part->changes, batch.cells, {}, {}, promise);
  }
}

} // namespace

transformer_actor::behavior_type
table_transformer(transformer_ptr self, unit context, std::string table,
                  transformer_targets to, transform::mapping_options mapping,
                  limits_ptr limits) {
  set_default_handlers(self);
  auto& st = self->state;
  st.numbers = context.numbers->table(table);
  st.duration = context.numbers->flow(table);
  st.context = std::move(context);
  st.to = std::move(to);
  st.mapping = std::move(mapping);
  st.limits = std::move(limits);
  return {
    [self](const row_part_ptr& part) -> caf::result<atom::ack> {
      auto promise = self->make_response_promise<atom::ack>();
      self->state.queue.push_back({part, promise});
      work(self);
      return promise;
    },
  };
}

} // namespace millrace
