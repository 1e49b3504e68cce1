#include "actors/source_agent.hpp"

#include "actors/setup.hpp"
#include "postgres/replication_reader.hpp"

#include <algorithm>
#include <set>

namespace millrace {

namespace {

// Answers a request with a shared copy of the value, or with the failure.
template <class T, class U = T>
caf::result<std::shared_ptr<const U>> answer(result<T>&& x) {
  if (!x)
    return to_error(x.error());
  return std::shared_ptr<const U>{std::make_shared<U>(std::move(*x))};
}

template <class T>
caf::result<T> answer_plain(result<T>&& x) {
  if (!x)
    return to_error(x.error());
  return std::move(*x);
}

// All problems in one line.
result<postgres::source_look> look(postgres::source_admin& admin) {
  auto survey = admin.survey();
  if (!survey)
    return tl::unexpected{survey.error()};
  auto tables = admin.tables();
  if (!tables)
    return tl::unexpected{tables.error()};
  postgres::source_look result{survey->identity, std::move(*tables), {}};
  auto& all = result.trouble;
  for (const auto& x : survey->problems) {
    if (x.warning)
      continue;
    // One that does not pass by itself decides.
    if (all.code == ec::none || (is_retriable(all.code) && is_fatal(x.code)))
      all.code = x.code;
    all.text += (all.text.empty() ? "" : "; ") + x.subject + ": " + x.text;
    if (!x.remedy.empty())
      all.text += " (" + x.remedy + ")";
  }
  if (result.identity.system_identifier.empty())
    return tl::unexpected{std::move(all)};
  return result;
}

// A commit is in the log before it is visible: a look in between would see what
// was before the change that asks. Waits until the transactions have ended for
// every snapshot taken from now on.
result<void>
wait_until_visible(source_agent_state& st, const std::set<uint32_t>& asked) {
  constexpr auto pause = std::chrono::milliseconds{5};
  constexpr auto patience = 200;
  for (auto tries = 0; !st.context.stopping(); ++tries) {
    auto running = st.admin->running_transactions();
    if (!running)
      return tl::unexpected{running.error()};
    auto open
      = std::find_if(running->begin(), running->end(), [&](uint64_t id) {
          return asked.count(static_cast<uint32_t>(id)) != 0;
        });
    if (open == running->end())
      break;
    if (tries == patience)
      st.context.numbers->waits("transactions",
                                "transaction " + std::to_string(*open)
                                  + " is in the log and not yet visible");
    st.context.sleep(pause);
  }
  st.context.numbers->resumes("transactions");
  return {};
}

std::set<uint32_t>
transactions_of(const change_batch& xs, const std::vector<uint32_t>& changes) {
  std::set<uint32_t> result;
  for (auto i : changes)
    result.insert(xs.transactions[xs.changes[i].transaction].xid);
  return result;
}

} // namespace

source_agent_actor::behavior_type
source_agent(source_agent_actor::stateful_pointer<source_agent_state> self,
             unit context, postgres::source_options options,
             uint64_t chunk_bytes) {
  set_default_handlers(self);
  auto& st = self->state;
  st.context = std::move(context);
  st.options = options;
  st.admin = std::make_unique<postgres::source_admin>(std::move(options));
  return {
    [self](atom::check) -> caf::result<source_look_ptr> {
      return answer(look(*self->state.admin));
    },
    [self](atom::prepare, lsn highest_start) -> caf::result<source_start_ptr> {
      return answer(self->state.admin->set_up(highest_start));
    },
    [self](atom::connect,
           const source_start_ptr& start) -> caf::result<reader_ptr> {
      auto reader = postgres::start_replication(
        self->state.options, start->publications, start->start, start->tables);
      if (!reader)
        return to_error(reader.error());
      return reader_ptr{std::move(*reader)};
    },
    [self](atom::describe,
           const relation_ptr& x) -> caf::result<table_description_ptr> {
      // The rows behind it may be of the transaction that altered the table.
      auto visible = wait_until_visible(self->state, {x->xid});
      if (!visible)
        return to_error(visible.error());
      return answer_plain(self->state.admin->describe(*x));
    },
    [self](atom::check, const change_batch_ptr& xs,
           const change_list_ptr& changes) -> caf::result<size_list_ptr> {
      return answer(self->state.admin->unchanged_sizes(*xs, *changes));
    },
    [self](atom::fill, const change_batch_ptr& xs,
           const change_list_ptr& changes) -> caf::result<change_batch_ptr> {
      auto visible
        = wait_until_visible(self->state, transactions_of(*xs, *changes));
      if (!visible)
        return to_error(visible.error());
      return answer_plain(self->state.admin->fill_unchanged(*xs, *changes));
    },
    [self, chunk_bytes](atom::plan, const table_description_ptr& table,
                        lsn label) -> caf::result<snapshot_plan_ptr> {
      auto& admin = *self->state.admin;
      if (label.value == 0) {
        auto now = admin.current_position();
        if (!now)
          return to_error(now.error());
        label = *now;
      }
      return answer(admin.plan(table, label, chunk_bytes));
    },
    [self](atom::running) -> caf::result<xid_list_ptr> {
      return answer(self->state.admin->running_transactions());
    },
    [self](atom::running, const xid_list_ptr& xs) -> caf::result<xid_list_ptr> {
      return answer(self->state.admin->still_running(*xs));
    },
    [self](atom::position) -> caf::result<lsn> {
      return answer_plain(self->state.admin->current_position());
    },
    [self](atom::position, uint32_t timeline) -> caf::result<lsn> {
      auto end = self->state.admin->end_of_timeline(timeline);
      if (!end)
        return to_error(end.error());
      return end->value_or(lsn{});
    },
    [self](atom::slot) -> caf::result<slot_state_ptr> {
      auto x = self->state.admin->slot();
      if (!x)
        return to_error(x.error());
      return slot_state_ptr{std::make_shared<slot_state>(
        slot_state{x->lag, x->active, x->wal_status, x->restart})};
    },
    [self](atom::tables) -> caf::result<table_list_ptr> {
      return answer(self->state.admin->tables());
    },
  };
}

} // namespace millrace
