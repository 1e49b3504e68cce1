#include "clickhouse/ddl.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/row_binary.hpp"
#include "clickhouse/target_admin_impl.hpp"
#include "messages/failure_point.hpp"

#include <algorithm>
#include <charconv>

namespace millrace::clickhouse {

namespace {

/// Version of a state entry: epoch << 32 | counter. Each process that loads
/// the state takes a higher epoch, so that one which was frozen and comes back
/// loses against its successor.
constexpr int epoch_shift = 32;

uint64_t number(const std::string& text) {
  uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

} // namespace

result<std::map<target_admin::state_key, std::string>>
target_admin::load_state() {
  auto& x = *impl_;
  std::map<state_key, std::string> out;
  auto found
    = x.rows("SELECT kind, name, value, version FROM "
               + quote_name(x.options.database, ddl::state_table)
               + " FINAL WHERE pipeline = " + quote_literal(x.pipeline),
             "load the state of pipeline \"" + x.pipeline + '"');
  if (!found) {
    // Nothing has been prepared yet.
    if (x.table_is_missing())
      return out;
    return tl::unexpected(std::move(found.error()));
  }
  uint64_t highest = 0;
  for (auto& row : *found) {
    highest = std::max(highest, number(row.at(3)));
    if (!row[2].empty())
      out.emplace(state_key{row[0], row[1]}, row[2]);
  }
  x.state_version = ((highest >> epoch_shift) + 1) << epoch_shift;
  return out;
}

result<void>
target_admin::save_state(const std::map<state_key, std::string>& changes) {
  auto& x = *impl_;
  if (changes.empty())
    return {};
  if (x.state_version == 0) {
    auto loaded = load_state();
    if (!loaded)
      return tl::unexpected(std::move(loaded.error()));
  }
  ++x.state_version;
  std::string body;
  for (auto& [key, value] : changes) {
    put_string(body, x.pipeline);
    put_string(body, key.first);
    put_string(body, key.second);
    put_string(body, value);
    put_integer(body, x.state_version);
  }
  auto passed = failure_point("state_written.before", ec::target_unavailable);
  if (!passed)
    return passed;
  auto written = x.http.insert(
    "INSERT INTO " + quote_name(x.options.database, ddl::state_table)
      + " (pipeline, kind, name, value, version) FORMAT RowBinary",
    {}, {body});
  if (!written)
    return written;
  return failure_point("state_written.after", ec::target_unavailable);
}

} // namespace millrace::clickhouse
