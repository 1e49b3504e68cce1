#pragma once

#include "actors/unit.hpp"
#include "clickhouse/client.hpp"
#include "messages/actors.hpp"

#include <caf/typed_event_based_actor.hpp>

#include <memory>
#include <random>

namespace millrace {

/// Where an INSERTER writes; the seam that lets tests run without a server.
/// Calls block, one thread at a time.
class block_writer {
public:
  virtual ~block_writer() = default;

  /// Inserts all blocks as one query of the given ID.
  virtual result<void>
  insert(const insert_job& job, const std::string& query_id) = 0;

  /// Inserts no rows: whether the table takes any.
  virtual result<void> probe(const target_table& table) = 0;

  /// Ends a query whose answer was lost.
  virtual result<void> kill(const std::string& query_id) = 0;
};

using block_writer_ptr = std::unique_ptr<block_writer>;

/// Writes to ClickHouse over HTTP.
block_writer_ptr make_block_writer(clickhouse::target_options options,
                                   std::shared_ptr<std::atomic<bool>> stop);

/// Sends inserts, one at a time. Spawn it detached: a call blocks until the
/// server has answered. What may succeed later is tried again without end; an
/// insert whose answer was lost is ended before it is repeated. One that is
/// refused for its rows is not tried again: `rows_refused` is the answer only
/// if the table takes inserts.
struct inserter_state {
  static inline const char* name = "inserter";

  unit context;
  block_writer_ptr writer;

  /// Query IDs are `millrace/<pipeline>/<random>-<number>`.
  std::string query_prefix;
  uint64_t queries = 0;
};

inserter_actor::behavior_type
inserter(inserter_actor::stateful_pointer<inserter_state> self, unit context,
         block_writer_ptr writer);

} // namespace millrace
