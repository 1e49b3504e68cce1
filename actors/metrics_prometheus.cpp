#include "actors/metrics.hpp"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string_view>
#include <unistd.h>

#include <sys/resource.h>

namespace millrace {

namespace {

std::string escaped(std::string_view text) {
  std::string result;
  for (auto c : text) {
    if (c == '\\' || c == '"')
      result += '\\';
    if (c == '\n')
      result += "\\n";
    else
      result += c;
  }
  return result;
}

std::string label(std::string_view name, std::string_view value) {
  return std::string{name} + "=\"" + escaped(value) + "\"";
}

std::string number(double x) {
  char buf[32];
  std::snprintf(buf, sizeof(buf), "%.9g", x);
  return buf;
}

std::string number(uint64_t x) {
  return std::to_string(x);
}

std::string number(int64_t x) {
  return std::to_string(x);
}

/// Writes the text format, family by family.
class exposition {
public:
  void family(const char* name, const char* type, const char* help) {
    name_ = name;
    out_ += std::string{"# HELP "} + name + " " + help + "\n# TYPE " + name
            + " " + type + "\n";
  }

  template <class T>
  void sample(const std::string& labels, T value, const char* suffix = "") {
    out_ += name_ + suffix;
    if (!labels.empty())
      out_ += "{" + labels + "}";
    out_ += " " + number(value) + "\n";
  }

  template <class T>
  void single(const char* name, const char* type, const char* help, T value) {
    family(name, type, help);
    sample({}, value);
  }

  void buckets(const std::string& labels, const histogram& x) {
    auto view = x.look();
    auto head = labels.empty() ? labels : labels + ",";
    uint64_t sum = 0;
    for (size_t i = 0; i <= view.size; ++i) {
      sum += view.counts[i];
      auto bound = i < view.size ? number(view.bounds[i]) : "+Inf";
      sample(head + label("le", bound), sum, "_bucket");
    }
    sample(labels, view.sum, "_sum");
    sample(labels, view.count, "_count");
  }

