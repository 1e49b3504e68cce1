#include "transform/row_encoder.hpp"

#include "transform/byte_buffer.hpp"
#include "transform/codecs.hpp"
#include "transform/column_writer.hpp"

#include <algorithm>

namespace millrace::transform {

namespace {

/// Rows that all columns take before the next ones: their cells and text stay
/// in the cache meanwhile.
constexpr size_t rows_per_run = 512;

void add_string(std::string& out, std::string_view x) {
  char length[10];
  out.append(length, store_varint(length, x.size()));
  out += x;
}

/// Name and type of a column, as they stand before its data.
std::string column_header(std::string_view name, std::string_view type) {
  std::string result;
  add_string(result, name);
  add_string(result, type);
  return result;
}

} // namespace

struct row_encoder::impl {
  impl(target_table_ptr x, const server_limits& limits) : table(std::move(x)) {
    for (const auto& column : table->columns) {
      writers.push_back(make_column_writer(*table, column, limits));
      auto type
        = wire_type(parse_type(column.type).value_or(clickhouse_type{}));
      headers.push_back(column_header(column.name, to_string(type)));
    }
    headers.push_back(column_header("_version", "UInt128"));
    headers.push_back(column_header("_deleted", "UInt8"));
    headers.push_back(column_header("_committed_at", "DateTime64(6, 'UTC')"));
  }

  const cell& key_cell(const cell* row, uint32_t column) const {
    return row[table->columns[column].source];
  }

  /// Whether a row's key differs in the target's order. On failure the change
  /// at `at` is rejected.
  bool key_differs(const cell* before, const cell* after, uint32_t at) {
    for (auto column : table->order_by) {
      const auto& a = key_cell(before, column);
      const auto& b = key_cell(after, column);
      if (b.size == cell::unchanged)
        continue;
      // NULLs and patches are refused when the row is written.
      if (a.size < 0 || b.size < 0) {
        if (a.size != b.size)
          return true;
        continue;
      }
      if (text(a) == text(b))
        continue;
      // Another text may be the same value: 0 and -0.
      std::string old_key;
      std::string new_key;
      auto& writer = *writers[column];
      auto status
        = writer.to_row_binary(memory.text + a.offset, a.size, old_key);
      if (status == value_status::ok)
        status = writer.to_row_binary(memory.text + b.offset, b.size, new_key);
      if (status != value_status::ok)
        reject(at, refusal(column, status));
      if (old_key != new_key)
        return true;
    }
    return false;
  }

  std::string_view text(const cell& x) const {
    return {memory.text + x.offset, static_cast<size_t>(x.size)};
  }

  std::string refusal(uint32_t column, value_status status) const {
    const auto& target = table->columns[column];
    const auto& source = table->source->columns[target.source];
    return "column \"" + source.name + "\" (" + source.type.name + ") of "
           + table->source->full_name() + " as " + target.type + ": "
           + explain(status);
  }

  void reject(uint32_t at, std::string error) {
    if (is_rejected[at])
      return;
    is_rejected[at] = true;
    rejects.push_back({at, std::move(error)});
  }

  void note_null(uint32_t column, value_status status) {
    const auto& target = table->columns[column];
    const auto& source = table->source->columns[target.source];
    if (status == value_status::null_value && !source.nullable && !target.key)
      nulls.insert(source.name);
  }

  /// Finds the rows of one change.
  void add_rows(const change& x, const cell* cells, uint32_t at) {
    const cell* after = x.row == change::no_row ? nullptr : cells + x.row;
    const cell* before
      = x.old == old_row::none ? nullptr : cells + x.old_row_at;
    if (x.op == operation::insert || x.op == operation::read) {
      rows.push_back({after, nullptr, at, false, false});
      return;
    }
    if (table->source->identity == table_identity::append_only) {
      reject(at, "table " + table->source->full_name()
                   + " has no key: a change of a row cannot be applied");
      return;
    }
    if (x.op == operation::remove && before != nullptr) {
      rows.push_back({before, nullptr, at, true, true});
      return;
    }
    if (x.op != operation::update || after == nullptr) {
      reject(at, std::string{to_string(x.op)} + " in table "
                   + table->source->full_name() + " does not name a row");
      return;
    }
    if (before != nullptr && key_differs(before, after, at))
      rows.push_back({before, nullptr, at, true, true});
    rows.push_back({after, before, at, false, x.old == old_row::full});
  }

  void find_rows(const change_batch& batch, std::span<const uint32_t> changes,
                 const cell* cells) {
    rows.clear();
    for (uint32_t i = 0; i < changes.size(); ++i) {
      if (is_rejected[i])
        continue;
      auto size = rows.size();
      add_rows(batch.changes[changes[i]], cells, i);
      if (is_rejected[i])
        rows.resize(size);
    }
  }

