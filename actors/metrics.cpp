#include "actors/metrics.hpp"

#include <algorithm>
#include <iterator>

namespace millrace {

namespace {

/// A supervisor that did not beat for so long hangs.
constexpr int64_t heartbeat_limit = 60'000'000;

double seconds(int64_t microseconds) {
  return static_cast<double>(microseconds) / 1e6;
}

} // namespace

int64_t now_microseconds() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch())
    .count();
}

const char* to_string(snapshot_phase x) {
  constexpr const char* names[] = {"none", "waiting", "reading", "done"};
  auto i = static_cast<size_t>(x);
  return i < std::size(names) ? names[i] : "unknown";
}

const char* to_string(pipeline_state x) {
  constexpr const char* names[]
    = {"starting", "snapshotting", "streaming", "stopping", "failed"};
  auto i = static_cast<size_t>(x);
  return i < std::size(names) ? names[i] : "unknown";
}

// -- table_metrics ------------------------------------------------------------

table_metrics::table_metrics(std::string table_name)
  : name(std::move(table_name)) {
  // nop
}

void table_metrics::received(lsn at, int64_t committed_at) {
  std::lock_guard guard{mutex_};
  if (at <= state_.received)
    return;
  state_.received = at;
  state_.received_commit = committed_at;
  if (pending_ == 0)
    pending_ = committed_at;
}

void table_metrics::durable(lsn at, int64_t committed_at) {
  std::lock_guard guard{mutex_};
  if (at <= state_.durable)
    return;
  state_.durable = at;
  state_.durable_commit = committed_at;
  // What is left was committed after this; nothing more exact is known.
  pending_ = at >= state_.received ? 0 : committed_at;
}

void table_metrics::saturated(const std::string& column, uint64_t values) {
  std::lock_guard guard{mutex_};
  state_.saturated[column] += values;
}

void table_metrics::quarantine(std::string why) {
  std::lock_guard guard{mutex_};
  state_.quarantine = std::move(why);
}

void table_metrics::note(std::string text) {
  std::lock_guard guard{mutex_};
  state_.note = std::move(text);
}

void table_metrics::snapshot_planned(uint64_t row_estimate, uint64_t chunks,
                                     uint64_t chunks_durable,
                                     uint64_t rows_durable) {
  std::lock_guard guard{mutex_};
  state_.phase = snapshot_phase::waiting;
  state_.row_estimate = row_estimate;
  state_.chunks = chunks;
  state_.chunks_durable = chunks_durable;
  state_.rows = rows_durable;
  rows_at_start_ = rows_durable;
  state_.started = now_microseconds();
  state_.ended = 0;
}

void table_metrics::snapshot_reading() {
  std::lock_guard guard{mutex_};
  if (state_.phase == snapshot_phase::reading)
    return;
  state_.phase = snapshot_phase::reading;
  state_.started = now_microseconds();
}

void table_metrics::snapshot_chunk(uint64_t rows) {
  std::lock_guard guard{mutex_};
  ++state_.chunks_durable;
  state_.rows += rows;
}

void table_metrics::snapshot_done() {
  std::lock_guard guard{mutex_};
  state_.phase = snapshot_phase::done;
  state_.ended = now_microseconds();
}

table_metrics::view table_metrics::look(int64_t now) const {
  std::lock_guard guard{mutex_};
  auto result = state_;
  if (pending_ != 0)
    result.lag_seconds = std::max(0.0, seconds(now - pending_));
  if (result.started != 0) {
    auto end = result.ended != 0 ? result.ended : now;
    auto rows = static_cast<double>(result.rows - rows_at_start_);
    if (end > result.started)
      result.rows_per_second = rows / seconds(end - result.started);
  }
  if (result.phase != snapshot_phase::reading || result.rows_per_second <= 0)
    return result;
  // Before its first ANALYZE a table has no estimate: its chunks tell.
  auto estimate = result.row_estimate;
  if (estimate == 0 && result.chunks_durable > 0)
    estimate = result.rows * result.chunks / result.chunks_durable;
  if (estimate >= result.rows && estimate > 0)
    result.seconds_left
      = static_cast<double>(estimate - result.rows) / result.rows_per_second;
  return result;
}

// -- metrics ------------------------------------------------------------------

metrics::metrics(std::string pipeline_name, std::string program_version)
  : pipeline(std::move(pipeline_name)), version(std::move(program_version)),
    started(now_microseconds()), commit_to_visible{0.005, 0.01,  0.02, 0.03,
                                                   0.05,  0.075, 0.1,  0.15,
                                                   0.25,  0.5,   1,    2.5,
                                                   10,    60,    600},
    insert_seconds{0.001, 0.002, 0.004, 0.006, 0.01, 0.02, 0.05,
                   0.1,   0.25,  0.5,   1,     2.5,  10},
    insert_rows{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144} {
  state_.since = started;
}

