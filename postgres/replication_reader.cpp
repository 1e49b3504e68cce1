#include "postgres/replication_reader.hpp"

#include "messages/failure_point.hpp"
#include "postgres/copy_stream.hpp"
#include "postgres/pacing.hpp"
#include "postgres/reader_factory.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>

namespace millrace::postgres {

namespace {

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
  pgoutput_reader(const source_options& options, conn_ptr conn, lsn start,
                  std::function<steady_time()> now, reopen_fun reopen)
    : options_(options), conn_(std::move(conn)), now_(std::move(now)),
      reopen_(std::move(reopen)), stream_(conn_.get()), confirmed_(start),
      told_(start), server_(start), heard_(now_()) {
    // nop
  }

  // What was confirmed last may have been held back for the next status.
  ~pgoutput_reader() override {
    if (unsent_ && failure_.code == ec::none)
      send_status(request::none);
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

  void skip_until(const relation& x, lsn end) override {
    decoder_.skip(x.oid, end);
  }

  result<void> confirm(lsn pos) override;
  result<void> tick() override;

  bool may_renew() const override {
    return reopen_ && stream_->is_bloated() && failure_.code == ec::none
           && !pending_ && !decoder_.in_transaction() && decoder_.rows() == 0
           && decoder_.unknown() == nullptr && confirmed_ >= complete_;
  }

  result<void> renew() override;

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

  result<void> pass(const char* place);
  result<step> take(std::string_view message);
  result<step> keepalive(std::string_view message);
  result<void> send_status(request x);
  failure stream_failure();
  failure broken(std::string text) const;

  source_options options_;
  conn_ptr conn_;
  std::function<steady_time()> now_;
  reopen_fun reopen_;
  std::optional<copy_stream> stream_;
  pgoutput_decoder decoder_;

  /// The message at hand has to be given to the decoder again.
  bool pending_ = false;

  /// Highest position that was confirmed, or that the slot had.
  lsn confirmed_;

  /// Highest `complete` that was told, and the one to tell next.
  lsn told_;
  lsn complete_;
  lsn server_;

  steady_time heard_;
  steady_time asked_;
  steady_time sent_;
  bool unsent_ = false;
  failure failure_;
};

result<read_outcome> pgoutput_reader::read(const read_limits& limits) {
  if (failure_.code != ec::none)
    return tl::unexpected{failure_};
  if (auto passed = pass("receive.before"); !passed)
    return tl::unexpected{std::move(passed.error())};
  auto max_bytes = std::min(limits.bytes, max_batch_bytes);
  read_outcome result;
  stream_->begin_turn();
  while (decoder_.unknown() == nullptr && decoder_.rows() < limits.rows
         && decoder_.bytes() < max_bytes
         && decoder_.unchanged() < limits.unchanged) {
    if (!pending_) {
      auto state = stream_->next();
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
    auto done = take(stream_->message());
    if (!done) {
      failure_ = std::move(done.error());
      return tl::unexpected{failure_};
    }
    if (*done == step::stop)
      break;
  }
  if (auto passed = pass("receive.after"); !passed)
    return tl::unexpected{std::move(passed.error())};
  if (!pending_)
    stream_->forget();
  if (stream_->received())
    heard_ = now_();
  if (result.drained && limits.gather && decoder_.rows() > 0)
    return result;
  result.batch = decoder_.take();
  if (result.batch)
    if (auto passed = pass("decode.after"); !passed)
      return tl::unexpected{std::move(passed.error())};
  result.with_unchanged = decoder_.take_unchanged();
  if (decoder_.unknown() != nullptr)
    result.unknown = *decoder_.unknown();
  complete_ = std::max(complete_, decoder_.last_end());
  if (complete_ > told_)
    result.complete = told_ = complete_;
  return result;
}

// Where tests make it fail.
result<void> pgoutput_reader::pass(const char* place) {
  auto passed = failure_point(place, ec::source_unavailable);
  if (!passed)
    failure_ = passed.error();
  return passed;
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
  if (decoder_.rows() == 0)
    if (auto passed = pass("decode.before"); !passed)
      return tl::unexpected{std::move(passed.error())};
  switch (decoder_.decode(at, message.substr(header), &stream_->memory())) {
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
  if (now_() - sent_ < 100ms)
    return {};
  return send_status(request::none);
}

result<void> pgoutput_reader::tick() {
  if (failure_.code != ec::none)
    return tl::unexpected{failure_};
  auto now = now_();
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

result<void> pgoutput_reader::renew() {
  if (unsent_)
    if (auto sent = send_status(request::none); !sent)
      return sent;
  stream_.reset();
  conn_.reset();
  auto fresh = reopen_(confirmed_);
  if (!fresh) {
    failure_ = std::move(fresh.error());
    return tl::unexpected{failure_};
  }
  conn_ = std::move(*fresh);
  stream_.emplace(conn_.get());
  heard_ = now_();
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
  sent_ = now_();
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

} // namespace

std::unique_ptr<replication_reader>
make_reader(const source_options& options, conn_ptr conn, lsn start,
            std::function<steady_time()> now, reopen_fun reopen) {
  return std::make_unique<pgoutput_reader>(options, std::move(conn), start,
                                           std::move(now), std::move(reopen));
}

} // namespace millrace::postgres
