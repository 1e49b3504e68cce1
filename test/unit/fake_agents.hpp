#pragma once

#include "clickhouse/target_admin.hpp"
#include "postgres/replication_reader.hpp"
#include "postgres/source_admin.hpp"
#include "test/unit/fake_actors.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace millrace::test {

/// How a fake agent deals with its operations, by name: it answers at once
/// unless an operation is to fail or to be held.
struct agent_script {
  /// Names of the operations that were asked for, in order.
  std::vector<std::string> log;
  std::map<std::string, ec> failing;
  std::set<std::string> held;

  size_t count(const std::string& op) const {
    return std::count(log.begin(), log.end(), op);
  }
};

template <class In, class Out, class Self, class F>
caf::result<Out>
respond(Self* self, agent_script& script, const std::string& op,
        const inbox_ptr<In, Out>& box, In what, F usual) {
  script.log.push_back(op);
  if (auto i = script.failing.find(op); i != script.failing.end()) {
    box->all.push_back({std::move(what), {}});
    return caf::make_error(i->second, op + " failed");
  }
  if (script.held.count(op) != 0)
    return keep<In, Out>(self, box, std::move(what));
  box->all.push_back({what, {}});
  return usual();
}

// -- the source ---------------------------------------------------------------

struct source_script : agent_script {
  postgres::source_start start;

  /// What stands in the way of set-up.
  failure trouble;
  reader_ptr reader;
  std::vector<table_description_ptr> tables;
  std::vector<uint64_t> running;
  lsn position{10'000};
  lsn restart;
  lsn timeline_end;

  /// Bytes of each value that the stream left out.
  uint64_t value_bytes = 10;

  /// Filenode and number of chunks of plans.
  uint32_t filenode = 16'384;
  size_t chunks = 3;

  struct plan_order {
    table_description_ptr table;
    lsn label;
  };

  struct fill_order {
    change_batch_ptr batch;
    std::vector<uint32_t> changes;
  };

  inbox_ptr<int, source_look_ptr> checks = make_inbox<int, source_look_ptr>();
  inbox_ptr<lsn, source_start_ptr> prepares
    = make_inbox<lsn, source_start_ptr>();
  inbox_ptr<source_start_ptr, reader_ptr> connects
    = make_inbox<source_start_ptr, reader_ptr>();
  inbox_ptr<relation_ptr, table_description_ptr> describes
    = make_inbox<relation_ptr, table_description_ptr>();
  inbox_ptr<fill_order, change_batch_ptr> fills
    = make_inbox<fill_order, change_batch_ptr>();
  inbox_ptr<fill_order, size_list_ptr> sizings
    = make_inbox<fill_order, size_list_ptr>();
  inbox_ptr<plan_order, snapshot_plan_ptr> plans
    = make_inbox<plan_order, snapshot_plan_ptr>();
  inbox_ptr<int, xid_list_ptr> runnings = make_inbox<int, xid_list_ptr>();
  inbox_ptr<xid_list_ptr, xid_list_ptr> still_runnings
    = make_inbox<xid_list_ptr, xid_list_ptr>();
  inbox_ptr<int, lsn> positions = make_inbox<int, lsn>();
  inbox_ptr<uint32_t, lsn> timelines = make_inbox<uint32_t, lsn>();
  inbox_ptr<int, slot_state_ptr> slots = make_inbox<int, slot_state_ptr>();
  inbox_ptr<int, table_list_ptr> lists = make_inbox<int, table_list_ptr>();

  /// As `source_admin::plan`: label 0 stands for the end of the log.
  snapshot_plan_ptr make_plan(const plan_order& x) const {
    auto plan = std::make_shared<postgres::snapshot_plan>();
    plan->table = x.table;
    plan->label = x.label.value != 0 ? x.label : position;
    plan->committed_at = 1'700'000'000'000'000;
    plan->filenode = filenode;
    plan->row_estimate = 100;
    for (size_t i = 0; i < chunks; ++i) {
      postgres::chunk c;
      c.first = static_cast<uint32_t>(i * 10);
      c.last = i + 1 == chunks ? 0 : c.first + 10;
      plan->chunks.push_back(c);
    }
    return plan;
  }
};

using source_script_ptr = std::shared_ptr<source_script>;
using fake_source = fake<source_agent_actor>;

inline fake_source::behavior_type
fake_source_agent(fake_source::stateful_pointer<fake_state> self,
                  source_script_ptr x) {
  return {
    [=](atom::check) {
      return respond(self, *x, "check", x->checks, 0, [&] {
        return source_look_ptr{std::make_shared<postgres::source_look>(
          postgres::source_look{x->start.identity, x->start.tables,
                                x->trouble})};
      });
    },
    [=](atom::prepare, lsn highest) {
      return respond(self, *x, "prepare", x->prepares, highest, [&] {
        return source_start_ptr{
          std::make_shared<postgres::source_start>(x->start)};
      });
    },
    [=](atom::connect, const source_start_ptr& start) {
      return respond(self, *x, "connect", x->connects, start,
                     [&] { return x->reader; });
    },
    [=](atom::describe, const relation_ptr& message) {
      return respond(self, *x, "describe", x->describes, message,
                     [&] { return table_description_ptr{}; });
    },
    [=](atom::check, const change_batch_ptr& batch,
        const change_list_ptr& changes) {
      return respond(self, *x, "sizes", x->sizings,
                     source_script::fill_order{batch, *changes}, [&] {
                       return size_list_ptr{
                         std::make_shared<std::vector<uint64_t>>(
                           changes->size(), x->value_bytes)};
                     });
    },
    [=](atom::fill, const change_batch_ptr& batch,
        const change_list_ptr& changes) {
      return respond(self, *x, "fill", x->fills,
                     source_script::fill_order{batch, *changes},
                     [&] { return batch; });
    },
    [=](atom::plan, const table_description_ptr& table, lsn label) {
      source_script::plan_order order{table, label};
      return respond(self, *x, "plan", x->plans, order,
                     [&] { return x->make_plan(order); });
    },
    [=](atom::running) {
      return respond(self, *x, "running", x->runnings, 0, [&] {
        return xid_list_ptr{
          std::make_shared<std::vector<uint64_t>>(x->running)};
      });
    },
    [=](atom::running, const xid_list_ptr& xs) {
      return respond(self, *x, "still running", x->still_runnings, xs, [&] {
        return xid_list_ptr{
          std::make_shared<std::vector<uint64_t>>(x->running)};
      });
    },
    [=](atom::position) {
      return respond(self, *x, "position", x->positions, 0,
                     [&] { return x->position; });
    },
    [=](atom::position, uint32_t timeline) {
      return respond(self, *x, "timeline", x->timelines, timeline,
                     [&] { return x->timeline_end; });
    },
    [=](atom::slot) {
      return respond(self, *x, "slot", x->slots, 0, [&] {
        return slot_state_ptr{std::make_shared<slot_state>(
          slot_state{7, true, "reserved", x->restart})};
      });
    },
    [=](atom::tables) {
      return respond(self, *x, "tables", x->lists, 0, [&] {
        return table_list_ptr{
          std::make_shared<table_list_ptr::element_type>(x->tables)};
      });
    },
    run_errands(),
  };
}

// -- the target ---------------------------------------------------------------

struct target_script : agent_script {
  /// What is stored; saves go here.
  state_map stored;
  clickhouse::stored_rows rows;