  /// Encodes all rows; false when some of them had to be rejected.
  bool fill_columns() {
    auto known = rejects.size();
    for (auto& writer : writers)
      writer->clear();
    std::span<const row_ref> rest{rows};
    while (!rest.empty()) {
      auto run = rest.first(std::min(rows_per_run, rest.size()));
      rest = rest.subspan(run.size());
      for (auto& writer : writers)
        writer->append(memory, run);
    }
    for (uint32_t i = 0; i < writers.size(); ++i)
      for (const auto& bad : writers[i]->bad) {
        reject(bad.change, refusal(i, bad.status));
        note_null(i, bad.status);
      }
    return rejects.size() == known;
  }

  void fill_versions(const change_batch& batch,
                     std::span<const uint32_t> changes, outcome& result) {
    versions.clear();
    deleted.clear();
    times.clear();
    char* version_at = versions.reserve(rows.size() * 16);
    char* deleted_at = deleted.reserve(rows.size());
    char* time_at = times.reserve(rows.size() * 8);
    for (const auto& row : rows) {
      const auto& x = batch.changes[changes[row.change]];
      const auto& transaction = batch.transactions[x.transaction];
      version_at = store(version_at, x.minor);
      version_at = store(version_at, transaction.commit.value);
      *deleted_at++ = static_cast<char>(row.tombstone);
      time_at = store(time_at, transaction.committed_at);
      result.tombstones += row.tombstone;
      if (x.op != operation::read
          && (oldest == 0 || transaction.committed_at < oldest))
        oldest = transaction.committed_at;
    }
    result.upserts = rows.size() - result.tombstones;
    versions.finish(version_at);
    deleted.finish(deleted_at);
    times.finish(time_at);
  }

  native_bytes build_block() {
    size_t size = 20 + versions.size() + deleted.size() + times.size();
    for (const auto& header : headers)
      size += header.size();
    for (const auto& writer : writers)
      size += writer->bytes();
    native_bytes result;
    auto& own = result.own;
    own.reserve(size);
    char numbers[20];
    char* at = store_varint(numbers, headers.size());
    own.append(numbers, store_varint(at, rows.size()));
    for (size_t i = 0; i < writers.size(); ++i) {
      own += headers[i];
      writers[i]->emit(result);
    }
    const byte_buffer* added[] = {&versions, &deleted, &times};
    for (size_t i = 0; i < 3; ++i) {
      own += headers[writers.size() + i];
      own += added[i]->view();
    }
    return result;
  }

  target_table_ptr table;
  std::vector<std::unique_ptr<column_writer>> writers;
  std::vector<std::string> headers;

  // Of the block being built; kept for their memory.
  cell_memory memory;
  std::vector<row_ref> rows;
  std::vector<char> is_rejected;
  std::vector<rejected> rejects;
  std::set<std::string> nulls;
  byte_buffer versions;
  byte_buffer deleted;
  byte_buffer times;
  int64_t oldest = 0;
};

row_encoder::row_encoder(target_table_ptr table, const server_limits& limits)
  : impl_(std::make_unique<impl>(std::move(table), limits)) {
  // nop
}

row_encoder::~row_encoder() = default;

row_encoder::outcome
row_encoder::encode(const change_batch& batch,
                    std::span<const uint32_t> changes,
                    const std::vector<cell>& cells,
                    std::span<const std::string_view> patches,
                    const std::shared_ptr<const void>& owner) {
  auto& x = *impl_;
  x.memory
    = {batch.text.data(), batch.text.data() + batch.text.size(), patches};
  x.rejects.clear();
  x.nulls.clear();
  x.is_rejected.assign(changes.size(), false);
  x.oldest = 0;
  // Rejects are rare: try with all rows, then again without the bad ones.
  do
    x.find_rows(batch, changes, cells.data());
  while (!x.fill_columns());
  outcome result;
  result.nulls = x.nulls;
  for (const auto& writer : x.writers)
    result.saturated.push_back(writer->saturated);
  if (!x.rows.empty()) {
    x.fill_versions(batch, changes, result);
    auto block = std::make_shared<row_block>();
    block->table = x.table;
    block->native = x.build_block();
    if (!block->native.large.empty())
      block->owner = owner;
    block->rows = x.rows.size();
    block->oldest_commit = x.oldest;
    result.block = std::move(block);
  }
  std::sort(x.rejects.begin(), x.rejects.end(),
            [](const auto& a, const auto& b) { return a.change < b.change; });
  for (auto& reject : x.rejects)
    result.rejects.push_back({changes[reject.change], std::move(reject.error)});
  return result;
}

result<std::string>
row_encoder::key_of(const change_batch& batch, const cell* row) {
  auto& x = *impl_;
  std::string key;
  for (auto column : x.table->order_by) {
    const auto& value = x.key_cell(row, column);
    auto status = value_status::null_value;
    if (value.size >= 0)
      status = x.writers[column]->to_row_binary(
        batch.text.data() + value.offset, value.size, key);
    if (status != value_status::ok)
      return fail(ec::table_unsuitable, x.refusal(column, status));
  }
  return key;
}

} // namespace millrace::transform
