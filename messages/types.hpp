#pragma once

#include "messages/change_batch.hpp"
#include "messages/row_block.hpp"
#include "messages/table_state.hpp"
#include "messages/target_table.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/meta/type_name.hpp>
#include <caf/type_id.hpp>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

namespace clickhouse {
struct stored_rows;
} // namespace clickhouse

namespace postgres {
class replication_reader;
struct relation;
struct snapshot_plan;
struct source_look;
struct source_start;
} // namespace postgres

/// @relates lsn
template <class Inspector>
auto inspect(Inspector& f, lsn& x) {
  return f(caf::meta::type_name("lsn"), x.value);
}

/// The changes of one table in a batch, or of one shard of its keys.
struct row_part {
  change_batch_ptr batch;

  /// Index in `batch->tables`.
  uint32_t table = 0;

  /// Indexes in `batch->changes`, in order. Empty: only announces the table.
  std::vector<uint32_t> changes;
};

/// Blocks of one target table (and one shape) for one insert.
struct insert_job {
  std::vector<row_block_ptr> blocks;
  uint64_t rows = 0;
  uint64_t bytes = 0;
};

/// Asks for the newest rows of keys.
struct stored_query {
  target_table_ptr table;

  /// In RowBinary, one string a key.
  std::vector<std::string> keys;

  /// Indexes in `table->columns`.
  std::vector<uint32_t> columns;

  /// The keys as JSON, as dead letters have them.
  std::vector<std::string> key_texts;

  /// Changes of the table were put aside in this run. Otherwise the target
  /// tells whether earlier runs did.
  bool has_letters = false;
};

/// Asks for tombstones of version `at` for all rows below `below`.
struct clear_request {
  target_table_ptr table;
  version below;
  version at;
  int64_t committed_at = 0;
};

/// Asks for the rows of one chunk of a snapshot.
struct chunk_order {
  std::shared_ptr<const postgres::snapshot_plan> plan;

  /// Index in `plan->chunks`.
  size_t chunk = 0;
};

/// Asks for the snapshot of a table.
struct snapshot_order {
  table_description_ptr table;

  /// Where an earlier run left it.
  table_state state;
};

/// State of the slot, as shown to people.
struct slot_state {
  uint64_t lag = 0;
  bool active = false;
  std::string wal_status;

  /// From where the server reads the log for it. That is on its disk: even
  /// after a crash no earlier commit comes again.
  lsn restart{};
};

using row_part_ptr = std::shared_ptr<const row_part>;
using insert_job_ptr = std::shared_ptr<const insert_job>;
using stored_query_ptr = std::shared_ptr<const stored_query>;
using stored_rows_ptr = std::shared_ptr<const clickhouse::stored_rows>;
using clear_request_ptr = std::shared_ptr<const clear_request>;
using dead_letters_ptr = std::shared_ptr<const std::vector<dead_letter>>;
using state_map = std::map<std::pair<std::string, std::string>, std::string>;
using state_map_ptr = std::shared_ptr<const state_map>;
using source_look_ptr = std::shared_ptr<const postgres::source_look>;
using source_start_ptr = std::shared_ptr<const postgres::source_start>;
using reader_ptr = std::shared_ptr<postgres::replication_reader>;
using relation_ptr = std::shared_ptr<const postgres::relation>;
using change_list_ptr = std::shared_ptr<const std::vector<uint32_t>>;
using snapshot_plan_ptr = std::shared_ptr<const postgres::snapshot_plan>;
using xid_list_ptr = std::shared_ptr<const std::vector<uint64_t>>;
using size_list_ptr = std::shared_ptr<const std::vector<uint64_t>>;
using slot_state_ptr = std::shared_ptr<const slot_state>;
using table_list_ptr
  = std::shared_ptr<const std::vector<table_description_ptr>>;
using chunk_order_ptr = std::shared_ptr<const chunk_order>;
using snapshot_order_ptr = std::shared_ptr<const snapshot_order>;
using table_states_ptr
  = std::shared_ptr<const std::map<std::string, table_state>>;

} // namespace millrace

// Local only: these never leave the process.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::change_batch_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::change_list_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::chunk_order_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::clear_request_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::dead_letters_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::insert_job_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::reader_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::relation_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::row_block_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::row_part_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::slot_state_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::snapshot_order_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::snapshot_plan_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::source_look_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::source_start_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::state_map_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::stored_query_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::stored_rows_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::table_description_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::table_list_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::table_states_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::target_table_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(millrace::xid_list_ptr)

/// First ID of the block; `add_message_types<caf::id_block::millrace>()` in the
/// configuration announces everything listed here. Append only.
CAF_BEGIN_TYPE_ID_BLOCK(millrace, caf::first_custom_type_id)

  CAF_ADD_TYPE_ID(millrace, (millrace::lsn))

  // At most ten characters of [A-Za-z0-9_]; anything else aliases to ' '.
  CAF_ADD_ATOM(millrace, millrace::atom, ack, "ack")
  CAF_ADD_ATOM(millrace, millrace::atom, check, "check")
  CAF_ADD_ATOM(millrace, millrace::atom, clear, "clear")
  CAF_ADD_ATOM(millrace, millrace::atom, connect, "connect")
  CAF_ADD_ATOM(millrace, millrace::atom, describe, "describe")
  CAF_ADD_ATOM(millrace, millrace::atom, ensure, "ensure")
  CAF_ADD_ATOM(millrace, millrace::atom, fill, "fill")
  CAF_ADD_ATOM(millrace, millrace::atom, flush, "flush")
  CAF_ADD_ATOM(millrace, millrace::atom, load, "load")
  CAF_ADD_ATOM(millrace, millrace::atom, plan, "plan")
  CAF_ADD_ATOM(millrace, millrace::atom, position, "position")
  CAF_ADD_ATOM(millrace, millrace::atom, prepare, "prepare")
  CAF_ADD_ATOM(millrace, millrace::atom, read, "read")
  CAF_ADD_ATOM(millrace, millrace::atom, readable, "readable")
  CAF_ADD_ATOM(millrace, millrace::atom, restart, "restart")
  CAF_ADD_ATOM(millrace, millrace::atom, running, "running")
  CAF_ADD_ATOM(millrace, millrace::atom, save, "save")
  CAF_ADD_ATOM(millrace, millrace::atom, slot, "slot")
  CAF_ADD_ATOM(millrace, millrace::atom, stop, "stop")
  CAF_ADD_ATOM(millrace, millrace::atom, tables, "tables")
  CAF_ADD_ATOM(millrace, millrace::atom, tick, "tick")
  CAF_ADD_ATOM(millrace, millrace::atom, snapshot, "snapshot")

CAF_END_TYPE_ID_BLOCK(millrace)
