#include "postgres/replication_reader.hpp"

#include "postgres/connection.hpp"
#include "postgres/copy_stream.hpp"
#include "postgres/pacing.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace millrace::postgres {

namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr size_t max_batch_bytes = size_t{1} << 30;

uint64_t big_endian(const char* x) {
  uint64_t result;
  std::memcpy(&result, x, 8);
  return __builtin_bswap64(result);
}

void append(std::string& out, uint64_t x) {
  x = __builtin_bswap64(x);
  out.append(reinterpret_cast<const char*>(&x), 8);
}

// Microseconds since 2000-01-01, as the protocol counts.
uint64_t protocol_time() {
  using namespace std::chrono;
  auto now = system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(duration_cast<microseconds>(now).count()
                               - 946'684'800'000'000);
}

class pgoutput_reader final : public replication_reader {
public:
  pgoutput_reader(const source_options& options, conn_ptr conn, lsn start)
    : options_(options), conn_(std::move(conn)), stream_(conn_.get()),
      confirmed_(start), told_(start), server_(start), heard_(clock::now()) {
    // nop
  }

  int fd() const override {
    return PQsocket(conn_.get());
  }

  result<read_outcome> read(const read_limits& limits) override;

  void describe(table_description_ptr table) override {
    decoder_.describe(std::move(table));
  }

  void skip(const relation& x) override {
    decoder_.skip(x.oid);
  }

  result<void> confirm(lsn pos) override;
  result<void> tick() override;

  lsn server_position() const override {
    return server_;
  }

  lsn received() const override {
    return decoder_.received();
  }

private:
  enum class step { more, stop };

  /// Why a status is sent: on our own, as answer, or to get one.
  enum class request { none, answer, ask };

  result<step> take(std::string_view message);
  result<step> keepalive(std::string_view message);
  result<void> send_status(request x);
  failure stream_failure();
  failure broken(std::string text) const;

  source_options options_;
  conn_ptr conn_;
  copy_stream stream_;
  pgoutput_decoder decoder_;

  /// The message at hand has to be given to the decoder again.
  bool pending_ = false;

  /// Highest position that was confirmed, or that the slot had.
  lsn confirmed_;

  /// Highest `complete` that was told, and the one to tell next.
  lsn told_;
  lsn complete_;
  lsn server_;

  clock::time_point heard_;
  clock::time_point asked_;
  clock::time_point sent_;
  bool unsent_ = false;
  failure failure_;
};

result<read_outcome> pgoutput_reader::read(const read_limits& limits) {
  if (failure_.code != ec::none)
    return tl::unexpected{failure_};
  auto max_bytes = std::min(limits.bytes, max_batch_bytes);
  read_outcome result;
  stream_.begin_turn();
  while (decoder_.unknown() == nullptr && decoder_.rows() < limits.rows
         && decoder_.bytes() < max_bytes
         && decoder_.unchanged() < limits.unchanged) {
    if (!pending_) {
      auto state = stream_.next();
      if (state == copy_stream::state::drained) {
        result.drained = true;
        break;
      }
      if (state != copy_stream::state::message) {
        failure_ = stream_failure();
        return tl::unexpected{failure_};
      }
    }
    pending_ = false;
    auto done = take(stream_.message());
    if (!done) {
      failure_ = std::move(done.error());
      return tl::unexpected{failure_};
    }
    if (*done == step::stop)
      break;
  }
  if (!pending_)
    stream_.forget();
  if (stream_.received())
    heard_ = clock::now();
  if (result.drained && limits.gather && decoder_.rows() > 0)
    return result;
  result.batch = decoder_.take();
  result.with_unchanged = decoder_.take_unchanged();
  if (decoder_.unknown() != nullptr)
    result.unknown = *decoder_.unknown();
  complete_ = std::max(complete_, decoder_.last_end());
  if (complete_ > told_)
    result.complete = told_ = complete_;
  return result;
}

result<pgoutput_reader::step> pgoutput_reader::take(std::string_view message) {
  constexpr size_t header = 25; // 'w', start, end, time
  if (message.empty())
    return tl::unexpected{broken("an empty message")};
  if (message[0] == 'k')
    return keepalive(message);
  if (message[0] != 'w' || message.size() < header)
    return tl::unexpected{
      broken("a message that is neither data nor keepalive")};
  lsn at{big_endian(message.data() + 1)};
  server_ = std::max({server_, at, lsn{big_endian(message.data() + 9)}});
  switch (decoder_.decode(at, message.substr(header))) {
    case pgoutput_decoder::verdict::more:
      return step::more;
    case pgoutput_decoder::verdict::again:
      pending_ = true;
      return step::stop;
    case pgoutput_decoder::verdict::malformed:
      return tl::unexpected{decoder_.error()};
    default:
      return step::stop;
  }
}

result<pgoutput_reader::step>
pgoutput_reader::keepalive(std::string_view message) {
  if (message.size() != 18)
    return tl::unexpected{broken("a keepalive of wrong length")};
  lsn end{big_endian(message.data() + 1)};
  server_ = std::max(server_, end);
  // Everything that committed before it has been received; what lies beyond
  // the begin of a transaction that is being received has not.
  if (!decoder_.in_transaction())
    complete_ = std::max(complete_, end);
  if (message[17] != 0)
    if (auto sent = send_status(request::answer); !sent)
      return tl::unexpected{std::move(sent.error())};
  return step::more;
}

