#pragma once

#include "http/server.hpp"
#include "olap/encoder.hpp"
#include "olap/engine.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace millrace::olap {

/// How a client wants its answer.
struct result_options {
  /// Content encoding of the answer; empty for none.
  std::string encoding;
  int level = 3;

  /// `compress=1`: ClickHouse's compressed blocks.
  bool blocks = false;

  /// Nothing is sent before the query has ended, so that its errors have their
  /// status. Larger results wait in a file of `folder`.
  bool wait_end = false;
  std::string folder;
  std::string version;
};

/// Sends a result as it comes. Holds back the first megabyte, as the server
/// does: an error within it still gets its status and its headers.
class result_writer {
public:
  result_writer(http::response_writer& out, result_options options);
  ~result_writer();

  /// False when the client takes no more.
  bool write(std::string_view bytes);

  /// Ends the answer; `x` becomes the summary if the headers are not out yet.
  bool finish(const counters& x);

  /// Answers an error, or marks it in the middle of the answer.
  void fail(const db_error& error);

private:
  void begin(const counters& x);
  bool spill(std::string_view bytes);
  bool send_spilled();
  bool encode(std::string_view bytes);
  bool flush(bool all);

  http::response_writer& out_;
  result_options options_;
  std::unique_ptr<encoder> blocks_;
  std::unique_ptr<encoder> content_;
  std::chrono::steady_clock::time_point begun_at_;
  std::string tag_;
  std::string held_;
  std::string framed_;
  std::string packed_;
  bool begun_ = false;
  int file_ = -1;
};

/// Value of X-ClickHouse-Summary.
std::string summary_json(const counters& x, std::chrono::nanoseconds elapsed);

/// Answers an error with its status. `blocks`: the client asked for
/// ClickHouse's compressed blocks, and expects the text in one.
void send_error(http::response_writer& out, const db_error& error,
                std::string_view version, bool blocks = false);

} // namespace millrace::olap