  std::string take() {
    return std::move(out_);
  }

private:
  std::string name_;
  std::string out_;
};

double to_seconds(int64_t microseconds) {
  return static_cast<double>(microseconds) / 1e6;
}

struct look_at_table {
  const table_metrics* counters;
  table_metrics::view view;
  std::string labels;
};

using tables = std::vector<look_at_table>;

template <class F>
void per_table(exposition& out, const tables& xs, const char* name,
               const char* type, const char* help, F value) {
  out.family(name, type, help);
  for (const auto& x : xs)
    out.sample(x.labels, value(x));
}

void write_tables(exposition& out, const tables& xs) {
  out.family("cdc_events_processed_total", "counter",
             "Changes passed on, by table and operation.");
  for (const auto& x : xs)
    for (size_t i = 0; i < x.counters->events.size(); ++i)
      out.sample(x.labels + ","
                   + label("operation", to_string(static_cast<operation>(i))),
                 x.counters->events[i].value());
  out.family("enrichment_errors_total", "counter",
             "Values that could not be looked up in the target, by entity.");
  for (const auto& x : xs)
    out.sample(label("entity", x.counters->name),
               x.counters->enrichment_errors.value());
  auto count = [](counter table_metrics::*member) {
    return [member](const look_at_table& x) {
      return (x.counters->*member).value();
    };
  };
  per_table(out, xs, "millrace_rows_written_total", "counter",
            "Rows that the target confirmed, tombstones included.",
            count(&table_metrics::rows_written));
  per_table(out, xs, "millrace_bytes_written_total", "counter",
            "Bytes of rows that the target confirmed, before compression.",
            count(&table_metrics::bytes_written));
  per_table(out, xs, "millrace_inserts_total", "counter",
            "Inserts that the target confirmed.",
            count(&table_metrics::inserts));
  per_table(out, xs, "millrace_insert_retries_total", "counter",
            "Inserts that were tried again.",
            count(&table_metrics::insert_retries));
  per_table(out, xs, "millrace_dead_letters_total", "counter",
            "Changes that went to the dead letters.",
            count(&table_metrics::dead_letters));
  per_table(out, xs, "millrace_tombstones_removed_total", "counter",
            "Tombstones that were old enough and have been removed.",
            count(&table_metrics::tombstones_removed));
  out.family("millrace_tombstones_removed_timestamp_seconds", "gauge",
             "When tombstones of the table were last removed.");
  for (const auto& x : xs)
    if (auto at = x.counters->cleaned_at.value(); at != 0)
      out.sample(x.labels, to_seconds(at));
  out.family("millrace_values_saturated_total", "counter",
             "Values stored as the nearest end of their type's range.");
  for (const auto& x : xs)
    for (const auto& [column, n] : x.view.saturated)
      out.sample(x.labels + "," + label("column", column), n);
  per_table(out, xs, "millrace_table_quarantined", "gauge",
            "1 when the table has stopped and needs help.",
            [](const look_at_table& x) {
              return uint64_t{x.view.quarantine.empty() ? 0u : 1u};
            });
  per_table(out, xs, "millrace_table_lag_seconds", "gauge",
            "Age of the oldest change that is not yet durable.",
            [](const look_at_table& x) { return x.view.lag_seconds; });
  per_table(out, xs, "millrace_table_received_lsn_bytes", "gauge",
            "Position of the table's last commit that was received.",
            [](const look_at_table& x) { return x.view.received.value; });
  per_table(out, xs, "millrace_table_durable_lsn_bytes", "gauge",
            "Position up to which the table is durable in the target.",
            [](const look_at_table& x) { return x.view.durable.value; });
  per_table(out, xs, "millrace_snapshot_rows", "gauge",
            "Rows of the table's snapshot that are durable.",
            [](const look_at_table& x) { return x.view.rows; });
  per_table(out, xs, "millrace_snapshot_estimated_rows", "gauge",
            "Rows that the snapshot is expected to have.",
            [](const look_at_table& x) { return x.view.row_estimate; });
  per_table(out, xs, "millrace_snapshot_chunks", "gauge",
            "Chunks of the table's snapshot.",
            [](const look_at_table& x) { return x.view.chunks; });
  per_table(out, xs, "millrace_snapshot_chunks_done", "gauge",
            "Chunks of the table's snapshot that are durable.",
            [](const look_at_table& x) { return x.view.chunks_durable; });
  per_table(out, xs, "millrace_snapshot_rows_per_second", "gauge",
            "Rows of the table's snapshot a second, on average.",
            [](const look_at_table& x) { return x.view.rows_per_second; });
  out.family("millrace_snapshot_left_seconds", "gauge",
             "Expected time to the end of the table's snapshot; only while it "
             "is read.");
  for (const auto& x : xs)
    if (x.view.seconds_left >= 0)
      out.sample(x.labels, x.view.seconds_left);
}

void write_pipeline(exposition& out, const metrics& xs,
                    const metrics::view& view) {
  out.family("millrace_state", "gauge", "1 for the state that the node is in.");
  for (auto i = 0; i <= static_cast<int>(pipeline_state::failed); ++i) {
    auto state = static_cast<pipeline_state>(i);
    out.sample(label("state", to_string(state)),
               uint64_t{state == view.state ? 1u : 0u});
  }
  out.family("millrace_waiting", "gauge",
             "1 while something outside holds the node up.");
  for (auto whom : {"source", "target"})
    out.sample(label("for", whom), uint64_t{view.waits.count(whom)});
  out.single("millrace_restarts_total", "counter",
             "Restarts of the pipeline after a failure.", xs.restarts.value());
  out.single("millrace_in_flight_bytes", "gauge",
             "Bytes that were read and are not yet durable.",
             xs.in_flight_bytes.value());
  out.single("millrace_window_bytes", "gauge",
             "Limit of millrace_in_flight_bytes.", xs.window_bytes.value());
  out.single("millrace_snapshot_in_flight_bytes", "gauge",
             "Bytes of snapshots that were read and are not yet durable.",
             xs.snapshot_in_flight_bytes.value());
  out.single("millrace_snapshot_window_bytes", "gauge",
             "Limit of millrace_snapshot_in_flight_bytes.",
             xs.snapshot_window_bytes.value());
  out.family("millrace_position_bytes", "gauge",
             "Positions in the source's log: its end, and what was received, "
             "is durable, was confirmed.");
  out.sample(label("stage", "server"), xs.server_position.value());
  out.sample(label("stage", "received"), xs.received_position.value());
  out.sample(label("stage", "durable"), xs.durable_position.value());
  out.sample(label("stage", "confirmed"), xs.confirmed_position.value());
  out.single("millrace_lag_bytes", "gauge",
             "Log between the confirmed position and the server's end.",
             view.lag_bytes);
  out.single("millrace_lag_seconds", "gauge",
             "Age of the oldest received transaction that is not durable.",
             view.lag_seconds);
  out.family("millrace_commit_timestamp_seconds", "gauge",
             "Commit time of the last transaction received and durable.");
  out.sample(label("stage", "received"),
             to_seconds(xs.received_commit.value()));
  out.sample(label("stage", "durable"), to_seconds(xs.durable_commit.value()));
  if (!view.slot.wal_status.empty()) {
    out.single("millrace_slot_lag_bytes", "gauge",
               "Log that the replication slot holds back on the source.",
               view.slot.lag);
    out.single("millrace_slot_active", "gauge", "1 while the slot is in use.",
               uint64_t{view.slot.active ? 1u : 0u});
    out.family("millrace_slot_wal_status", "gauge",
               "1 for the status that the source gives the slot's log.");
    out.sample(label("status", view.slot.wal_status), uint64_t{1});
  }
}

/// The names and meanings that Prometheus' client libraries use.
void write_process(exposition& out, const metrics& xs) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto cpu
    = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
          / 1e6;
  out.single("process_cpu_seconds_total", "counter",
             "CPU time of the process in seconds.", cpu);
  uint64_t size = 0;
  uint64_t resident = 0;
  if (std::ifstream in{"/proc/self/statm"}; in >> size >> resident)
    out.single("process_resident_memory_bytes", "gauge",
               "Resident memory in bytes.",
               resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
  out.single("process_start_time_seconds", "gauge",
             "Start of the process in seconds since 1970.",
             to_seconds(xs.started));
}

} // namespace

std::string to_prometheus(const metrics& xs, int64_t now) {
  exposition out;
  auto view = xs.look(now);
  out.family("millrace_info", "gauge", "Pipeline and version of the node.");
  out.sample(label("pipeline", xs.pipeline) + ","
               + label("version", xs.version),
             uint64_t{1});
  tables all;
  for (const auto& x : view.tables)
    all.push_back({x.get(), x->look(now), label("table", x->name)});
  write_tables(out, all);
  out.family("transformation_duration_seconds", "histogram",
             "Time that the transformation of one batch took, by flow.");
  for (const auto& [name, x] : view.flows)
    out.buckets(label("flow", name), *x);
  write_pipeline(out, xs, view);
  out.family("millrace_commit_to_visible_seconds", "histogram",
             "From the commit in the source until the target has answered.");
  out.buckets({}, xs.commit_to_visible);
  out.family("millrace_insert_seconds", "histogram",
             "Time that the target took for an insert.");
  out.buckets({}, xs.insert_seconds);
  out.family("millrace_insert_rows", "histogram", "Rows of an insert.");
  out.buckets({}, xs.insert_rows);
  write_process(out, xs);
  return out.take();
}

} // namespace millrace