result<void> pgoutput_reader::confirm(lsn pos) {
  if (failure_.code != ec::none)
    return tl::unexpected{failure_};
  if (pos <= confirmed_)
    return {};
  confirmed_ = pos;
  unsent_ = true;
  if (clock::now() - sent_ < 100ms)
    return {};
  return send_status(request::none);
}

result<void> pgoutput_reader::tick() {
  if (failure_.code != ec::none)
    return tl::unexpected{failure_};
  auto now = clock::now();
  // While the window is full nobody reads; what waits shows that it lives.
  if (waiting_bytes(fd()) > 0)
    heard_ = now;
  auto silent = now - heard_;
  if (silent >= options_.silence) {
    failure_ = {ec::source_unavailable,
                "nothing came from the source for "
                  + std::to_string(options_.silence.count() / 1000)
                  + " s, replication of slot \"" + options_.slot + "\" ("
                  + describe_peer(conn_.get()) + ") is taken for dead"};
    return tl::unexpected{failure_};
  }
  if (silent >= options_.silence / 2 && asked_ <= heard_) {
    asked_ = now;
    return send_status(request::ask);
  }
  if (now - sent_ >= options_.status_interval
      || (unsent_ && now - sent_ >= 100ms))
    return send_status(request::none);
  if (PQflush(conn_.get()) < 0)
    failure_ = stream_failure();
  if (failure_.code != ec::none)
    return tl::unexpected{failure_};
  return {};
}

result<void> pgoutput_reader::send_status(request x) {
  std::string status = "r";
  status.reserve(34);
  append(status, std::max(server_, confirmed_).value); // written: received
  // A server that shuts down asks, and waits until what it sent is flushed:
  // with a target that is away for ever. Left open, what was written counts;
  // the slot stays where it is.
  auto flushed
    = x == request::answer && confirmed_ < server_ ? lsn{} : confirmed_;
  append(status, flushed.value);
  append(status, flushed.value);
  append(status, protocol_time());
  status += x == request::ask ? '\1' : '\0';
  auto* conn = conn_.get();
  // The connection does not block: at the worst the status leaves with the
  // next tick.
  if (PQputCopyData(conn, status.data(), static_cast<int>(status.size())) < 0
      || PQflush(conn) < 0) {
    failure_ = stream_failure();
    return tl::unexpected{failure_};
  }
  sent_ = clock::now();
  unsent_ = unsent_ && flushed != confirmed_;
  return {};
}

failure pgoutput_reader::broken(std::string text) const {
  return {ec::protocol_violation, "replication of slot \"" + options_.slot
                                    + "\" brought " + std::move(text)
                                    + " after " + to_string(server_)};
}

// The stream has ended: by an error of the server, or with the connection.
failure pgoutput_reader::stream_failure() {
  auto* conn = conn_.get();
  auto what = "replication of slot \"" + options_.slot + "\" stopped after "
              + to_string(server_);
  if (PQsetnonblocking(conn, 0) != 0 || PQstatus(conn) != CONNECTION_OK)
    return server_failure(conn, nullptr, what);
  rows_ptr rows{PQgetResult(conn)};
  if (PQresultStatus(rows.get()) != PGRES_FATAL_ERROR)
    return {ec::source_unavailable, what + ": the server ended the stream"};
  auto result = server_failure(conn, rows.get(), what);
  auto code = sqlstate(rows.get());
  if (code == "42704")
    result.text += "; the publication must exist since before the slot's "
                   "position";
  else if (code == "58P01")
    result.code = ec::slot_lost;
  return result;
}

failure slot_failure(std::string_view slot, const std::string& text,
                     const std::string& advice, ec code) {
  return {code, "slot \"" + std::string{slot} + "\" " + text + "; " + advice};
}

std::string renew_advice(const std::string& slot) {
  return "changes are lost: drop it (SELECT pg_drop_replication_slot("
         + quote_text(slot)
         + ")), then start with a new slot and take the tables again";
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
      "if it was there before, changes are lost: start with a new slot and "
      "take the tables again",
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

failure start_failure(PGconn* conn, const std::string& slot, failure x,
                      std::string_view code) {
  (void)conn;
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

} // namespace

result<std::unique_ptr<replication_reader>>
start_replication(const source_options& options,
                  const std::vector<std::string>& publications, lsn from,
                  const std::vector<table_description_ptr>& known) {
  auto conn = connect(options, session_kind::replication);
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto position = check_slot(conn->get(), options.slot);
  if (!position)
    return tl::unexpected{std::move(position.error())};
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
  rows_ptr rows{PQexec(conn->get(), sql.c_str())};
  if (PQresultStatus(rows.get()) != PGRES_COPY_BOTH)
    return tl::unexpected{
      start_failure(conn->get(), options.slot,
                    server_failure(conn->get(), rows.get(),
                                   "cannot start replication on slot \""
                                     + options.slot + "\""),
                    sqlstate(rows.get()))};
  if (PQsetnonblocking(conn->get(), 1) != 0)
    return tl::unexpected{
      server_failure(conn->get(), nullptr, "cannot start replication")};
  auto result = std::make_unique<pgoutput_reader>(options, std::move(*conn),
                                                  std::max(from, *position));
  for (const auto& x : known)
    result->describe(x);
  return result;
}

} // namespace millrace::postgres