std::shared_ptr<table_metrics> metrics::table(const std::string& full_name) {
  std::lock_guard guard{mutex_};
  auto& x = tables_[full_name];
  if (x == nullptr)
    x = std::make_shared<table_metrics>(full_name);
  return x;
}

bool metrics::is_quarantined(const std::string& full_name) const {
  std::lock_guard guard{mutex_};
  auto i = tables_.find(full_name);
  return i != tables_.end() && !i->second->look(0).quarantine.empty();
}

std::shared_ptr<histogram> metrics::flow(const std::string& name) {
  std::lock_guard guard{mutex_};
  auto& x = flows_[name];
  if (x == nullptr)
    x = std::make_shared<histogram>(
      std::initializer_list<double>{0.00001, 0.00003, 0.0001, 0.0003, 0.001,
                                    0.003, 0.01, 0.03, 0.1, 0.3, 1, 10});
  return x;
}

void metrics::beat() {
  heartbeat_.set(now_microseconds());
}

void metrics::set_state(pipeline_state x, std::string reason) {
  std::lock_guard guard{mutex_};
  if (state_.state != x)
    state_.since = now_microseconds();
  state_.state = x;
  state_.reason = std::move(reason);
}

void metrics::waits(const std::string& whom, std::string why) {
  std::lock_guard guard{mutex_};
  auto& x = state_.waits[whom];
  if (x.since == 0)
    x.since = now_microseconds();
  x.why = std::move(why);
}

void metrics::resumes(const std::string& whom) {
  std::lock_guard guard{mutex_};
  state_.waits.erase(whom);
}

void metrics::set_error(std::string text) {
  std::lock_guard guard{mutex_};
  state_.error = std::move(text);
  state_.error_at = now_microseconds();
}

void metrics::set_slot(slot_report x) {
  std::lock_guard guard{mutex_};
  state_.slot = std::move(x);
}

metrics::view metrics::look(int64_t now) const {
  std::lock_guard guard{mutex_};
  auto result = state_;
  for (const auto& entry : tables_)
    result.tables.push_back(entry.second);
  result.flows.assign(flows_.begin(), flows_.end());
  result.heartbeat = heartbeat_.value();
  if (auto oldest = oldest_pending_commit.value(); oldest != 0)
    result.lag_seconds = std::max(0.0, seconds(now - oldest));
  auto server = static_cast<uint64_t>(server_position.value());
  auto confirmed = static_cast<uint64_t>(confirmed_position.value());
  if (confirmed != 0 && server > confirmed)
    result.lag_bytes = server - confirmed;
  return result;
}

// -- health -------------------------------------------------------------------

std::string summary(const metrics::view& x) {
  if (x.state != pipeline_state::stopping && x.state != pipeline_state::failed)
    for (auto whom : {"source", "target"})
      if (auto i = x.waits.find(whom); i != x.waits.end())
        return std::string{"waiting for "} + whom + ": " + i->second.why;
  std::string result = to_string(x.state);
  if (!x.reason.empty())
    result += ": " + x.reason;
  return result;
}

verdict healthy(const metrics& xs, int64_t now) {
  verdict result;
  auto x = xs.look(now);
  if (x.state == pipeline_state::failed)
    result.reasons.push_back(summary(x));
  if (x.heartbeat != 0 && now - x.heartbeat > heartbeat_limit)
    result.reasons.push_back("nothing has moved for "
                             + std::to_string((now - x.heartbeat) / 1'000'000)
                             + " s");
  result.ok = result.reasons.empty();
  return result;
}

verdict ready(const metrics& xs, std::chrono::nanoseconds limit, int64_t now) {
  auto result = healthy(xs, now);
  auto x = xs.look(now);
  auto blocked = x.waits.count("source") + x.waits.count("target") > 0;
  auto works = x.state == pipeline_state::streaming
               || x.state == pipeline_state::snapshotting;
  if (x.state != pipeline_state::failed && (blocked || !works))
    result.reasons.push_back(summary(x));
  if (x.lag_seconds > std::chrono::duration<double>(limit).count())
    result.reasons.push_back(
      "lags by " + std::to_string(static_cast<int64_t>(x.lag_seconds)) + " s");
  if (x.slot.wal_status == "unreserved" || x.slot.wal_status == "lost")
    result.reasons.push_back("the slot's WAL is " + x.slot.wal_status);
  for (const auto& table : x.tables)
    if (auto why = table->look(now).quarantine; !why.empty())
      result.reasons.push_back("table " + table->name
                               + " is quarantined: " + why);
  result.ok = result.reasons.empty();
  return result;
}

} // namespace millrace
