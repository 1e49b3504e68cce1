#include "postgres/advice.hpp"
#include "postgres/pacing.hpp"
#include "postgres/reader_factory.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace millrace::postgres {

namespace {

failure slot_failure(std::string_view slot, const std::string& text,
                     const std::string& advice, ec code) {
  return {code, "slot \"" + std::string{slot} + "\" " + text + "; " + advice};
}

std::string renew_advice(const std::string& slot) {
  return "changes are lost; " + take_all_again(slot);
}

// Looks at the slot, so that the usual reasons get a message of their own.
// Returns its position.
result<lsn> check_slot(PGconn* conn, const std::string& slot) {
  auto rows = run(conn,
                  "SELECT coalesce(plugin, ''), coalesce(database, ''), "
                  "active_pid, confirmed_flush_lsn, coalesce(wal_status, ''), "
                  "current_database() FROM pg_replication_slots "
                  "WHERE slot_name = "
                    + quote_text(slot),
                  "cannot look at slot \"" + slot + "\"");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  const auto* r = rows->get();
  if (PQntuples(r) == 0)
    return tl::unexpected{slot_failure(
      slot, "does not exist",
      "if it was there before, changes are lost; " + take_all_again(slot),
      ec::slot_lost)};
  if (field(r, 0, 0) != "pgoutput")
    return tl::unexpected{slot_failure(
      slot, "has plugin \"" + std::string{field(r, 0, 0)} + "\"",
      "millrace needs pgoutput: name another slot", ec::slot_lost)};
  if (field(r, 0, 1) != field(r, 0, 5))
    return tl::unexpected{slot_failure(
      slot, "belongs to database \"" + std::string{field(r, 0, 1)} + "\"",
      "name another slot", ec::source_unsuitable)};
  if (field(r, 0, 4) == "lost")
    return tl::unexpected{
      slot_failure(slot, "was invalidated, the WAL it needs is gone",
                   renew_advice(slot), ec::slot_lost)};
  if (PQgetisnull(r, 0, 2) == 0)
    return tl::unexpected{slot_failure(
      slot, "is in use by process " + std::string{field(r, 0, 2)},
      "another node may be running; waiting until it lets go", ec::slot_busy)};
  return parse_lsn(field(r, 0, 3)).value_or(lsn{});
}

failure
start_failure(const std::string& slot, failure x, std::string_view code) {
  if (code == "55006")
    x.code = ec::slot_busy;
  else if (code == "42704" || code == "58P01")
    x.code = ec::slot_lost;
  else if (code == "55000")
    x.code = x.text.find("wal_level") != std::string::npos
               ? ec::source_unsuitable
               : ec::slot_lost;
  if (x.code == ec::slot_lost)
    x.text += "; " + renew_advice(slot);
  return x;
}

struct open_stream {
  conn_ptr conn;
  lsn start;
};

result<open_stream>
open(const source_options& options,
     const std::vector<std::string>& publications, lsn from) {
  auto conn = connect(options, session_kind::replication);
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto position = check_slot(conn->get(), options.slot);
  if (!position)
    return tl::unexpected{std::move(position.error())};
  from = std::max(from, *position);
  std::string names;
  for (const auto& x : publications)
    names += (names.empty() ? "" : ",") + quote_name(x);
  // The replication grammar knows no E'' strings; names of publications have
  // no escapes of their own but quotes.
  std::string literal = "'";
  for (auto c : names)
    literal.append(c == '\'' ? 2 : 1, c);
  literal += '\'';
  auto sql = "START_REPLICATION SLOT " + quote_name(options.slot) + " LOGICAL "
             + to_string(from) + " (proto_version '1', publication_names "
             + literal + ")";
  auto rows = exec(conn->get(), sql);
  if (PQresultStatus(rows.get()) != PGRES_COPY_BOTH)
    return tl::unexpected{
      start_failure(options.slot,
                    server_failure(conn->get(), rows.get(),
                                   "cannot start replication on slot \""
                                     + options.slot + "\""),
                    sqlstate(rows.get()))};
  narrow_window(PQsocket(conn->get()));
  if (PQsetnonblocking(conn->get(), 1) != 0)
    return tl::unexpected{
      server_failure(conn->get(), nullptr, "cannot start replication")};
  return open_stream{std::move(*conn), from};
}

// The server needs a moment to let go of the slot that we have just left.
result<conn_ptr>
reopen(const source_options& options,
       const std::vector<std::string>& publications, lsn from) {
  constexpr auto patience = 100;
  for (auto tries = 0;; ++tries) {
    auto stream = open(options, publications, from);
    if (stream)
      return std::move(stream->conn);
    auto stopped = options.stop && *options.stop;
    if (stream.error().code != ec::slot_busy || tries == patience || stopped)
      return tl::unexpected{std::move(stream.error())};
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

} // namespace

result<std::unique_ptr<replication_reader>>
start_replication(const source_options& options,
                  const std::vector<std::string>& publications, lsn from,
                  const std::vector<table_description_ptr>& known) {
  auto stream = open(options, publications, from);
  if (!stream)
    return tl::unexpected{std::move(stream.error())};
  auto result = make_reader(options, std::move(stream->conn), stream->start,
                            std::chrono::steady_clock::now,
                            [options, publications](lsn at) {
                              return reopen(options, publications, at);
                            });
  for (const auto& x : known)
    result->describe(x);
  return result;
}

} // namespace millrace::postgres
