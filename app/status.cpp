#include "app/status.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <ostream>
#include <vector>

#include <curl/curl.h>

namespace millrace {

namespace {

namespace json = boost::json;

constexpr size_t max_answer = 64 << 20;

size_t append(char* data, size_t, size_t size, void* to) {
  auto& text = *static_cast<std::string*>(to);
  if (text.size() + size > max_answer)
    return 0;
  text.append(data, size);
  return size;
}

/// Where to ask a node that listens on all addresses.
std::string reachable(listen_address x) {
  if (x.host == "0.0.0.0" || x.host == "*")
    x.host = "127.0.0.1";
  else if (x.host == "::")
    x.host = "::1";
  return to_string(x);
}

/// 1234567 as 1,234,567.
std::string grouped(int64_t x) {
  auto text = std::to_string(x);
  for (auto i = static_cast<int64_t>(text.size()) - 3; i > (x < 0 ? 1 : 0);
       i -= 3)
    text.insert(static_cast<size_t>(i), ",");
  return text;
}

std::string bytes(int64_t x) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(x);
  size_t unit = 0;
  for (; value >= 1024 && unit < 4; ++unit)
    value /= 1024;
  char buf[32];
  std::snprintf(buf, sizeof(buf), unit == 0 ? "%.0f %s" : "%.1f %s", value,
                units[unit]);
  return buf;
}

/// 0.012 as 12 ms, 75 as 1 min 15 s.
std::string span(double seconds) {
  char buf[48];
  if (seconds < 1)
    std::snprintf(buf, sizeof(buf), "%.0f ms", seconds * 1000);
  else if (seconds < 60)
    std::snprintf(buf, sizeof(buf), "%.1f s", seconds);
  else if (seconds < 3600)
    std::snprintf(buf, sizeof(buf), "%d min %d s",
                  static_cast<int>(seconds) / 60,
                  static_cast<int>(seconds) % 60);
  else
    std::snprintf(buf, sizeof(buf), "%.0f h %d min", seconds / 3600 - 0.5,
                  static_cast<int>(seconds / 60) % 60);
  return buf;
}

std::string text_of(const json::value& x) {
  return x.is_string() ? std::string{x.get_string()} : "-";
}

int64_t number_of(const json::value& x) {
  return x.to_number<int64_t>();
}

std::string snapshot_text(const json::value& x) {
  auto phase = text_of(x.at("phase"));
  if (phase == "none")
    return "-";
  auto rows = grouped(number_of(x.at("rows")));
  if (phase == "done")
    return rows + " rows";
  auto result = phase + " " + rows + " of about "
                + grouped(number_of(x.at("estimated_rows")));
  if (const auto& left = x.at("seconds_left"); !left.is_null())
    result += ", " + span(left.to_number<double>()) + " left";
  return result;
}

using rows = std::vector<std::vector<std::string>>;

/// Columns as wide as their widest cell; all but the first and the last to the
/// right.
std::string aligned(const rows& xs) {
  std::vector<size_t> widths;
  for (const auto& row : xs)
    for (size_t i = 0; i < row.size(); ++i) {
      widths.resize(std::max(widths.size(), i + 1));
      widths[i] = std::max(widths[i], row[i].size());
    }
  std::string result;
  for (const auto& row : xs) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string pad(widths[i] - row[i].size(), ' ');
      auto left = i == 0 || i + 1 == row.size();
      line += (i == 0 ? "" : "  ") + (left ? row[i] + pad : pad + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + "\n";
  }
  return result;
}

std::string render(const json::value& x) {
  std::string out = "pipeline " + text_of(x.at("pipeline")) + ", millrace "
                    + text_of(x.at("version")) + ", since "
                    + text_of(x.at("started")) + "\n";
  out += "state     " + text_of(x.at("summary")) + "\n";
  if (!x.at("ready").as_bool())
    for (const auto& reason : x.at("reasons").as_array())
      out += "not ready " + text_of(reason) + "\n";
  for (const auto& entry : x.at("waits").as_object())
    out += "waits for " + std::string{entry.key()} + " since "
           + text_of(entry.value().at("since")) + ": "
           + text_of(entry.value().at("why")) + "\n";
  const auto& at = x.at("positions");
  out += "position  server " + text_of(at.at("server")) + ", received "
         + text_of(at.at("received")) + ", durable " + text_of(at.at("durable"))
         + ", confirmed " + text_of(at.at("confirmed")) + "\n";
  out += "lag       " + span(x.at("lag_seconds").to_number<double>()) + ", "
         + bytes(number_of(x.at("lag_bytes"))) + "\n";
  const auto& slot = x.at("slot");
  if (!slot.at("active").is_null())
    out += std::string{"slot      "}
           + (slot.at("active").as_bool() ? "active" : "not active")
           + ", holds back " + bytes(number_of(slot.at("lag_bytes"))) + ", "
           + text_of(slot.at("wal_status")) + "\n";
  out += "in flight " + bytes(number_of(x.at("in_flight_bytes"))) + " of "
         + bytes(number_of(x.at("window_bytes"))) + "\n";
  const auto& visible = x.at("commit_to_visible_seconds");
  if (number_of(visible.at("count")) > 0)
    out += "latency   commit to visible p50 "
           + span(visible.at("p50").to_number<double>()) + ", p99 "
           + span(visible.at("p99").to_number<double>()) + "\n";
  out += "restarts  " + grouped(number_of(x.at("restarts"))) + "\n";
  if (const auto& last = x.at("last_error"); !last.at("text").is_null())
    out += "last error at " + text_of(last.at("at")) + ": "
           + text_of(last.at("text")) + "\n";
  rows table{{"table", "inserts", "updates", "deletes", "snapshot", "written",
              "lag", "dead letters", ""}};
  std::string notes;
  for (const auto& t : x.at("tables").as_array()) {
    const auto& events = t.at("events");
    std::string remark;
    if (!t.at("quarantine").is_null())
      remark = "QUARANTINED";
    if (!t.at("note").is_null()) {
      notes += "note: " + text_of(t.at("table")) + ": " + text_of(t.at("note"))
               + "\n";
      remark += remark.empty() ? "note" : ", note";
    }
    table.push_back(
      {text_of(t.at("table")), grouped(number_of(events.at("insert"))),
       grouped(number_of(events.at("update"))),
       grouped(number_of(events.at("delete"))), snapshot_text(t.at("snapshot")),
       grouped(number_of(t.at("rows_written"))),
       span(t.at("lag_seconds").to_number<double>()),
       grouped(number_of(t.at("dead_letters"))), remark});
  }
  return out + "\n" + aligned(table) + notes;
}

struct answer {
  long status = 0;
  std::string body;
};

// Asks the node; with a body by POST.
result<answer> ask_node(const listen_address& address, const std::string& path,
                        const std::string* body = nullptr) {
  auto where = "http://" + reachable(address) + path;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl{curl_easy_init(),
                                                           &curl_easy_cleanup};
  if (curl == nullptr)
    return fail(ec::local_failure, "cannot set up an HTTP request");
  answer result;
  char reason[CURL_ERROR_SIZE] = "";
  auto* x = curl.get();
  curl_easy_setopt(x, CURLOPT_URL, where.c_str());
  curl_easy_setopt(x, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(x, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(x, CURLOPT_TIMEOUT_MS, body != nullptr ? 20'000L : 5'000L);
  if (body != nullptr) {
    curl_easy_setopt(x, CURLOPT_POSTFIELDSIZE, static_cast<long>(body->size()));
    curl_easy_setopt(x, CURLOPT_POSTFIELDS, body->c_str());
  }
  curl_easy_setopt(x, CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(x, CURLOPT_WRITEDATA, &result.body);
  curl_easy_setopt(x, CURLOPT_ERRORBUFFER, reason);
  if (auto code = curl_easy_perform(x); code != CURLE_OK)
    return fail(ec::local_failure,
                "no answer from " + where + ": "
                  + (reason[0] != 0 ? reason : curl_easy_strerror(code))
                  + "; is the node running, with this http.listen?");
  curl_easy_getinfo(x, CURLINFO_RESPONSE_CODE, &result.status);
  return result;
}

failure stranger(const listen_address& address, long status) {
  return {ec::local_failure, "http://" + reachable(address) + " answered "
                               + std::to_string(status)
                               + "; is that a millrace node?"};
}

} // namespace

result<std::string> fetch_status(const listen_address& address) {
  auto x = ask_node(address, "/status");
  if (!x)
    return tl::unexpected{std::move(x.error())};
  if (x->status != 200)
    return tl::unexpected{stranger(address, x->status)};
  return std::move(x->body);
}

result<void>
ask_for_snapshot(const listen_address& address, const std::string& table) {
  auto x = ask_node(address, "/snapshot", &table);
  if (!x)
    return tl::unexpected{std::move(x.error())};
  if (x->status == 200)
    return {};
  if (x->status != 409)
    return tl::unexpected{stranger(address, x->status)};
  while (!x->body.empty() && x->body.back() == '\n')
    x->body.pop_back();
  return fail(ec::local_failure, std::move(x->body));
}

result<std::string> render_status(std::string_view text) {
  json::error_code err;
  auto value = json::parse({text.data(), text.size()}, err);
  // A status of another version may lack what this one shows.
  if (!err)
    try {
      return render(value);
    } catch (const std::exception&) {
      // nop
    }
  return fail(ec::local_failure, "the answer is not the status of a node of "
                                 "this version; try --json");
}

int status(const configuration& config, bool json_wanted, std::ostream& out,
           std::ostream& err) {
  auto body = fetch_status(config.http);
  if (!body) {
    err << "millrace status: " << body.error().text << "\n";
    return 1;
  }
  if (json_wanted) {
    out << *body;
  } else if (auto text = render_status(*body)) {
    out << *text;
  } else {
    err << "millrace status: " << text.error().text << "\n";
    return 1;
  }
  json::error_code code;
  auto value = json::parse(*body, code);
  const auto* ready = code || !value.is_object()
                        ? nullptr
                        : value.get_object().if_contains("ready");
  return ready != nullptr && ready->is_bool() && ready->get_bool() ? 0 : 1;
}

int take_again(const configuration& config, const std::string& table,
               std::ostream& out, std::ostream& err) {
  if (auto done = ask_for_snapshot(config.http, table); !done) {
    err << "millrace snapshot: " << done.error().text << "\n";
    return 1;
  }
  out << "the node takes " << table << " again\n";
  return 0;
}

} // namespace millrace
