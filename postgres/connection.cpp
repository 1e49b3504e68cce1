#include "postgres/connection.hpp"

#include <libpq-events.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <poll.h>

namespace millrace::postgres {

namespace {

using clock = std::chrono::steady_clock;

// Text forms depend on these (docs/types.md); the rest keeps long reads alive.
// Settings that older servers lack follow after the connection is made.
constexpr const char* session_settings
  = "-c DateStyle=ISO,YMD -c IntervalStyle=postgres -c TimeZone=UTC"
    " -c extra_float_digits=1 -c bytea_output=hex -c xmlbinary=base64"
    " -c lc_monetary=C -c quote_all_identifiers=off -c search_path=pg_catalog"
    " -c row_security=off -c statement_timeout=0 -c lock_timeout=5s"
    " -c idle_in_transaction_session_timeout=0 -c jit=off"
    " -c default_transaction_read_only=off"
    " -c default_transaction_isolation=read\\ committed"
    " -c max_parallel_workers_per_gather=0";

using parameters = std::map<std::string, std::string>;

result<parameters> parse(const source_options& options) {
  char* err = nullptr;
  auto* parsed = PQconninfoParse(options.uri.c_str(), &err);
  if (parsed == nullptr) {
    std::string text = err != nullptr ? err : "out of memory";
    PQfreemem(err);
    while (!text.empty() && text.back() == '\n')
      text.pop_back();
    return fail(ec::invalid_configuration,
                "source.uri is not a PostgreSQL connection string: " + text);
  }
  parameters result;
  for (auto* x = parsed; x->keyword != nullptr; ++x)
    if (x->val != nullptr)
      result[x->keyword] = x->val;
  PQconninfoFree(parsed);
  return result;
}

void add_defaults(parameters& xs, const source_options& options,
                  session_kind kind) {
  auto seconds = [](std::chrono::milliseconds x) {
    return std::to_string(std::max<int64_t>(1, x.count() / 1000));
  };
  xs.emplace("connect_timeout", "10");
  xs.emplace("keepalives", "1");
  xs.emplace("keepalives_idle", seconds(options.silence / 3));
  xs.emplace("keepalives_interval", seconds(options.silence / 6));
  xs.emplace("keepalives_count", "3");
  xs.emplace("tcp_user_timeout", std::to_string(options.silence.count()));
  xs.emplace("application_name", "millrace");
  xs["client_encoding"] = "UTF8";
  if (!options.password.empty())
    xs["password"] = options.password;
  // Of two settings of one name the later counts.
  auto& opts = xs["options"];
  opts += opts.empty() ? "" : " ";
  opts += session_settings;
  if (kind == session_kind::replication)
    xs["replication"] = "database";
}

// Finds ":  28P01: " in a verbose message and takes the code out of it.
std::string take_sqlstate(std::string& text) {
  auto is_code = [](std::string_view x) {
    return std::all_of(x.begin(), x.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    });
  };
  for (auto at = text.find(":  "); at != std::string::npos;
       at = text.find(":  ", at + 1)) {
    if (at + 10 > text.size() || text.compare(at + 8, 2, ": ") != 0)
      continue;
    auto code = text.substr(at + 3, 5);
    if (!is_code(code))
      continue;
    text.erase(at + 3, 7);
    return code;
  }
  return {};
}

// What libpq itself says about TLS and passwords stays wrong when repeated.
bool is_refusal(PGconn* conn, std::string_view text) {
  constexpr std::string_view signs[] = {
    "server does not support SSL",
    "certificate",
    "SSL error",
    "sslmode value",
    "private key",
    "root.crt",
    "channel binding",
    "authentication method",
  };
  return PQconnectionNeedsPassword(conn) != 0
         || std::any_of(std::begin(signs), std::end(signs), [&](auto sign) {
              return text.find(sign) != std::string_view::npos;
            });
}

const char* advice(std::string_view code, std::string_view text) {
  if (code == "28P01")
    return "check the user in source.uri and the password: "
           "MILLRACE_SOURCE_PASSWORD, else [source] password-file";
  if (code == "28000")
    return text.find("no encryption") != std::string_view::npos
             ? "the server may want TLS (sslmode=require), or an entry in "
               "pg_hba.conf"
             : "check user and pg_hba.conf";
  if (code == "3D000")
    return "check the database name in source.uri";
  if (code == "42501")
    return "give the role the right: ALTER ROLE ... REPLICATION";
  if (code == "53300")
    return "raise max_wal_senders or max_connections, or end other sessions";
  return nullptr;
}

failure connect_failure(PGconn* conn, bool timed_out, session_kind kind) {
  auto text = one_line(PQerrorMessage(conn));
  auto code = take_sqlstate(text);
  if (timed_out)
    text = "timeout expired";
  else if (text.empty())
    text = "connection failed";
  auto result = ec::source_unavailable;
  if (!code.empty()) {
    result = classify(code);
  } else if (!timed_out && is_refusal(conn, text)) {
    result = ec::source_refused;
  }
  // One host: it is named already.
  constexpr std::string_view prefix = "connection to server ";
  constexpr std::string_view failed = " failed: ";
  if (text.starts_with(prefix) && text.find(prefix, 1) == std::string::npos
      && text.find(failed) != std::string::npos)
    text.erase(0, text.find(failed) + failed.size());
  std::string line = "cannot connect to PostgreSQL (";
  line += describe_peer(conn);
  line += kind == session_kind::replication ? ", replication): " : "): ";
  line += text;
  const auto* what = PQconnectionNeedsPassword(conn) != 0
                       ? "set source.password-file or MILLRACE_SOURCE_PASSWORD"
                       : advice(code, text);
  if (what != nullptr) {
    line += "; ";
    line += what;
  }
  return {result, std::move(line)};
}

using stop_flag = std::shared_ptr<const std::atomic<bool>>;

// A session carries its flag with it.
int keep_flag(PGEventId id, void* info, void*) {
  if (id == PGEVT_CONNDESTROY)
    delete static_cast<stop_flag*>(
      PQinstanceData(static_cast<PGEventConnDestroy*>(info)->conn, keep_flag));
  return 1;
}

void attach(PGconn* conn, const stop_flag& stop) {
  if (stop == nullptr
      || PQregisterEventProc(conn, keep_flag, "millrace", nullptr) == 0)
    return;
  auto copy = std::make_unique<stop_flag>(stop);
  if (PQsetInstanceData(conn, keep_flag, copy.get()) != 0)
    (void)copy.release();
}

enum class attempt { good, bad, late };

attempt drive(PGconn* conn, clock::time_point deadline) {
  auto events = static_cast<short>(POLLOUT);
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - clock::now());
    if (left.count() <= 0)
      return attempt::late;
    if (is_stopped(conn))
      return attempt::late;
    pollfd fds[] = {{PQsocket(conn), events, 0}};
    if (poll(fds, 1, std::min(50, static_cast<int>(left.count()) + 1)) <= 0)
      continue;
    switch (PQconnectPoll(conn)) {
      case PGRES_POLLING_OK:
        return attempt::good;
      case PGRES_POLLING_FAILED:
        return attempt::bad;
      case PGRES_POLLING_READING:
        events = POLLIN;
        break;
      default:
        events = POLLOUT;
    }
  }
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> result{""};
  for (auto c : text)
    if (c == ',')
      result.emplace_back();
    else
      result.back() += c;
  return result;
}

