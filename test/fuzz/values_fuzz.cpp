// The value conversions: COPY rows of one column, encoded as a Native block.
// Input: a line that says what the column is, then one line a row in COPY's
// text format. The first line is five bytes (`letter`: 'a' is 0, and so on) and
// the target type that the user chose:
//
//     kind | flags | precision | scale | pattern of operations | target type
#include "postgres/copy_text.hpp"
#include "test/fuzz/target.hpp"
#include "test/unit/native_reader.hpp"
#include "transform/clickhouse_type.hpp"
#include "transform/row_encoder.hpp"

#include <boost/json/parse.hpp>

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

using namespace millrace;

namespace {

using test::demand;

constexpr size_t head_size = 5;

enum flag : uint8_t {
  is_array = 1,
  not_null = 2,
  in_key = 4,
  refuse_out_of_range = 8,
  null_as_default = 16,
};

struct choices {
  column_type type;
  uint8_t flags = 0;
  uint8_t pattern = 0;
  std::string target;
};

choices read_head(std::string_view line) {
  auto number = [&](size_t i) { return static_cast<uint8_t>(line[i] - 'a'); };
  constexpr auto kinds = static_cast<uint8_t>(value_kind::text) + 1;
  choices x;
  x.type.kind = static_cast<value_kind>(number(0) % kinds);
  x.type.name = to_string(x.type.kind);
  x.flags = number(1);
  x.type.array = (x.flags & is_array) != 0;
  if (x.type.kind == value_kind::numeric && number(2) > 0) {
    x.type.precision = number(2);
    x.type.scale = number(3);
  }
  x.pattern = number(4);
  x.target = line.substr(head_size);
  return x;
}

/// An id, and the column that is tried.
table_description_ptr make_table(const choices& x) {
  auto result = std::make_shared<table_description>();
  result->schema = "public";
  result->name = "t";
  result->columns.resize(2);
  auto& id = result->columns[0];
  id.name = "id";
  id.type.kind = value_kind::int8;
  id.nullable = false;
  id.key_position = 0;
  auto& column = result->columns[1];
  column.name = "v";
  column.type = x.type;
  column.nullable = (x.flags & (not_null | in_key)) == 0;
  column.key_position = (x.flags & in_key) != 0 ? 1 : -1;
  return result;
}

transform::mapping_options make_options(const choices& x) {
  transform::mapping_options result;
  result.refuse_out_of_range = (x.flags & refuse_out_of_range) != 0;
  result.null_as_default = (x.flags & null_as_default) != 0;
  if (!x.target.empty())
    result.columns["public.t.v"] = {x.target, ""};
  return result;
}

/// One change a line; bit n of the pattern makes the n-th of eight an update
/// with its key and the others inserts.
change_batch make_batch(table_description_ptr table, const choices& x,
                        std::string_view rest) {
  change_batch batch;
  batch.tables.push_back(std::move(table));
  batch.transactions.push_back({lsn{100}, 1'700'000'000'000'000, 1});
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    auto number = static_cast<uint32_t>(batch.changes.size());
    change c;
    c.minor = number + 1;
    c.row = static_cast<uint32_t>(batch.cells.size());
    batch.cells.resize(c.row + 2);
    cell* cells = &batch.cells[c.row];
    if (!postgres::append_copy_row("7", 1, batch.text, cells)
        || !postgres::append_copy_row(line, 1, batch.text, cells + 1)) {
      batch.cells.resize(c.row);
      continue;
    }
    if ((x.pattern >> number % 8 & 1) != 0 && number > 0) {
      c.op = operation::update;
      c.old = number % 3 == 0 ? old_row::full : old_row::key;
      c.old_row_at = batch.changes.back().row;
    }
    batch.changes.push_back(c);
  }
  return batch;
}

/// What can be said of a value without the code that is tried.
void check_value(const choices& x, std::string_view text,
                 const std::string& stored) {
  if (x.type.array || !x.target.empty())
    return;
  switch (x.type.kind) {
    case value_kind::text:
      demand(stored == text, "a text keeps each byte");
      break;
    case value_kind::int2:
    case value_kind::int4:
    case value_kind::int8: {
      int64_t wanted = 0;
      auto [end, err]
        = std::from_chars(text.data(), text.data() + text.size(), wanted);
      demand(err == std::errc{} && end == text.data() + text.size()
               && stored == std::to_string(wanted),
             "an integer is stored as it is");
      break;
    }
    default:
      break;
  }
}

void check_block(const choices& x, const change_batch& batch,
                 const transform::row_encoder::outcome& out) {
  auto rows = out.block ? out.block->rows : 0;
  demand(rows == out.upserts + out.tombstones, "all rows are counted");
  demand(out.upserts + out.rejects.size() == batch.changes.size(),
         "each change is a row or refused");
  if (!out.block)
    return;
  test::native_reader block{out.block->native.text()};
  demand(block.rows == rows, "the block has these rows");
  const auto& values = block.values.at("v");
  const auto& deleted = block.values.at("_deleted");
  size_t row = 0;
  size_t reject = 0;
  for (uint32_t i = 0; i < batch.changes.size(); ++i) {
    if (reject < out.rejects.size() && out.rejects[reject].change == i) {
      ++reject;
      continue;
    }
    while (row < rows && deleted[row] == "1")
      ++row;
    demand(row < rows, "each change has its row");
    const auto& cell = batch.cells[batch.changes[i].row + 1];
    if (cell.size >= 0)
      check_value(x, batch.text_of(cell), values[row]);
    ++row;
  }
}

bool is_ascii(std::string_view x) {
  for (char c : x)
    if (static_cast<unsigned char>(c) > 127)
      return false;
  return true;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  auto line = text.substr(0, text.find('\n'));
  if (line.size() < head_size)
    return 0;
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  auto x = read_head(line);
  if (auto type = transform::parse_type(x.target)) {
    auto again = transform::parse_type(to_string(*type));
    demand(again && to_string(*again) == to_string(*type),
           "a type is read as it is printed");
  }
  auto table = make_table(x);
  auto mapped = transform::map_table(table, make_options(x));
  if (!mapped)
    return 0;
  auto batch = make_batch(table, x, text);
  std::vector<uint32_t> changes(batch.changes.size());
  for (uint32_t i = 0; i < changes.size(); ++i)
    changes[i] = i;
  transform::row_encoder encoder{*mapped, transform::server_limits{}};
  auto out = encoder.encode(batch, changes, batch.cells, {});
  check_block(x, batch, out);
  for (const auto& c : batch.changes) {
    (void)encoder.key_of(batch, &batch.cells[c.row]);
    auto json = transform::event_json(batch, c);
    boost::json::error_code err;
    if (is_ascii(json)) {
      boost::json::parse(json, err);
      demand(!err, "the dead letter is JSON");
    }
  }
  return 0;
}
