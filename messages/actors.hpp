#pragma once

#include "messages/types.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

namespace millrace {

/// The ROUTER interface: where both sources send changes.
using router_actor = caf::typed_actor<
  // Takes changes in the order of the log. The reply means that all of them
  // are durable in the target (or in the dead-letter store).
  caf::replies_to<change_batch_ptr>::with<atom::ack>,
  // The reply means that what has come of a table, by its full name, is
  // durable; not that nothing comes after it.
  caf::replies_to<atom::flush, std::string>::with<atom::ack>>;

/// The TRANSFORMER interface: one table, one shard of its keys.
using transformer_actor = caf::typed_actor<
  // Takes the changes of its part. The reply means durable.
  caf::replies_to<row_part_ptr>::with<atom::ack>>;

/// The SINK interface: one target table.
using sink_actor = caf::typed_actor<
  // Writes rows. The reply means durable. Failures that concern this block
  // only: `rows_refused`; the table only: `table_unsuitable`.
  caf::replies_to<row_block_ptr>::with<atom::ack>,
  // Somebody waits for what is queued: do not collect more.
  caf::reacts_to<atom::flush>,
  // INTERNAL: It is time to write.
  caf::reacts_to<atom::tick>>;

/// The INSERT POOL and INSERTER interface.
using inserter_actor = caf::typed_actor<
  // Inserts blocks of one table at once. Tries again, without end, what may
  // succeed later. The reply means that the server has confirmed.
  caf::replies_to<insert_job_ptr>::with<atom::ack>>;

/// The STATE STORE interface: what must outlive the node. Direct: in the
/// target. Small JSON texts under (kind, name).
using state_store_actor = caf::typed_actor<
  // What is stored; makes nothing. Empty when there is nothing yet.
  caf::replies_to<atom::read>::with<state_map_ptr>,
  // Makes what is stored ready and returns all of it.
  caf::replies_to<atom::load>::with<state_map_ptr>,
  // The reply means durable.
  caf::replies_to<atom::save, state_map_ptr>::with<atom::ack>,
  // Highest commit position of what the buffer holds of the given tables.
  caf::replies_to<atom::position, table_list_ptr>::with<lsn>>;

/// The TARGET AGENT interface: what a target needs besides inserts.
using target_agent_actor = caf::typed_actor<
  // Makes or alters the table so that it fits.
  caf::replies_to<atom::ensure, target_table_ptr>::with<atom::ack>,
  // Newest rows by key.
  caf::replies_to<atom::read, stored_query_ptr>::with<stored_rows_ptr>,
  // Tombstones for all rows below a version.
  caf::replies_to<atom::clear, clear_request_ptr>::with<atom::ack>,
  // Stores dead letters of one table. The reply means durable; the failure
  // `table_unsuitable` that the table has too many of them.
  caf::replies_to<dead_letters_ptr>::with<atom::ack>>
  // The direct way keeps its state in the target.
  ::extend_with<state_store_actor>;

/// The SOURCE AGENT interface: ordinary SQL on the source.
using source_agent_actor = caf::typed_actor<
  // Looks which source it is and whether it will do; changes nothing. Fails
  // only when that cannot be seen.
  caf::replies_to<atom::check>::with<source_look_ptr>,
  // Sets publication and slot up. The flag says that this pipeline has run
  // before, so that a slot that is not there has been lost.
  caf::replies_to<atom::prepare, lsn>::with<source_start_ptr>,
  // Opens the change stream.
  caf::replies_to<atom::connect, source_start_ptr>::with<reader_ptr>,
  // Describes a table as its Relation message has it; null: not asked for.
  caf::replies_to<atom::describe, relation_ptr>::with<table_description_ptr>,
  // Bytes of the unchanged TOAST values of each of the given changes.
  caf::replies_to<atom::check, change_batch_ptr,
                  change_list_ptr>::with<size_list_ptr>,
  // Fills unchanged TOAST values of the given changes.
  caf::replies_to<atom::fill, change_batch_ptr,
                  change_list_ptr>::with<change_batch_ptr>,
  // Plans a snapshot. Label 0 stands for the log's end of now.
  caf::replies_to<atom::plan, table_description_ptr,
                  lsn>::with<snapshot_plan_ptr>,
  // Transactions that may be in the log and are not visible.
  caf::replies_to<atom::running>::with<xid_list_ptr>,
  // Those of the list that still run.
  caf::replies_to<atom::running, xid_list_ptr>::with<xid_list_ptr>,
  // End of the log.
  caf::replies_to<atom::position>::with<lsn>,
  // First position after the given timeline; 0 when it has not ended.
  caf::replies_to<atom::position, uint32_t>::with<lsn>,
  // What the slot holds back.
  caf::replies_to<atom::slot>::with<slot_state_ptr>,
  // Tables that match the configuration now.
  caf::replies_to<atom::tables>::with<table_list_ptr>>;

/// The SNAPSHOT READER interface.
using snapshot_reader_actor = caf::typed_actor<
  // Reads one chunk. The reply is the number of its rows and means that all of
  // them are durable.
  caf::replies_to<chunk_order_ptr>::with<uint64_t>,
  // INTERNAL: There may be something to read.
  caf::reacts_to<atom::readable>,
  // INTERNAL: Look whether the window has been full for too long.
  caf::reacts_to<atom::tick>>;

/// The SNAPSHOTTER interface.
using snapshotter_actor = caf::typed_actor<
  // Takes the snapshot of a table. The reply carries the position that the
  // stream must have passed before rows of the table are complete.
  caf::replies_to<snapshot_order_ptr>::with<lsn>,
  // INTERNAL: Look again whether the awaited transactions have ended.
  caf::reacts_to<atom::tick>>;

/// What CAPTURE knows of its tables.
using table_states_actor = caf::typed_actor<
  // Tables that are streamed, none of them quarantined, and of which no
  // snapshot runs, by full name. Fails while the stream is not open.
  caf::replies_to<atom::tables>::with<table_states_ptr>>;

/// The CLEANER interface.
using cleaner_actor = caf::typed_actor<
  // INTERNAL: Look for old tombstones.
  caf::reacts_to<atom::tick>>;

/// The CAPTURE interface.
using capture_actor = caf::typed_actor<
  // As `table_states_actor`.
  caf::replies_to<atom::tables>::with<table_states_ptr>,
  // Takes a table again, by its full name. The reply means that this is
  // remembered, not that it is done.
  caf::replies_to<atom::snapshot, std::string>::with<atom::ack>,
  // INTERNAL: There may be something to read.
  caf::reacts_to<atom::readable>,
  // INTERNAL: What has been gathered is to be read.
  caf::reacts_to<atom::flush>,
  // INTERNAL: Once a second.
  caf::reacts_to<atom::tick>,
  // Stops reading, confirms what becomes durable, then ends.
  caf::reacts_to<atom::stop>>;

} // namespace millrace
