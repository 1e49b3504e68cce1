#include "transform/row_encoder.hpp"

namespace millrace::transform {

namespace {

void add_string(std::string& out, std::string_view x) {
  constexpr char hex[] = "0123456789abcdef";
  out += '"';
  for (char c : x) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

/// Adds `,` unless it is the first member.
void add_name(std::string& out, std::string_view name) {
  if (out.back() != '{')
    out += ',';
  add_string(out, name);
  out += ':';
}

/// Unchanged TOAST values are no members: they are not known here.
void add_row(std::string& out, const change_batch& batch,
             const table_description& table, const cell* row, bool key_only,
             const cell* fallback = nullptr) {
  out += '{';
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const auto& column = table.columns[i];
    if (key_only && column.key_position < 0)
      continue;
    const cell* x = row + i;
    if (x->size == cell::unchanged && fallback != nullptr)
      x = fallback + i;
    if (x->size < cell::null)
      continue;
    add_name(out, column.name);
    if (x->size == cell::null)
      out += "null";
    else
      add_string(out, batch.text_of(*x));
  }
  out += '}';
}

const cell* cells_at(const change_batch& batch, uint32_t at) {
  return batch.cells.data() + at;
}

} // namespace

std::string event_json(const change_batch& batch, const change& x) {
  const auto& table = *batch.tables[x.table];
  std::string out = "{\"before\":";
  if (x.old == old_row::none)
    out += "null";
  else
    add_row(out, batch, table, cells_at(batch, x.old_row_at),
            x.old == old_row::key);
  out += ",\"after\":";
  if (x.row == change::no_row)
    out += "null";
  else
    add_row(out, batch, table, cells_at(batch, x.row), false);
  out += '}';
  return out;
}

std::string key_json(const change_batch& batch, const change& x) {
  const auto& table = *batch.tables[x.table];
  if (table.identity != table_identity::key)
    return {};
  const cell* before
    = x.old == old_row::none ? nullptr : cells_at(batch, x.old_row_at);
  const cell* row = x.row == change::no_row ? before : cells_at(batch, x.row);
  std::string out;
  if (row != nullptr)
    add_row(out, batch, table, row, true, before);
  return out;
}

} // namespace millrace::transform
