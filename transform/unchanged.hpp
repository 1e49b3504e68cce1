#pragma once

#include "messages/change_batch.hpp"
#include "messages/row_block.hpp"
#include "messages/target_table.hpp"
#include "transform/row_encoder.hpp"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::transform {

/// A row as the target has it: the values of the asked-for columns.
struct known_row {
  version at;
  bool deleted = false;
  const std::vector<std::string>* values = nullptr;

  /// Changes of the key that the target does not have.
  const std::vector<refused_change>* refused = nullptr;
};

/// Restores values that the stream left out because they have not changed:
/// from the old row, an earlier change of the same key in the batch, else from
/// the target.
///
///   unchanged_values xs{...};        // what can be copied has been copied
///   rows = read(xs.keys(), xs.columns());
///   xs.cut(xs.fitting(...));         // where they are too large together
///   xs.complete([&](key) { return known_row for the key; });
///   encode(batch, xs.changes(), xs.cells(), xs.patches());
///
/// All that came before the batch must be durable when the target is read.
class unchanged_values {
public:
  unchanged_values(const change_batch& batch, std::span<const uint32_t> changes,
                   const target_table& table, row_encoder& encoder);

  /// Keys, in RowBinary, and target columns that have to be read.
  const std::vector<std::string>& keys() const {
    return keys_;
  }

  const std::vector<uint32_t>& columns() const {
    return columns_;
  }

  /// The keys as JSON, as dead letters have them.
  const std::vector<std::string>& key_texts() const {
    return key_texts_;
  }

  /// The first change that has to wait for another look-up: its key is not
  /// among the first `answered` ones, or the values up to it are larger than
  /// `most` bytes together. One past the last index when there is none.
  template <class Find>
  uint32_t fitting(Find find, size_t answered, size_t most) const {
    size_t bytes = 0;
    for (const auto& x : open_) {
      if (x.key >= answered)
        return x.change;
      const known_row* row = find(keys_[x.key]);
      if (row != nullptr)
        for (const auto& value : *row->values)
          bytes += value.size();
      if (bytes > most && &x != &open_.front())
        return x.change;
    }
    return UINT32_MAX;
  }

  /// Leaves out the changes from this one on.
  void cut(uint32_t change);

  /// @param find for a key of `keys`: its newest row, or null. The values must
  /// live as long as the patches are used.
  template <class Find>
  void complete(Find find) {
    for (auto& x : open_)
      settle(x, find(keys_[x.key]));
    finish();
  }

  /// Changes that are left: without replays and without rejects.
  const std::vector<uint32_t>& changes() const {
    return changes_;
  }

  const std::vector<cell>& cells() const {
    return cells_;
  }

  const std::vector<std::string_view>& patches() const {
    return patches_;
  }

  /// Keeps what the patches point to.
  void keep(std::shared_ptr<const void> x) {
    kept_ = std::move(x);
  }

  const std::vector<rejected>& rejects() const {
    return rejects_;
  }

private:
  // A change with values that only the target knows.
  struct open_change {
    uint32_t change;
    size_t key;
  };

  void take_old_values(const change& x);
  void settle(const open_change& x, const known_row* row);
  void reject(uint32_t change, std::string why);
  void finish();

  const change_batch& batch_;
  const target_table& table_;
  std::vector<uint32_t> changes_;
  std::vector<cell> cells_;
  std::vector<std::string_view> patches_;
  std::shared_ptr<const void> kept_;
  std::vector<std::string> keys_;
  std::vector<std::string> key_texts_;
  std::vector<uint32_t> columns_;
  std::map<uint32_t, uint32_t> column_index_;
  std::vector<open_change> open_;
  std::vector<rejected> rejects_;
  std::vector<uint32_t> dropped_;
};

/// Whether any of the changes has a value that the stream left out and that is
/// not in its old row either.
bool has_unchanged(const change_batch& batch,
                   std::span<const uint32_t> changes);

} // namespace millrace::transform
