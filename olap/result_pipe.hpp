#pragma once

#include "http/socket.hpp"
#include "olap/engine.hpp"
#include "olap/statement.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace millrace::olap {

/// The result of a SELECT as the engine writes it, in its format, through a
/// pipe: the statement gets an INTO OUTFILE. So every format comes as a whole,
/// with names, totals and statistics, and the engine waits for a slow reader
/// instead of collecting. (libchdb's own streaming makes a document of every
/// block.) Belongs to one thread.
///
///     while (auto piece = pipe.read(); !piece.empty()) ...
///     auto end = pipe.finish();
class result_pipe {
public:
  /// Starts the statement in a thread of its own. `cancel` ends it in the
  /// engine, at once or soon; it is called when reading ends early.
  /// The connection must outlive this.
  result_pipe(engine_connection& c, const statement& st,
              std::string_view format, const query_parameters& xs,
              std::function<void()> cancel);
  result_pipe(const result_pipe&) = delete;

  /// Cancels what was not read, waits until the engine has ended.
  ~result_pipe();

  /// Next piece, valid until the next call; empty at the end.
  std::string_view read();

  /// After the end: counters, or the error that ended the result.
  answer finish();

  /// Whether a format's name can be written into a statement.
  static bool is_format_name(std::string_view name);

private:
  http::unique_fd out_;
  std::unique_ptr<char[]> buffer_;
  std::function<void()> cancel_;
  bool at_end_ = false;
  answer answer_;
  std::thread thread_;
};

/// `st` with `INTO OUTFILE` for a descriptor of this process, and FORMAT if it
/// has none.
std::string
with_outfile(const statement& st, std::string_view format, int descriptor);

} // namespace millrace::olap
