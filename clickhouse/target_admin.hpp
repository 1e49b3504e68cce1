#pragma once

#include "clickhouse/client.hpp"
#include "messages/ec.hpp"
#include "messages/row_block.hpp"
#include "messages/target_table.hpp"
#include "transform/mapping.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace millrace::clickhouse {

/// What stands in the way, and what to do about it.
struct problem {
  ec code = ec::target_unsuitable;
  std::string subject;
  std::string text;
  std::string remedy;
  bool warning = false;
};

/// A row as the target has it.
struct stored_row {
  version at;
  bool deleted = false;

  /// The asked-for columns in RowBinary, one slice each.
  std::vector<std::string> values;

  /// Changes of the key among the dead letters, in any order.
  std::vector<refused_change> refused;
};

/// Keys (their columns in RowBinary, one after another) with their rows.
struct stored_rows : std::map<std::string, stored_row> {
  /// So many of the keys that were asked for are answered, from the front.
  size_t answered = 0;

  /// Bytes of the values.
  size_t bytes = 0;

  /// What has to live as long as the rows do.
  std::shared_ptr<void> held;
};

/// All that is not an insert of rows: checks, DDL, state, reads by key. Every
/// call blocks; one thread at a time.
class target_admin {
public:
  target_admin(target_options options, std::string pipeline,
               std::shared_ptr<std::atomic<bool>> stop = nullptr);
  ~target_admin();
  target_admin(const target_admin&) = delete;

  /// Looks at server, version, settings, privileges, and at the target tables
  /// of `tables`; changes nothing. A failure means that the server could not
  /// be asked. `plan` gets the statements that `prepare`/`ensure` would run.
  result<std::vector<problem>>
  survey(const std::vector<target_table_ptr>& tables,
         std::vector<std::string>& plan);

  /// What the server can hold, probed (ranges of Date32 and DateTime64).
  result<transform::server_limits> limits();

  /// Prefix of the query IDs of a pipeline's inserts.
  static std::string insert_prefix(const std::string& pipeline);

  /// Ends inserts that an earlier run of the pipeline has left behind: one that
  /// became visible after a truncate would bring rows back.
  result<void> end_inserts();

  /// Makes the database and millrace's own tables where they are missing.
  result<void> prepare();

  /// Makes the table, adds columns that are missing, widens types; checks that
  /// what is there fits. A table that is made although the state knows it is
  /// noted as quarantined there first: its rows have to be taken again.
  /// Failure `table_unsuitable` names each column.
  result<void> ensure(const target_table& x);

  /// Newest row of each key. `keys` and the result's keys are in RowBinary.
  /// Where the values are large, only so many of the first keys are answered
  /// that the answer has about `most` bytes; at least one.
  result<stored_rows>
  read(const target_table& x, const std::vector<std::string>& keys,
       const std::vector<uint32_t>& columns, size_t most = SIZE_MAX);

  /// Writes a tombstone of version `at` for each live key with a lower version
  /// (TRUNCATE: `below` = `at`; end of a retake: as design 4 says).
  result<void>
  clear(const target_table& x, version below, version at, int64_t committed_at);

  result<void> write_dead_letters(const std::vector<dead_letter>& xs);

  /// Number of the source table's dead letters that nobody has dealt with.
  result<uint64_t> open_letters(const std::string& table);

  /// Marks open dead letters below a version as dealt with: the table's rows of
  /// then are gone, or have been taken again.
  result<void> supersede_letters(const target_table& x, version below);

  /// Whether changes of the source table have ever been put aside.
  result<bool> has_dead_letters(const std::string& table);

  /// Changes of the given keys (JSON, as dead letters have them) that were put
  /// aside, dropped ones included: dropping one brings no value back.
  using refused_changes = std::map<std::string, std::vector<refused_change>>;
  result<refused_changes>
  refused(const target_table& x, const std::vector<std::string>& keys);

  /// State of the pipeline: small JSON texts under (kind, name), durable when
  /// the call returns.
  using state_key = std::pair<std::string, std::string>;
  result<std::map<state_key, std::string>> load_state();
  result<void> save_state(const std::map<state_key, std::string>& changes);

  /// Highest commit LSN that the given target table holds; 0 when empty.
  result<lsn> highest_version(const target_table& x);

  /// Of the source files of this class.
  struct impl;

private:
  result<void> note_missing_table(const std::string& source);

  std::unique_ptr<impl> impl_;
};

} // namespace millrace::clickhouse
