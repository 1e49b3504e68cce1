#include "postgres/connection.hpp"

#include <algorithm>
#include <charconv>
#include <poll.h>

namespace millrace::postgres {

std::string one_line(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t'))
      line.remove_prefix(1);
    if (line.empty() || line.starts_with("LOCATION:"))
      continue;
    if (!result.empty())
      result += "; ";
    result += line;
  }
  return result;
}

ec classify(std::string_view code) {
  if (code.starts_with("28") || code == "3D000" || code == "42501"
      || code == "0LP01")
    return ec::source_refused;
  if (code.starts_with("08") || code.starts_with("57P"))
    return ec::source_unavailable;
  if (code == "53400" || code == "42704")
    return ec::source_unsuitable;
  // A relation, column, or schema that is not what it was.
  if (code == "42P01" || code == "42703" || code == "3F000" || code == "42809")
    return ec::table_unsuitable;
  return ec::source_failed;
}

std::string_view sqlstate(const PGresult* rows) {
  const auto* code
    = rows != nullptr ? PQresultErrorField(rows, PG_DIAG_SQLSTATE) : nullptr;
  return code != nullptr ? code : "";
}

failure
server_failure(PGconn* conn, const PGresult* rows, std::string_view what) {
  auto code = sqlstate(rows);
  std::string text{what};
  text += ": ";
  if (code.empty()) {
    auto said = one_line(PQerrorMessage(conn));
    text += said.empty() ? "connection lost" : said;
    return {ec::source_unavailable, std::move(text)};
  }
  text += one_line(PQresultErrorField(rows, PG_DIAG_MESSAGE_PRIMARY));
  if (const auto* x = PQresultErrorField(rows, PG_DIAG_MESSAGE_DETAIL);
      x != nullptr)
    text += " (" + one_line(x) + ")";
  if (const auto* x = PQresultErrorField(rows, PG_DIAG_MESSAGE_HINT);
      x != nullptr)
    text += "; " + one_line(x);
  return {classify(code), std::move(text)};
}

namespace {

// Waits as long as nobody stops the session, and returns the last result.
rows_ptr finish(PGconn* conn) {
  constexpr auto slice = 50; // ms
  rows_ptr last;
  for (;;) {
    while (PQisBusy(conn) != 0) {
      if (is_stopped(conn))
        return nullptr;
      auto sent = PQflush(conn);
      pollfd fds[] = {{PQsocket(conn), POLLIN, 0}};
      if (sent > 0)
        fds[0].events |= POLLOUT;
      if (poll(fds, 1, slice) > 0 && PQconsumeInput(conn) == 0)
        break; // PQgetResult says what happened
    }
    rows_ptr next{PQgetResult(conn)};
    if (next == nullptr)
      return last;
    last = std::move(next);
    auto status = PQresultStatus(last.get());
    if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH
        || PQstatus(conn) != CONNECTION_OK)
      return last;
  }
}

// What a command before may have left.
void clear_results(PGconn* conn) {
  while (rows_ptr rest{PQgetResult(conn)})
    if (PQresultStatus(rest.get()) == PGRES_COPY_OUT
        || PQresultStatus(rest.get()) == PGRES_COPY_BOTH)
      return; // refused by what comes next
}

result<rows_ptr> checked(PGconn* conn, rows_ptr rows, std::string_view what) {
  if (is_stopped(conn))
    return fail(ec::source_unavailable, std::string{what} + ": stopped");
  switch (PQresultStatus(rows.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_BOTH:
    case PGRES_COPY_OUT:
      return rows;
    default:
      return tl::unexpected{server_failure(conn, rows.get(), what)};
  }
}

} // namespace

rows_ptr exec(PGconn* conn, const std::string& sql) {
  clear_results(conn);
  if (PQsendQuery(conn, sql.c_str()) == 0)
    return nullptr;
  return finish(conn);
}

result<rows_ptr>
run(PGconn* conn, const std::string& sql, std::string_view what) {
  return checked(conn, exec(conn, sql), what);
}

result<rows_ptr>
run(PGconn* conn, const std::string& sql,
    const std::vector<std::string>& params, std::string_view what) {
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const auto& x : params)
    values.push_back(x.c_str());
  clear_results(conn);
  auto sent
    = PQsendQueryParams(conn, sql.c_str(), static_cast<int>(values.size()),
                        nullptr, values.data(), nullptr, nullptr, 0);
  return checked(conn, sent != 0 ? finish(conn) : nullptr, what);
}

failure name_lock_holders(PGconn* conn, uint32_t table, failure why) {
  auto rows = run(conn,
                  "SELECT string_agg(coalesce('process ' || l.pid || coalesce("
                  "' (' || nullif(a.application_name, '') || ')', ''),"
                  " 'a prepared transaction'), ', ') FROM pg_locks l"
                  " LEFT JOIN pg_stat_activity a ON a.pid = l.pid"
                  " WHERE l.database = (SELECT oid FROM pg_database"
                  " WHERE datname = current_database()) AND l.relation = "
                    + std::to_string(table)
                    + " AND l.mode = 'AccessExclusiveLock' AND l.granted",
                  "");
  if (rows && PQgetisnull(rows->get(), 0, 0) == 0)
    why.text += "; it is locked by " + std::string{field(rows->get(), 0, 0)};
  return why;
}

std::string describe_peer(PGconn* conn) {
  auto text = [](const char* x) { return std::string{x != nullptr ? x : ""}; };
  auto result = text(PQdb(conn));
  auto host = text(PQhost(conn));
  auto port = text(PQport(conn));
  result += " on " + (host.empty() ? "localhost" : host);
  if (!port.empty())
    result += ":" + port;
  auto user = text(PQuser(conn));
  if (!user.empty())
    result += " as " + user;
  return result;
}

std::string quote_name(std::string_view name) {
  std::string result = "\"";
  for (auto c : name) {
    if (c == '"')
      result += c;
    result += c;
  }
  return result += '"';
}

std::string quote_name(std::string_view schema, std::string_view name) {
  return quote_name(schema) + "." + quote_name(name);
}

std::string quote_text(std::string_view text) {
  // With a backslash only the E form is read alike under all settings.
  auto escaped = text.find('\\') != std::string_view::npos;
  std::string result = escaped ? " E'" : "'";
  for (auto c : text) {
    if (c == '\'' || c == '\\')
      result += c;
    result += c;
  }
  return result += '\'';
}

std::string text_array(const std::vector<std::string>& xs) {
  std::string result = "{";
  for (const auto& x : xs) {
    if (result.size() > 1)
      result += ',';
    result += '"';
    for (auto c : x) {
      if (c == '"' || c == '\\')
        result += '\\';
      result += c;
    }
    result += '"';
  }
  return result += '}';
}

int64_t integer(const PGresult* rows, int row, int column) {
  auto text = field(rows, row, column);
  int64_t result = 0;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

} // namespace millrace::postgres