  /// Keys that an answer has at most.
  size_t answered = SIZE_MAX;
  lsn highest;

  inbox_ptr<target_table_ptr, atom::ack> ensures
    = make_inbox<target_table_ptr, atom::ack>();
  inbox_ptr<stored_query_ptr, stored_rows_ptr> reads
    = make_inbox<stored_query_ptr, stored_rows_ptr>();
  inbox_ptr<clear_request_ptr, atom::ack> clears
    = make_inbox<clear_request_ptr, atom::ack>();
  inbox_ptr<dead_letters_ptr, atom::ack> letters
    = make_inbox<dead_letters_ptr, atom::ack>();
  inbox_ptr<int, state_map_ptr> looks = make_inbox<int, state_map_ptr>();
  inbox_ptr<int, state_map_ptr> loads = make_inbox<int, state_map_ptr>();
  inbox_ptr<state_map_ptr, atom::ack> saves
    = make_inbox<state_map_ptr, atom::ack>();
  inbox_ptr<table_list_ptr, lsn> positions = make_inbox<table_list_ptr, lsn>();

  std::string state(const std::string& kind, const std::string& name) const {
    auto i = stored.find({kind, name});
    return i != stored.end() ? i->second : "";
  }
};

using target_script_ptr = std::shared_ptr<target_script>;
using fake_target = fake<target_agent_actor>;

inline fake_target::behavior_type
fake_target_agent(fake_target::stateful_pointer<fake_state> self,
                  target_script_ptr x) {
  auto ack = [] { return atom::ack_v; };
  return {
    [=](atom::ensure, const target_table_ptr& table) {
      return respond(self, *x, "ensure", x->ensures, table, ack);
    },
    [=](atom::read, const stored_query_ptr& query) {
      return respond(self, *x, "read", x->reads, query, [&] {
        auto rows = std::make_shared<clickhouse::stored_rows>(x->rows);
        rows->answered = std::min(x->answered, query->keys.size());
        return stored_rows_ptr{std::move(rows)};
      });
    },
    [=](atom::clear, const clear_request_ptr& request) {
      return respond(self, *x, "clear", x->clears, request, ack);
    },
    [=](const dead_letters_ptr& letters) {
      return respond(self, *x, "letters", x->letters, letters, ack);
    },
    [=](atom::read) {
      return respond(self, *x, "look", x->looks, 0, [&] {
        return state_map_ptr{std::make_shared<state_map>(x->stored)};
      });
    },
    [=](atom::load) {
      return respond(self, *x, "load", x->loads, 0, [&] {
        return state_map_ptr{std::make_shared<state_map>(x->stored)};
      });
    },
    [=](atom::save, const state_map_ptr& changes) {
      for (const auto& [key, value] : *changes)
        x->stored[key] = value;
      return respond(self, *x, "save", x->saves, changes, ack);
    },
    [=](atom::position, const table_list_ptr& tables) {
      return respond(self, *x, "position", x->positions, tables,
                     [&] { return x->highest; });
    },
    run_errands(),
  };
}

// -- others -------------------------------------------------------------------

using router_inbox = inbox_ptr<change_batch_ptr, atom::ack>;
using fake_router = fake<router_actor>;

using flush_inbox = inbox_ptr<std::string, atom::ack>;

inline fake_router::behavior_type
fake_router_of(fake_router::stateful_pointer<fake_state> self, router_inbox box,
               flush_inbox flushes) {
  return {
    [=](const change_batch_ptr& batch) {
      return keep<change_batch_ptr, atom::ack>(self, box, batch);
    },
    [=](atom::flush, const std::string& table) {
      return keep<std::string, atom::ack>(self, flushes, table);
    },
    run_errands(),
  };
}

} // namespace millrace::test
