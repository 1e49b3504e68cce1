#include "transform/event_batch.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace millrace::transform {

namespace {

namespace json = boost::json;

// Values of databases without an encoding may be any bytes.
json::value parse(std::string_view text, json::error_code& err) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  return json::parse({text.data(), text.size()}, err, {}, options);
}

// Adds a row of the table; `missing` is what a column is that has no value.
uint32_t
add_row(change_batch& to, const json::object& values, int32_t missing) {
  auto at = static_cast<uint32_t>(to.cells.size());
  for (const auto& column : to.tables.front()->columns) {
    cell x;
    const auto* value = values.if_contains(column.name);
    if (value == nullptr) {
      x.size = missing;
    } else if (const auto* text = value->if_string()) {
      x.offset = static_cast<uint32_t>(to.text.size());
      x.size = static_cast<int32_t>(text->size());
      to.text.append({text->data(), text->size()});
    }
    to.cells.push_back(x);
  }
  return at;
}

} // namespace

result<change_batch>
to_batch(table_description_ptr table, const dead_letter& letter) {
  json::error_code err;
  auto event = parse(letter.event, err);
  const auto* members = err ? nullptr : event.if_object();
  if (members == nullptr)
    return fail(ec::table_unsuitable, "its event is no JSON object");
  auto row_of = [members](const char* name) -> const json::object* {
    const auto* x = members->if_contains(name);
    return x != nullptr ? x->if_object() : nullptr;
  };
  change_batch result;
  result.tables.push_back(std::move(table));
  result.transactions.push_back({lsn{letter.at.major}, letter.committed_at, 0});
  change x;
  x.op = letter.op;
  x.minor = letter.at.minor;
  if (const auto* before = row_of("before")) {
    x.old = result.tables.front()->full_old_rows ? old_row::full : old_row::key;
    x.old_row_at = add_row(result, *before, cell::null);
  }
  if (const auto* after = row_of("after"))
    x.row = add_row(result, *after, cell::unchanged);
  auto needs_after = x.op != operation::remove;
  if (x.op == operation::truncate || needs_after != (x.row != change::no_row)
      || (!needs_after && x.old == old_row::none))
    return fail(ec::table_unsuitable, "its event does not name a row");
  result.changes.push_back(x);
  return result;
}

} // namespace millrace::transform