// The same for each host: libpq goes on to the next one after a timeout only
// in a call that cannot be stopped.
std::vector<parameters> by_host(const parameters& xs) {
  size_t hosts = 1;
  for (const auto* key : {"host", "hostaddr"})
    if (auto i = xs.find(key); i != xs.end())
      hosts = std::max(hosts, split(i->second).size());
  std::vector<parameters> result(hosts, xs);
  for (const auto* key : {"host", "hostaddr", "port"}) {
    auto i = xs.find(key);
    if (hosts == 1 || i == xs.end())
      continue;
    auto values = split(i->second);
    for (size_t n = 0; n < hosts; ++n)
      result[n][key] = values.size() == 1  ? values[0]
                       : n < values.size() ? values[n]
                                           : "";
  }
  return result;
}

// Settings that depend on the server.
result<void> finish_settings(PGconn* conn) {
  auto version = PQserverVersion(conn);
  std::string sql;
  if (version >= 140000)
    sql += "SET idle_session_timeout = 0;";
  if (version >= 170000)
    sql += "SET transaction_timeout = 0;";
  // Bytes of no encoding cannot be converted; they are taken as they are.
  const auto* encoding = PQparameterStatus(conn, "server_encoding");
  if (encoding != nullptr && std::strcmp(encoding, "SQL_ASCII") == 0)
    sql += "SET client_encoding = SQL_ASCII;";
  if (!sql.empty()) {
    auto rows = run(conn, sql, "cannot set up the session");
    if (!rows)
      return tl::unexpected{std::move(rows.error())};
  }
  // A command that waits ends soon after we do, so that nothing comes to be
  // that nobody waits for. Some systems cannot.
  if (version >= 140000)
    run(conn, "SET client_connection_check_interval = '1s'", "");
  return {};
}

