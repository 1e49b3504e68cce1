#pragma once

#include "messages/ec.hpp"
#include "messages/lsn.hpp"
#include "messages/table_shape.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// What must be remembered of a source table, under ("table", full name) in
/// the state store.
struct table_state {
  enum class phase : uint8_t {
    /// Its snapshot has not been planned.
    fresh,
    /// The snapshot is planned; some chunks may be durable.
    snapshot,
    /// All rows from before are durable.
    streaming,
    /// It is not there any more. Its rows stay in the target; a table that
    /// gets its name is taken in its place.
    dropped,
  };

  phase at = phase::fresh;

  /// Of the table that was followed under this name; 0: not known.
  uint32_t oid = 0;

  /// Label of the snapshot; 0: to be taken when it is planned.
  lsn label;

  /// Unchanged TOAST values of commits before this position cannot be read
  /// back from the target: the source fills them.
  lsn fill_until{UINT64_MAX};

  /// The target may hold rows from before the label that are gone since.
  bool retake = false;

  /// OIDs of the partitions that the snapshot is of; empty: of all.
  std::vector<uint32_t> only;

  /// What the catalogue said when the table was taken, and since as far as it
  /// did not matter.
  table_shape shape;

  // The plan, valid in phase `snapshot`.
  int64_t committed_at = 0;
  uint64_t row_estimate = 0;

  /// Chunks of one heap, all of the same size; the last one is open-ended. A
  /// partitioned table has one part for each partition.
  struct part {
    uint32_t partition = 0;
    uint32_t filenode = 0;
    uint32_t pages_per_chunk = 0;
    uint64_t chunks = 0;

    friend bool operator==(const part&, const part&) = default;
  };

  std::vector<part> parts;

  /// Durable chunks as ranges [first, last), ascending.
  std::vector<std::pair<uint64_t, uint64_t>> done;

  bool is_done(uint64_t chunk) const;
  void set_done(uint64_t chunk);
  uint64_t count_done() const;

  /// Chunks of all parts.
  uint64_t count_chunks() const;

  friend bool operator==(const table_state&, const table_state&) = default;
};

/// @relates table_state
std::string to_json(const table_state& x);

/// @relates table_state
result<table_state> parse_table_state(const std::string& json);

} // namespace millrace
