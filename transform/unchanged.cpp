#include "transform/unchanged.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace millrace::transform {

namespace {

size_t width_of(const change_batch& batch, const change& x) {
  return batch.tables[x.table]->columns.size();
}

bool row_has_unchanged(const cell* row, size_t width) {
  return std::any_of(row, row + width,
                     [](const cell& x) { return x.size == cell::unchanged; });
}

// Whether the old row tells the column: all with a full identity, else the key.
bool old_row_has(const change_batch& batch, const change& x, size_t column) {
  return x.old == old_row::full
         || (x.old == old_row::key
             && batch.tables[x.table]->columns[column].key_position >= 0);
}

bool is_open(const change_batch& batch, const change& x) {
  if (x.row == change::no_row)
    return false;
  const cell* row = &batch.cells[x.row];
  auto width = width_of(batch, x);
  if (!row_has_unchanged(row, width))
    return false;
  for (size_t c = 0; c < width; ++c)
    if (row[c].size == cell::unchanged && !old_row_has(batch, x, c))
      return true;
  return false;
}

// The change that brought the column's value and did not reach the target,
// between the target's row and the change at `at`.
const refused_change*
find_lost(const known_row& row, version at, const std::string& column) {
  for (const auto& x : *row.refused) {
    // Of an event that cannot be read anything may have changed.
    auto has_column = x.columns.empty()
                      || std::find(x.columns.begin(), x.columns.end(), column)
                           != x.columns.end();
    if (x.at > row.at && x.at < at && has_column)
      return &x;
  }
  return nullptr;
}

} // namespace

bool has_unchanged(const change_batch& batch,
                   std::span<const uint32_t> changes) {
  return std::any_of(changes.begin(), changes.end(), [&](uint32_t i) {
    return is_open(batch, batch.changes[i]);
  });
}

unchanged_values::unchanged_values(const change_batch& batch,
                                   std::span<const uint32_t> changes,
                                   const target_table& table,
                                   row_encoder& encoder)
  : batch_(batch), table_(table), changes_(changes.begin(), changes.end()),
    cells_(batch.cells) {
  for (uint32_t i = 0; i < table.columns.size(); ++i)
    column_index_.emplace(table.columns[i].source, i);
  // Last row of each key in the batch; none after a delete.
  std::unordered_map<std::string, std::optional<uint32_t>> last;
  std::unordered_map<std::string, size_t> asked;
  for (auto i : changes_) {
    const auto& x = batch.changes[i];
    auto at = x.row != change::no_row ? x.row : x.old_row_at;
    if (x.row != change::no_row)
      take_old_values(x);
    auto key = encoder.key_of(batch, &cells_[at]);
    if (!key)
      continue; // the encoder rejects the change for its key
    // An old row does not mean another key: a key in TOAST brings one too.
    if (x.old != old_row::none && x.op == operation::update)
      if (auto old = encoder.key_of(batch, &batch.cells[x.old_row_at]);
          old && *old != *key)
        last[*old] = std::nullopt;
    if (x.row == change::no_row) {
      last[*key] = std::nullopt;
      continue;
    }
    auto width = width_of(batch, x);
    if (row_has_unchanged(&cells_[x.row], width)) {
      auto before = last.find(*key);
      if (before != last.end() && !before->second) {
        reject(i, "a value is unchanged since a row that was deleted before");
        continue;
      }
      if (before != last.end())
        for (size_t c = 0; c < width; ++c)
          if (cells_[x.row + c].size == cell::unchanged)
            cells_[x.row + c] = cells_[*before->second + c];
      // What the row before did not know either has to be asked for.
      if (row_has_unchanged(&cells_[x.row], width)) {
        auto [pos, fresh] = asked.emplace(*key, keys_.size());
        if (fresh) {
          keys_.push_back(*key);
          key_texts_.push_back(key_json(batch, x));
        }
        open_.push_back({i, pos->second});
        for (uint32_t c = 0; c < width; ++c)
          if (cells_[x.row + c].size == cell::unchanged)
            if (auto t = column_index_.find(c); t != column_index_.end())
              columns_.push_back(t->second);
      }
    }
    last[*key] = x.row;
  }
  std::sort(columns_.begin(), columns_.end());
  columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());
  finish();
}

void unchanged_values::take_old_values(const change& x) {
  for (size_t c = 0; c < width_of(batch_, x); ++c)
    if (cells_[x.row + c].size == cell::unchanged && old_row_has(batch_, x, c))
      cells_[x.row + c] = batch_.cells[x.old_row_at + c];
}

void unchanged_values::settle(const open_change& open, const known_row* row) {
  const auto& x = batch_.changes[open.change];
  if (row == nullptr)
    return reject(open.change,
                  "a value is unchanged, and the target has no row of the key");
  // A replay: what is stored is this change or a later one.
  if (row->at >= batch_.version_of(x)) {
    dropped_.push_back(open.change);
    return;
  }
  if (row->deleted)
    return reject(open.change,
                  "a value is unchanged, and the target's row is deleted");
  auto width = width_of(batch_, x);
  for (uint32_t c = 0; c < width; ++c) {
    auto& value = cells_[x.row + c];
    if (value.size != cell::unchanged)
      continue;
    auto target = column_index_.find(c);
    if (target == column_index_.end())
      continue;
    if (row->refused != nullptr)
      if (auto lost = find_lost(*row, batch_.version_of(x),
                                table_.source->columns[c].name))
        return reject(open.change,
                      "column \"" + table_.source->columns[c].name
                        + "\" is unchanged since "
                        + to_string(lsn{lost->at.major})
                        + ", and that change is in the dead letters");
    auto place
      = std::lower_bound(columns_.begin(), columns_.end(), target->second);
    value.size = cell::patched;
    value.offset = static_cast<uint32_t>(patches_.size());
    patches_.push_back((*row->values)[place - columns_.begin()]);
  }
}

void unchanged_values::cut(uint32_t change) {
  std::erase_if(changes_, [=](uint32_t i) { return i >= change; });
  std::erase_if(open_, [=](const auto& x) { return x.change >= change; });
  std::erase_if(rejects_, [=](const auto& x) { return x.change >= change; });
}

void unchanged_values::reject(uint32_t change, std::string why) {
  rejects_.push_back({change, std::move(why)});
  dropped_.push_back(change);
}

void unchanged_values::finish() {
  std::sort(dropped_.begin(), dropped_.end());
  std::erase_if(changes_, [this](uint32_t i) {
    return std::binary_search(dropped_.begin(), dropped_.end(), i);
  });
}

} // namespace millrace::transform
