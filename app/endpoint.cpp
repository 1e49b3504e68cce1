#include "app/endpoint.hpp"

#include "http/server.hpp"

#include <mutex>
#include <string_view>

namespace millrace {

namespace {

/// Shows /status without a script of anybody else's.
constexpr const char* human_page = R"__(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>millrace</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: right }
td:first-child, th:first-child { text-align: left }
tr:nth-child(even) { background: #f3f3f3 } .bad { color: #b00 }
</style></head><body>
<h1 id="name">millrace</h1><p id="summary"></p><p id="facts"></p>
<table><thead><tr><th>table<th>inserts<th>updates<th>deletes<th>snapshot<th>written
<th>lag<th>dead letters<th></tr></thead><tbody id="tables"></tbody></table>
<p><a href="/status">/status</a> <a href="/metrics">/metrics</a>
<a href="/healthz">/healthz</a> <a href="/readyz">/readyz</a></p>
<script>
const text = (id, x) => document.getElementById(id).textContent = x;
async function show() {
  try {
    const s = await (await fetch("/status")).json();
    text("name", "millrace: " + s.pipeline);
    text("summary", s.summary + (s.ready ? "" : " — " + s.reasons.join("; ")));
    document.getElementById("summary").className = s.ready ? "" : "bad";
    text("facts", "confirmed " + (s.positions.confirmed || "nothing yet") + ", lag "
      + s.lag_seconds.toFixed(1) + " s, restarts " + s.restarts + ", since " + s.started);
    document.getElementById("tables").replaceChildren(...s.tables.map(t => {
      const row = document.createElement("tr");
      const phase = t.snapshot.phase === "reading" || t.snapshot.phase === "waiting"
        ? t.snapshot.rows + " / ~" + t.snapshot.estimated_rows : t.events.read;
      for (const x of [t.table, t.events.insert, t.events.update, t.events.delete,
                       phase, t.rows_written, t.lag_seconds.toFixed(1) + " s",
                       t.dead_letters, t.quarantine || t.note || ""]) {
        const cell = document.createElement("td");
        cell.textContent = x;
        row.append(cell);
      }
      return row;
    }));
  } catch (e) {
    text("summary", "no answer: " + e);
    document.getElementById("summary").className = "bad";
  }
}
show();
setInterval(show, 2000);
</script></body></html>
)__";

page verdict_page(const verdict& x) {
  page result;
  result.status = x.ok ? 200 : 503;
  result.body = x.ok ? "ok\n" : "";
  for (const auto& reason : x.reasons)
    result.body += reason + "\n";
  return result;
}

using take_again = std::function<result<void>(const std::string&)>;

// A page of a browser always names itself in such a request: it may not.
page snapshot_page(const http::call& call, std::mutex& mutex,
                   const take_again& f) {
  constexpr const char* type = "text/plain; charset=utf-8";
  constexpr size_t max_name = 256;
  if (call.in.has_header("Origin"))
    return {403, type, "not from a web page\n"};
  std::string table;
  while (auto piece = call.in.read()) {
    if (piece->empty())
      break;
    table += *piece;
    if (table.size() > max_name)
      return {400, type, "the body is the name of a table\n"};
  }
  std::lock_guard guard{mutex};
  if (!f)
    return {409, type, "the node is starting or stopping\n"};
  if (auto done = f(table); !done)
    return {409, type, done.error().text + "\n"};
  return {200, type, "ok\n"};
}

void answer(const http::call& call, const metrics& xs,
            std::chrono::nanoseconds ready_lag, std::mutex& mutex,
            const take_again& snapshot) {
  auto method = call.in.method();
  page result;
  if (method == "POST" && call.in.target() == "/snapshot") {
    result = snapshot_page(call, mutex, snapshot);
  } else if (method == "GET" || method == "HEAD") {
    auto target = call.in.target();
    result = make_page(target.substr(0, target.find('?')), xs, ready_lag);
  } else {
    call.out.header("Allow", "GET, HEAD");
    result = {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
  }
  call.out.status(result.status);
  call.out.header("Content-Type", result.type);
  call.out.header("Cache-Control", "no-store");
  call.out.send(result.body);
}

} // namespace

page make_page(std::string_view path, const metrics& xs,
               std::chrono::nanoseconds ready_lag) {
  if (path == "/healthz")
    return verdict_page(healthy(xs));
  if (path == "/readyz")
    return verdict_page(ready(xs, ready_lag));
  if (path == "/status")
    return {200, "application/json", to_json(xs, ready_lag) + "\n"};
  if (path == "/metrics")
    return {200, "text/plain; version=0.0.4; charset=utf-8", to_prometheus(xs)};
  if (path == "/")
    return {200, "text/html; charset=utf-8", human_page};
  return {404, "text/plain; charset=utf-8",
          "not here; try /healthz, /readyz, /status or /metrics\n"};
}

struct endpoint::impl {
  std::shared_ptr<const metrics> xs;
  std::chrono::nanoseconds ready_lag;
  std::mutex mutex;
  take_again snapshot;
  http::server server;
};

endpoint::endpoint(std::shared_ptr<const metrics> xs,
                   std::chrono::nanoseconds ready_lag)
  : impl_(std::make_unique<impl>()) {
  impl_->xs = std::move(xs);
  impl_->ready_lag = ready_lag;
}

endpoint::~endpoint() {
  impl_->server.stop(std::chrono::milliseconds{500});
}

result<void> endpoint::start(const listen_address& address) {
  http::server_options options;
  options.host = address.host;
  options.port = address.port;
  options.max_connections = 64;
  options.stall_timeout = std::chrono::seconds{30};
  if (auto bound = impl_->server.bind(options); !bound)
    return fail(bound.error().code,
                bound.error().text + "; see http.listen in the configuration");
  impl_->server.start([x = impl_.get()](const http::call& call) {
    answer(call, *x->xs, x->ready_lag, x->mutex, x->snapshot);
  });
  return {};
}

void endpoint::on_snapshot(take_again f) {
  std::lock_guard guard{impl_->mutex};
  impl_->snapshot = std::move(f);
}

} // namespace millrace
