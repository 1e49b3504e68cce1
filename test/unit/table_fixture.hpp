#pragma once

#include "messages/change_batch.hpp"

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace millrace::test {

/// Shorthand for descriptions of tables in tests.
inline column_description
column(std::string name, value_kind kind, bool nullable = true,
       int32_t key_position = -1) {
  column_description result;
  result.name = std::move(name);
  result.type.kind = kind;
  result.type.name = to_string(kind);
  result.nullable = nullable;
  result.key_position = key_position;
  return result;
}

inline column_description array(column_description x) {
  x.type.array = true;
  x.type.name += "[]";
  return x;
}

inline column_description
numeric(std::string name, int precision, int scale, bool nullable = true) {
  auto result = column(std::move(name), value_kind::numeric, nullable);
  result.type.precision = precision;
  result.type.scale = scale;
  result.type.name = "numeric(" + std::to_string(precision) + ","
                     + std::to_string(scale) + ")";
  return result;
}

inline std::shared_ptr<table_description>
table(std::string name, std::vector<column_description> columns) {
  auto result = std::make_shared<table_description>();
  result->schema = "public";
  result->name = std::move(name);
  result->columns = std::move(columns);
  return result;
}

/// The value that stands for unchanged TOAST in `batch_builder`.
inline const std::string unchanged_mark = "\1unchanged";

using text_row = std::vector<std::optional<std::string>>;

/// Puts batches together from text.
struct batch_builder {
  explicit batch_builder(table_description_ptr table) {
    batch.tables.push_back(std::move(table));
    begin(100, 1'700'000'000'000'000);
  }

  void begin(uint64_t commit, int64_t committed_at) {
    batch.transactions.push_back({lsn{commit}, committed_at, 1});
  }

  uint32_t add_row(const text_row& row) {
    auto result = static_cast<uint32_t>(batch.cells.size());
    for (const auto& value : row) {
      cell x;
      if (value == unchanged_mark) {
        x.size = cell::unchanged;
      } else if (value) {
        x.offset = static_cast<uint32_t>(batch.text.size());
        x.size = static_cast<int32_t>(value->size());
        batch.text += *value;
      }
      batch.cells.push_back(x);
    }
    return result;
  }

  change& add(operation op) {
    change x;
    x.transaction = static_cast<uint32_t>(batch.transactions.size() - 1);
    x.op = op;
    x.minor = batch.changes.size() + 1;
    changes.push_back(static_cast<uint32_t>(batch.changes.size()));
    batch.changes.push_back(x);
    return batch.changes.back();
  }

  void insert(const text_row& row) {
    auto at = add_row(row);
    add(operation::insert).row = at;
  }

  void update(const text_row& row) {
    auto at = add_row(row);
    add(operation::update).row = at;
  }

  void update(old_row kind, const text_row& before, const text_row& after) {
    auto old_at = add_row(before);
    auto at = add_row(after);
    auto& x = add(operation::update);
    x.old = kind;
    x.old_row_at = old_at;
    x.row = at;
  }

  void remove(old_row kind, const text_row& before) {
    auto at = add_row(before);
    auto& x = add(operation::remove);
    x.old = kind;
    x.old_row_at = at;
  }

  change_batch batch;
  std::vector<uint32_t> changes;
};

} // namespace millrace::test
