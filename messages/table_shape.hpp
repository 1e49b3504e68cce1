#pragma once

#include "messages/ec.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace {

/// What the catalogue says of a table beyond what its rows look like: all from
/// which one can tell that rows from before have changed without a change of
/// each in the log. Remembered with the state of the table, so that what
/// happened while nobody looked is seen too.
struct table_shape {
  /// A column of the table, whether or not the stream carries it.
  struct column {
    /// `attnum`: stays when it is renamed, and is never used again.
    uint32_t number = 0;
    std::string name;
    uint32_t type = 0;
    int32_t modifier = -1;

    /// Transaction that changed the column's entry in the catalogue last.
    uint32_t changed = 0;
    bool generated = false;

    /// Rows from before it was added have a value that is not stored with them.
    bool missing = false;

    friend bool operator==(const column&, const column&) = default;
  };

  /// A label of an enum that values of the table have.
  struct label {
    uint32_t oid = 0;
    uint32_t changed = 0;
    std::string text;

    friend bool operator==(const label&, const label&) = default;
  };

  /// A heap with rows of the table: its own, or one for each partition.
  struct heap {
    uint32_t oid = 0;
    uint32_t filenode = 0;

    /// Made as a partition, in one transaction: without rows. Not remembered.
    bool born = false;

    friend bool operator==(const heap& a, const heap& b) {
      return a.oid == b.oid && a.filenode == b.filenode;
    }
  };

  /// In the order of their numbers. Empty: nothing is known.
  std::vector<column> columns;

  /// Names of columns that the target has from before, and the table has no
  /// more.
  std::vector<std::string> left;

  /// By OID.
  std::vector<label> labels;

  /// By OID.
  std::vector<heap> heaps;

  /// Updates and deletes that the server has counted, of tables of which the
  /// stream does not carry them; 0 for others. Starts anew when the server
  /// forgets its counters.
  uint64_t edits = 0;

  /// Which entries of the catalogue publish the table: others once it has been
  /// taken out and put back.
  std::string membership;

  bool is_known() const {
    return !columns.empty();
  }

  friend bool operator==(const table_shape&, const table_shape&) = default;
};

using table_shape_ptr = std::shared_ptr<const table_shape>;

/// Why rows that were read when the table was like `before` may not be right
/// any more, though the log has no change of each: one line for the log. Empty
/// when they are, and when one of the two is not known.
std::string why_outdated(const table_shape& before, const table_shape& now);

/// Heaps that were not there before: partitions that were attached or made.
std::vector<uint32_t>
added_heaps(const table_shape& before, const table_shape& now);

/// Which columns there are and what changed them last, as the chunk reader asks
/// the server for it; see there. Empty when nothing is known.
std::string columns_stamp(const table_shape& x);

/// `now`, with what has to be remembered from `before`.
table_shape successor(const table_shape& before, table_shape now);

/// @relates table_shape
boost::json::object to_object(const table_shape& x);

/// Throws what Boost.JSON throws when `x` is not of `to_object`.
/// @relates table_shape
table_shape shape_of(const boost::json::object& x);

} // namespace millrace
