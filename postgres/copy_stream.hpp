#pragma once

#include "messages/ec.hpp"
#include "messages/text_buffer.hpp"
#include "postgres/connection.hpp"

#include <string_view>
#include <utility>

namespace millrace::postgres {

/// The messages of a COPY, without blocking and in as few reads as possible.
class copy_stream {
public:
  explicit copy_stream(PGconn* conn);

  /// To be called once before the messages of a turn are read.
  void begin_turn() {
    fresh_ = true;
    dry_ = 0;
  }

  enum class state { message, drained, ended, broken };

  /// Moves on to the next message. `drained`: wait until the socket is
  /// readable. `ended`: the server has finished; ask for its result.
  state next();

  /// Valid until the next call.
  std::string_view message() const {
    return buf_;
  }

  /// The message's memory, for whoever wants to have it; it is empty then.
  text_buffer& memory() {
    return buf_;
  }

  /// Lets go of a large message that is not needed any more.
  void forget() {
    if (buf_.size() > large)
      buf_ = text_buffer{};
  }

  /// Whether a message was so large that the connection's buffer, which never
  /// shrinks, is better given back with the connection.
  bool is_bloated() const {
    return bloated_;
  }

  /// Whether bytes came in since the last call.
  bool received() {
    return std::exchange(received_, false);
  }

private:
  bool consume();

  static constexpr size_t large = 1 << 20;
  static constexpr size_t huge = 16 << 20;

  PGconn* conn_;
  bool wrapped_;
  bool fresh_ = true;
  bool broken_ = false;
  bool received_ = false;
  bool bloated_ = false;
  int dry_ = 0;
  text_buffer buf_;
};

} // namespace millrace::postgres
