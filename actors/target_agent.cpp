#include "actors/target_agent.hpp"

#include "actors/patience.hpp"
#include "actors/setup.hpp"

namespace millrace {

namespace {

using state_ptr = target_agent_actor::stateful_pointer<target_agent_state>;

constexpr const char* whom = "target";

// Runs a call until it succeeds or fails for good; answers an ack.
template <class F>
caf::result<atom::ack> acknowledge(state_ptr self, F call) {
  auto done = patiently(self->state.context, whom, call);
  if (!done)
    return to_error(done.error());
  return atom::ack_v;
}

// The first table to ask for a name has it; empty when that is this one.
std::string find_other_owner(target_agent_state& st, const target_table& x) {
  auto name = x.source->full_name();
  const auto& owner = st.owners.emplace(x.name, name).first->second;
  if (owner == name)
    return {};
  return owner + " and " + name + " would meet in target table \"" + x.name
         + "\": give one of them another by [target] names = [ { table = \""
         + name + "\", name = \"...\" } ]";
}

result<lsn> highest(target_agent_state& st, const table_list_ptr& tables) {
  lsn result;
  for (const auto& table : *tables) {
    auto target = transform::map_table(table, st.mapping);
    if (!target)
      continue; // never written, so it holds nothing
    auto x = st.admin->highest_version(**target);
    if (!x)
      return x;
    result = std::max(result, *x);
  }
  return result;
}

caf::result<state_map_ptr> stored_state(target_agent_state& st) {
  auto xs = patiently(st.context, whom, [&] { return st.admin->load_state(); });
  if (!xs)
    return to_error(xs.error());
  return state_map_ptr{
    std::make_shared<state_map_ptr::element_type>(std::move(*xs))};
}

/// Bytes of one answer, and of all that are held.
constexpr size_t answer_bytes = 8 << 20;

// Answers are held until what they restored is durable, which waits for nobody
// here: there will be room.
result<clickhouse::stored_rows>
read_rows(target_agent_state& st, const stored_query& x) {
  while (*st.held >= answer_bytes && !st.context.stopping())
    st.context.sleep(std::chrono::milliseconds{5});
  auto rows = patiently(st.context, whom, [&] {
    return st.admin->read(*x.table, x.keys, x.columns, answer_bytes);
  });
  if (!rows)
    return rows;
  *st.held += rows->bytes;
  rows->held
    = {nullptr, [held = st.held, n = rows->bytes](void*) { *held -= n; }};
  return rows;
}

// What the rows lack because it was put aside: only tables with dead letters
// pay for it.
result<void> add_refused(target_agent_state& st, const stored_query& query,
                         clickhouse::stored_rows& rows) {
  if (rows.empty() || query.key_texts.empty())
    return {};
  auto name = query.table->source->full_name();
  if (!query.has_letters && st.had_letters.count(name) == 0) {
    auto had = patiently(st.context, whom,
                         [&] { return st.admin->has_dead_letters(name); });
    if (!had)
      return tl::unexpected(std::move(had.error()));
    st.had_letters[name] = *had;
  }
  if (!query.has_letters && !st.had_letters[name])
    return {};
  auto refused = patiently(st.context, whom, [&] {
    return st.admin->refused(*query.table, query.key_texts);
  });
  if (!refused)
    return tl::unexpected(std::move(refused.error()));
  for (size_t i = 0; i < query.keys.size(); ++i)
    if (auto row = rows.find(query.keys[i]); row != rows.end())
      if (auto x = refused->find(query.key_texts[i]); x != refused->end())
        row->second.refused = x->second;
  return {};
}

// Room for dead letters of a table; the user may have dealt with some.
result<uint64_t>
room_for_letters(target_agent_state& st, const std::string& table, size_t n) {
  auto i = st.open_letters.find(table);
  if (i == st.open_letters.end() || i->second + n > st.max_letters) {
    auto open = patiently(st.context, whom,
                          [&] { return st.admin->open_letters(table); });
    if (!open)
      return open;
    i = st.open_letters.insert_or_assign(table, *open).first;
  }
  return st.max_letters - std::min(i->second, st.max_letters);
}

result<void>
store_letters(target_agent_state& st, const std::vector<dead_letter>& xs) {
  if (xs.empty())
    return {};
  const auto& table = xs.front().table;
  auto room = room_for_letters(st, table, xs.size());
  if (!room)
    return tl::unexpected(std::move(room.error()));
  auto few = xs;
  if (few.size() > *room)
    few.resize(*room);
  auto done = patiently(st.context, whom,
                        [&] { return st.admin->write_dead_letters(few); });
  if (!done)
    return done;
  st.open_letters[table] += few.size();
  if (few.size() == xs.size())
    return {};
  return fail(ec::table_unsuitable,
              "more than [limits] max-dead-letters = "
                + std::to_string(st.max_letters)
                + " changes could not be written, the last one because: "
                + xs.back().error);
}

} // namespace

target_agent_actor::behavior_type
target_agent(state_ptr self, unit context, clickhouse::target_options options,
             transform::mapping_options mapping,
             std::shared_ptr<transform::server_limits> limits,
             uint64_t max_letters) {
  set_default_handlers(self);
  auto& st = self->state;
  st.admin = std::make_unique<clickhouse::target_admin>(
    std::move(options), context.pipeline, context.stop);
  st.context = std::move(context);
  st.mapping = std::move(mapping);
  st.limits = std::move(limits);
  st.max_letters = max_letters;
  return {
    [self](atom::ensure, const target_table_ptr& x) -> caf::result<atom::ack> {
      auto taken = find_other_owner(self->state, *x);
      if (!taken.empty())
        return to_error(failure{ec::table_unsuitable, std::move(taken)});
      return acknowledge(self, [&] { return self->state.admin->ensure(*x); });
    },
    [self](atom::read,
           const stored_query_ptr& x) -> caf::result<stored_rows_ptr> {
      auto& st = self->state;
      auto rows = read_rows(st, *x);
      if (!rows)
        return to_error(rows.error());
      auto added = add_refused(st, *x, *rows);
      if (!added)
        return to_error(added.error());
      return stored_rows_ptr{
        std::make_shared<clickhouse::stored_rows>(std::move(*rows))};
    },
    [self](atom::clear, const clear_request_ptr& x) {
      return acknowledge(self, [&]() -> result<void> {
        auto& admin = *self->state.admin;
        auto done = admin.clear(*x->table, x->below, x->at, x->committed_at);
        // What was put aside before is of no use any more.
        return done ? admin.supersede_letters(*x->table, x->below) : done;
      });
    },
    [self](const dead_letters_ptr& xs) -> caf::result<atom::ack> {
      auto done = store_letters(self->state, *xs);
      if (!done)
        return to_error(done.error());
      return atom::ack_v;
    },
    [self](atom::read) { return stored_state(self->state); },
    [self](atom::load) -> caf::result<state_map_ptr> {
      auto& st = self->state;
      auto prepared
        = patiently(st.context, whom, [&] { return st.admin->prepare(); });
      if (!prepared)
        return to_error(prepared.error());
      auto ended
        = patiently(st.context, whom, [&] { return st.admin->end_inserts(); });
      if (!ended)
        return to_error(ended.error());
      auto limits
        = patiently(st.context, whom, [&] { return st.admin->limits(); });
      if (!limits)
        return to_error(limits.error());
      *st.limits = *limits;
      return stored_state(st);
    },
    [self](atom::save, const state_map_ptr& xs) {
      return acknowledge(self,
                         [&] { return self->state.admin->save_state(*xs); });
    },
    [self](atom::position, const table_list_ptr& tables) -> caf::result<lsn> {
      auto& st = self->state;
      auto x = patiently(st.context, whom, [&] { return highest(st, tables); });
      if (!x)
        return to_error(x.error());
      return *x;
    },
  };
}

} // namespace millrace
