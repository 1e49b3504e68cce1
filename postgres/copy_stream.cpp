#include "postgres/copy_stream.hpp"

#include "postgres/pacing.hpp"

namespace millrace::postgres {

namespace {

// A TLS or GSS record (16 KB) is taken out of the wrapper's buffer in at most
// so many reads; the socket does not show what is left in there.
constexpr int reads_per_record = 3;

} // namespace

copy_stream::copy_stream(PGconn* conn)
  : conn_(conn), wrapped_(PQsslInUse(conn) != 0 || PQgssEncInUse(conn) != 0) {
  // nop
}

// Whether it is worth while to look for a message again.
bool copy_stream::consume() {
  auto waiting = waiting_bytes(PQsocket(conn_));
  if (wrapped_) {
    dry_ = waiting == 0 ? dry_ + 1 : 0;
    if (dry_ > reads_per_record && !fresh_)
      return false;
  } else if (!fresh_ && waiting < worth_reading) {
    return false;
  }
  received_ = received_ || waiting > 0;
  fresh_ = false;
  broken_ = PQconsumeInput(conn_) == 0;
  return true;
}

copy_stream::state copy_stream::next() {
  forget(); // before libpq makes the next one
  for (;;) {
    char* raw = nullptr;
    auto n = PQgetCopyData(conn_, &raw, 1);
    if (n > 0) {
      // PQfreemem is `free` here.
      buf_.adopt(raw, static_cast<size_t>(n));
      bloated_ = bloated_ || buf_.size() > huge;
      return state::message;
    }
    if (n == -1)
      return state::ended;
    if (n < -1 || broken_)
      return state::broken;
    if (!consume())
      return state::drained;
  }
}

} // namespace millrace::postgres
