#include "actors/metrics.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <ctime>

namespace millrace {

namespace {

namespace json = boost::json;

/// ISO 8601 in UTC, or null for "never".
json::value time_text(int64_t microseconds) {
  if (microseconds == 0)
    return nullptr;
  auto seconds = static_cast<std::time_t>(microseconds / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char buf[32];
  std::strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return buf;
}

json::value position(uint64_t x) {
  if (x == 0)
    return nullptr;
  return json::string{to_string(lsn{x})};
}

json::value position(const gauge& x) {
  return position(static_cast<uint64_t>(x.value()));
}

json::value seconds_or_null(double x) {
  // Parentheses: braces would make an array of one.
  return x < 0 ? json::value(nullptr) : json::value(x);
}

json::object snapshot_object(const table_metrics::view& x) {
  return {
    {"phase", to_string(x.phase)},
    {"rows", x.rows},
    {"estimated_rows", x.row_estimate},
    {"chunks", x.chunks},
    {"chunks_done", x.chunks_durable},
    {"started", time_text(x.started)},
    {"ended", time_text(x.ended)},
    {"rows_per_second", x.rows_per_second},
    {"seconds_left", seconds_or_null(x.seconds_left)},
  };
}

json::object table_object(const table_metrics& xs, int64_t now) {
  auto view = xs.look(now);
  json::object events;
  for (size_t i = 0; i < xs.events.size(); ++i)
    events[to_string(static_cast<operation>(i))] = xs.events[i].value();
  json::object saturated;
  for (const auto& [column, n] : view.saturated)
    saturated[column] = n;
  json::object result{
    {"table", xs.name},
    {"events", std::move(events)},
    {"rows_written", xs.rows_written.value()},
    {"inserts", xs.inserts.value()},
    {"insert_retries", xs.insert_retries.value()},
    {"dead_letters", xs.dead_letters.value()},
    {"tombstones_removed", xs.tombstones_removed.value()},
    {"tombstones_removed_at", time_text(xs.cleaned_at.value())},
    {"saturated", std::move(saturated)},
    {"received", position(view.received.value)},
    {"durable", position(view.durable.value)},
    {"received_commit", time_text(view.received_commit)},
    {"durable_commit", time_text(view.durable_commit)},
    {"lag_seconds", view.lag_seconds},
    {"quarantine", nullptr},
    {"note", nullptr},
    {"snapshot", snapshot_object(view)},
  };
  if (!view.quarantine.empty())
    result["quarantine"] = view.quarantine;
  if (!view.note.empty())
    result["note"] = view.note;
  return result;
}

json::object histogram_object(const histogram& x) {
  auto view = x.look();
  return {
    {"count", view.count},
    {"sum", view.sum},
    {"p50", view.quantile(0.5)},
    {"p99", view.quantile(0.99)},
  };
}

json::array reasons(const verdict& x) {
  return json::array(x.reasons.begin(), x.reasons.end());
}

} // namespace

std::string
to_json(const metrics& xs, std::chrono::nanoseconds ready_lag, int64_t now) {
  auto view = xs.look(now);
  auto health = healthy(xs, now);
  auto readiness = ready(xs, ready_lag, now);
  json::object waits;
  for (const auto& [whom, x] : view.waits)
    waits[whom] = json::object{{"why", x.why}, {"since", time_text(x.since)}};
  json::array tables;
  for (const auto& x : view.tables)
    tables.push_back(table_object(*x, now));
  json::object slot{
    {"lag_bytes", nullptr}, {"active", nullptr}, {"wal_status", nullptr}};
  if (!view.slot.wal_status.empty())
    slot = {{"lag_bytes", view.slot.lag},
            {"active", view.slot.active},
            {"wal_status", view.slot.wal_status}};
  json::object last_error{{"text", nullptr}, {"at", time_text(view.error_at)}};
  if (!view.error.empty())
    last_error["text"] = view.error;
  return json::serialize(json::object{
    {"pipeline", xs.pipeline},
    {"version", xs.version},
    {"started", time_text(xs.started)},
    {"healthy", health.ok},
    {"ready", readiness.ok},
    {"reasons", reasons(readiness)},
    {"state", to_string(view.state)},
    {"summary", summary(view)},
    {"since", time_text(view.since)},
    {"waits", std::move(waits)},
    {"restarts", xs.restarts.value()},
    {"last_error", std::move(last_error)},
    {"positions",
     json::object{
       {"server", position(xs.server_position)},
       {"received", position(xs.received_position)},
       {"durable", position(xs.durable_position)},
       {"confirmed", position(xs.confirmed_position)},
     }},
    {"lag_seconds", view.lag_seconds},
    {"lag_bytes", view.lag_bytes},
    {"received_commit", time_text(xs.received_commit.value())},
    {"durable_commit", time_text(xs.durable_commit.value())},
    {"in_flight_bytes", xs.in_flight_bytes.value()},
    {"window_bytes", xs.window_bytes.value()},
    {"slot", std::move(slot)},
    {"commit_to_visible_seconds", histogram_object(xs.commit_to_visible)},
    {"insert_seconds", histogram_object(xs.insert_seconds)},
    {"insert_rows", histogram_object(xs.insert_rows)},
    {"tables", std::move(tables)},
  });
}

} // namespace millrace
