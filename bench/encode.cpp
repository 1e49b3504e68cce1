// CPU time to turn decoded changes into a Native block, per row: the median of
// many blocks.

#include "transform/row_encoder.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <time.h>

using namespace millrace;

namespace {

column_description make_column(const char* name, value_kind kind, bool nullable,
                               int32_t key_position = -1) {
  column_description result;
  result.name = name;
  result.type.kind = kind;
  result.nullable = nullable;
  result.key_position = key_position;
  return result;
}

table_description_ptr make_table() {
  auto result = std::make_shared<table_description>();
  result->schema = "public";
  result->name = "orders";
  result->columns = {make_column("id", value_kind::int8, false, 0),
                     make_column("customer", value_kind::int4, true),
                     make_column("note", value_kind::text, true),
                     make_column("price", value_kind::numeric, true),
                     make_column("created", value_kind::timestamptz, true)};
  result->columns[3].type.precision = 12;
  result->columns[3].type.scale = 2;
  return result;
}

table_description_ptr make_wide_table() {
  auto result = std::make_shared<table_description>();
  result->schema = "public";
  result->name = "wide";
  result->columns = {make_column("id", value_kind::int8, false, 0)};
  for (int i = 1; i < 200; ++i) {
    auto name = "c" + std::to_string(i);
    result->columns.push_back(make_column(
      name.c_str(), i % 2 == 0 ? value_kind::int4 : value_kind::text, true));
  }
  return result;
}

change_batch
make_wide_batch(const table_description_ptr& table, uint32_t rows) {
  std::mt19937_64 random{7};
  change_batch result;
  result.tables.push_back(table);
  result.transactions.push_back({lsn{1}, 1'700'000'000'000'000, 1});
  for (uint32_t i = 0; i < rows; ++i) {
    change x;
    x.row = static_cast<uint32_t>(result.cells.size());
    for (size_t c = 0; c < table->columns.size(); ++c) {
      auto text = std::to_string(random() % 1'000'000);
      result.cells.push_back({static_cast<uint32_t>(result.text.size()),
                              static_cast<int32_t>(text.size())});
      result.text += text;
    }
    result.changes.push_back(x);
  }
  return result;
}

/// Rows as they come: a tenth are deletes when `mixed`.
change_batch
make_batch(const table_description_ptr& table, uint32_t rows, bool mixed) {
  std::mt19937_64 random{7};
  change_batch result;
  result.tables.push_back(table);
  for (uint32_t i = 0; i < rows; ++i) {
    if (i % 1'000 == 0)
      result.transactions.push_back({lsn{i + 1}, 1'700'000'000'000'000, i});
    auto add = [&](const std::string& x) {
      result.cells.push_back({static_cast<uint32_t>(result.text.size()),
                              static_cast<int32_t>(x.size())});
      result.text += x;
    };
    change x;
    x.transaction = i / 1'000;
    x.minor = i;
    auto first = static_cast<uint32_t>(result.cells.size());
    add(std::to_string(random() % 100'000'000));
    if (mixed && random() % 10 == 0) {
      x.op = operation::remove;
      x.old = old_row::key;
      x.old_row_at = first;
      result.cells.resize(first + 5);
    } else {
      x.row = first;
      add(std::to_string(random() % 1'000'000));
      add(std::string(12 + random() % 16, 'x'));
      add(std::to_string(random() % 100'000) + "."
          + std::to_string(10 + random() % 90));
      char time[64];
      std::snprintf(time, sizeof(time), "2024-%02u-%02u %02u:%02u:%02u.%06u+00",
                    unsigned(1 + random() % 12), unsigned(1 + random() % 28),
                    unsigned(random() % 24), unsigned(random() % 60),
                    unsigned(random() % 60), unsigned(random() % 1'000'000));
      add(time);
    }
    result.changes.push_back(x);
  }
  return result;
}

/// Nanoseconds that this thread has worked.
double cpu_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9
         + static_cast<double>(now.tv_nsec);
}

void measure(const char* name, const change_batch& batch) {
  const auto& table = batch.tables[0];
  auto rows = static_cast<uint32_t>(batch.changes.size());
  auto target = transform::map_table(table, {});
  if (!target) {
    std::fprintf(stderr, "%s\n", target.error().text.c_str());
    std::exit(1);
  }
  transform::row_encoder encoder{*target, {}};
  std::vector<uint32_t> changes(rows);
  std::iota(changes.begin(), changes.end(), 0u);
  std::vector<double> times;
  size_t bytes = 0;
  for (size_t text = 0; text < size_t{1} << 29; text += batch.text.size()) {
    auto begin = cpu_time();
    auto out = encoder.encode(batch, changes, batch.cells, {});
    auto time = cpu_time() - begin;
    if (out.block == nullptr || out.block->rows != rows)
      std::exit(1);
    bytes = out.block->native.size();
    times.push_back(time / rows);
  }
  std::sort(times.begin(), times.end());
  std::printf("%-28s %7u rows a block  %6.1f ns/row  %zu bytes\n", name, rows,
              times[times.size() / 2], bytes);
}

} // namespace

int main() {
  auto table = make_table();
  for (uint32_t rows : {100u, 1'000u, 8'192u, 65'536u}) {
    measure("inserts", make_batch(table, rows, false));
    measure("inserts and 10 % deletes", make_batch(table, rows, true));
  }
  auto wide = make_wide_table();
  for (uint32_t rows : {100u, 8'192u})
    measure("200 columns", make_wide_batch(wide, rows));
}