void ignore_notice(void*, const PGresult*) {
  // nop
}

} // namespace

bool is_stopped(PGconn* conn) {
  const auto* flag
    = static_cast<const stop_flag*>(PQinstanceData(conn, keep_flag));
  return flag != nullptr && (*flag)->load(std::memory_order_relaxed);
}

namespace {

result<conn_ptr> connect_one(parameters& params, const source_options& options,
                             session_kind kind) {
  std::vector<const char*> keys;
  std::vector<const char*> values;
  for (const auto& [key, value] : params) {
    keys.push_back(key.c_str());
    values.push_back(value.c_str());
  }
  keys.push_back(nullptr);
  values.push_back(nullptr);
  // Step by step, because only so the server's SQLSTATE can be asked for.
  conn_ptr conn{PQconnectStartParams(keys.data(), values.data(), 0)};
  if (conn == nullptr)
    return fail(ec::local_failure, "cannot connect to PostgreSQL: no memory");
  if (PQstatus(conn.get()) == CONNECTION_BAD)
    return tl::unexpected{connect_failure(conn.get(), false, kind)};
  PQsetErrorVerbosity(conn.get(), PQERRORS_VERBOSE);
  attach(conn.get(), options.stop);
  auto timeout = std::max(2, std::atoi(params["connect_timeout"].c_str()));
  auto outcome
    = drive(conn.get(), clock::now() + std::chrono::seconds{timeout});
  if (outcome != attempt::good)
    return tl::unexpected{
      connect_failure(conn.get(), outcome == attempt::late, kind)};
  PQsetErrorVerbosity(conn.get(), PQERRORS_DEFAULT);
  PQsetNoticeReceiver(conn.get(), ignore_notice, nullptr);
  if (auto done = finish_settings(conn.get()); !done)
    return tl::unexpected{std::move(done.error())};
  return conn;
}

} // namespace

result<conn_ptr> connect(const source_options& options, session_kind kind) {
  auto params = parse(options);
  if (!params)
    return tl::unexpected{std::move(params.error())};
  add_defaults(*params, options, kind);
  failure all;
  for (auto& host : by_host(*params)) {
    auto conn = connect_one(host, options, kind);
    if (conn)
      return conn;
    auto& x = conn.error();
    // One that may come back is worth another try.
    if (all.code == ec::none || is_fatal(all.code))
      all.code = x.code;
    all.text += (all.text.empty() ? "" : "; ") + x.text;
  }
  return tl::unexpected{std::move(all)};
}

} // namespace millrace::postgres
