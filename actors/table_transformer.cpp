#include "actors/table_transformer.hpp"

#include "actors/row_delivery.hpp"
#include "actors/setup.hpp"
#include "clickhouse/target_admin.hpp"

#include <algorithm>

namespace millrace {

namespace {

using waiting_part = table_transformer_state::waiting_part;

/// Values from the target that are written together: more wait until these are
/// durable.
constexpr size_t restored_bytes = 8 << 20;

// The front of the queue is dealt with.
void next(transformer_ptr self) {
  self->state.busy = false;
  work(self);
}

table_description_ptr allow_nulls(const table_description_ptr& x,
                                  const std::set<std::string>& columns) {
  if (columns.empty())
    return x;
  auto result = std::make_shared<table_description>(*x);
  for (auto& column : result->columns)
    column.nullable = column.nullable || columns.count(column.name) != 0;
  return result;
}

// The table has a new shape: the target follows before any row of it.
void follow_shape(transformer_ptr self) {
  auto& st = self->state;
  const auto& part = *st.queue.front().part;
  st.description = part.batch->tables[part.table];
  auto target = transform::map_table(allow_nulls(st.description, st.with_nulls),
                                     st.mapping);
  if (!target) {
    quarantine(self, target.error().text, [self] { next(self); });
    return;
  }
  st.target = std::move(*target);
  self->request(st.to.admin, caf::infinite, atom::ensure_v, st.target)
    .then(
      [self](atom::ack) {
        auto& st = self->state;
        st.encoder
          = std::make_shared<transform::row_encoder>(st.target, *st.limits);
        if (!st.quarantined)
          st.numbers->quarantine({});
        next(self);
      },
      [self](const caf::error& err) {
        if (err == ec::table_unsuitable)
          quarantine(self, text_of(err), [self] { next(self); });
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
      quit_on_error(self));
}

// The front's changes from `first` on become a part of their own: their values
// are looked up when those of the others are durable. The last piece answers.
waiting_part take_front(transformer_ptr self, uint32_t first) {
  auto& st = self->state;
  auto front = std::move(st.queue.front());
  st.queue.pop_front();
  const auto& all = front.part->changes;
  auto cut = std::lower_bound(all.begin(), all.end(), first);
  if (cut == all.end())
    return front;
  auto rest = std::make_shared<row_part>(*front.part);
  rest->changes.assign(cut, all.end());
  auto piece = std::make_shared<row_part>(*front.part);
  piece->changes.assign(all.begin(), cut);
  st.queue.push_front({std::move(rest), front.promise});
  return {std::move(piece), {}};
}

void deliver_restored(transformer_ptr self, const restored_ptr& xs,
                      uint32_t rest) {
  auto& st = self->state;
  auto [part, promise, _] = take_front(self, rest);
  st.numbers->enrichment_errors.add(xs->rejects().size());
  deliver(self, std::move(part), xs, promise);
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
    deliver_restored(self, xs, UINT32_MAX);
    return;
  }
  stored_query_ptr query = std::make_shared<stored_query>(stored_query{
    st.target, xs->keys(), xs->columns(), xs->key_texts(), st.has_letters});
  self->request(st.to.reader, caf::infinite, atom::read_v, query)
    .then(
      [self, xs](const stored_rows_ptr& rows) {
        transform::known_row row;
        auto find = [&](const std::string& key) -> const transform::known_row* {
          auto i = rows->find(key);
          if (i == rows->end())
            return nullptr;
          row = {i->second.at, i->second.deleted, &i->second.values,
                 &i->second.refused};
          return &row;
        };
        auto rest = xs->fitting(find, rows->answered, restored_bytes);
        xs->cut(rest);
        xs->complete(find);
        xs->keep(rows);
        deliver_restored(self, xs, rest);
      },
      quit_on_error(self));
}

} // namespace

void work(transformer_ptr self) {
  auto& st = self->state;
  while (!st.busy && !st.letting_go && !st.queue.empty()) {
    auto& front = st.queue.front();
    auto part = front.part;
    const auto& batch = *part->batch;
    if (part->changes.empty() && !std::exchange(front.tried, true)
        && st.quarantined) {
      st.quarantined = false;
      st.description = nullptr;
    }
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
    deliver(self, std::move(part), nullptr, promise);
  }
}

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
