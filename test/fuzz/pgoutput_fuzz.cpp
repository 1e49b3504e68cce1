// The pgoutput decoder, and what turns its batches into blocks and dead
// letters. Input: a byte of choices, then messages, each with its length in two
// bytes, most significant first.
#include "postgres/pgoutput.hpp"
#include "test/fuzz/target.hpp"
#include "transform/row_encoder.hpp"

#include <string>
#include <string_view>
#include <vector>

using namespace millrace;

namespace {

using test::demand;
using verdict = postgres::pgoutput_decoder::verdict;

enum choice : uint8_t {
  skip_tables = 1,
  all_columns_are_the_key = 2,
  no_key = 4,
  describe_ahead = 8,
  small_batches = 16,
  describe_wrongly = 32,
};

std::shared_ptr<table_description>
describe(const postgres::relation& x, uint8_t choices) {
  auto result = std::make_shared<table_description>();
  result->oid = x.oid;
  result->schema = x.schema;
  result->name = x.name;
  result->full_old_rows = x.replica_identity == 'f';
  auto keys = 0;
  auto keyed = false;
  for (const auto& from : x.columns) {
    column_description column;
    column.name = from.name;
    column.type.oid = from.type;
    column.type.modifier = from.modifier;
    // With FULL every column is flagged, and the key is the primary key.
    if (!result->full_old_rows)
      keyed = from.key;
    else
      keyed = (choices & no_key) == 0
              && (keys == 0 || (choices & all_columns_are_the_key) != 0);
    if (keyed)
      column.key_position = keys++;
    result->columns.push_back(std::move(column));
  }
  if (keys == 0)
    result->identity = result->full_old_rows ? table_identity::full_row
                                             : table_identity::append_only;
  return result;
}

void check_row(const change_batch& batch, const change& x, uint32_t at) {
  auto width = batch.tables[x.table]->columns.size();
  demand(at + width <= batch.cells.size(), "rows lie within the batch");
  for (size_t i = 0; i < width; ++i) {
    const auto& c = batch.cells[at + i];
    if (c.size < 0)
      demand(c.size == cell::null || c.size == cell::unchanged, "known marks");
    else
      demand(size_t{c.offset} + static_cast<size_t>(c.size)
               <= batch.text.size(),
             "cells lie within the text");
  }
}

void encode(const change_batch& batch, uint32_t table) {
  auto mapped
    = transform::map_table(batch.tables[table], transform::mapping_options{});
  if (!mapped)
    return;
  std::vector<uint32_t> changes;
  for (uint32_t i = 0; i < batch.changes.size(); ++i)
    if (batch.changes[i].table == table
        && batch.changes[i].op != operation::truncate)
      changes.push_back(i);
  transform::row_encoder encoder{*mapped, transform::server_limits{}};
  auto out = encoder.encode(batch, changes, batch.cells, {});
  auto rows = out.block ? out.block->rows : 0;
  demand(rows == out.upserts + out.tombstones, "all rows are counted");
  demand(out.rejects.size() <= changes.size(), "a change is refused once");
}

void check(const change_batch& batch) {
  for (const auto& x : batch.changes) {
    demand(x.table < batch.tables.size(), "tables are known");
    demand(x.transaction < batch.transactions.size(), "transactions are known");
    if (x.row != change::no_row)
      check_row(batch, x, x.row);
    demand((x.old == old_row::none) == (x.old_row_at == change::no_row),
           "an old row is there or not");
    if (x.old != old_row::none)
      check_row(batch, x, x.old_row_at);
    if (x.op != operation::truncate) {
      transform::event_json(batch, x);
      transform::key_json(batch, x);
    }
  }
  for (uint32_t i = 0; i < batch.tables.size(); ++i)
    encode(batch, i);
}

class session {
public:
  explicit session(uint8_t choices) : choices_(choices) {
    // nop
  }

  /// False when the decoder is of no use any more.
  bool feed(std::string_view message) {
    at_.value += 8;
    auto result = decoder_.decode(at_, message);
    if (result == verdict::again) {
      auto waits = decoder_.unknown() != nullptr;
      demand(take() || waits, "there is something to be taken or described");
      if (waits) {
        // Who describes it wrongly gets no further.
        if ((choices_ & describe_wrongly) != 0)
          return false;
        answer();
      }
      result = decoder_.decode(at_, message);
      demand(result != verdict::again, "a batch is full only once");
    }
    if (result == verdict::malformed) {
      demand(decoder_.error().code != ec::none, "says why");
      return false;
    }
    if (result == verdict::unknown)
      answer();
    if (result == verdict::cut || (choices_ & small_batches) != 0)
      take();
    return true;
  }

  bool take() {
    auto unchanged = decoder_.take_unchanged();
    auto batch = decoder_.take();
    if (!batch)
      return false;
    for (auto i : unchanged)
      demand(i < batch->changes.size(), "unchanged cells are of the batch");
    check(*batch);
    return true;
  }

private:
  void answer() {
    demand(decoder_.unknown() != nullptr, "the unknown relation is named");
    auto relation = *decoder_.unknown();
    if ((choices_ & skip_tables) != 0 && relation.oid % 2 == 0)
      return decoder_.skip(relation.oid);
    auto table = describe(relation, choices_);
    demand(postgres::fits(relation, *table), "a description fits its relation");
    auto other = std::make_shared<table_description>(*table);
    if (!other->columns.empty())
      other->columns.pop_back();
    if ((choices_ & describe_wrongly) != 0)
      decoder_.describe(other);
    else
      decoder_.describe(table);
    if ((choices_ & describe_ahead) != 0)
      decoder_.describe(other);
  }

  uint8_t choices_;
  lsn at_{0x1000};
  postgres::pgoutput_decoder decoder_;
};

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0)
    return 0;
  session x{data[0]};
  std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
  auto byte = [&](size_t i) { return static_cast<uint8_t>(rest[i]); };
  while (rest.size() >= 2) {
    auto n = size_t{byte(0)} << 8 | byte(1);
    rest.remove_prefix(2);
    n = std::min(n, rest.size());
    // A copy of exact size, so that a sanitizer sees a read beyond its end.
    std::vector<char> message(rest.begin(), rest.begin() + n);
    if (!x.feed({message.data(), n}))
      return 0;
    rest.remove_prefix(n);
  }
  x.take();
  return 0;
}
