#include "olap/result_pipe.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace millrace::olap {

namespace {

/// Of the pipe and of one read. A user may have 64 MB in pipes.
constexpr size_t pipe_size = 256 << 10;

} // namespace

std::string
with_outfile(const statement& st, std::string_view format, int descriptor) {
  std::string sql{st.sql.substr(0, st.output_offset)};
  // On a new line: the text may end with a comment.
  sql += "\nINTO OUTFILE '/proc/self/fd/" + std::to_string(descriptor)
         + "' TRUNCATE ";
  if (st.output_offset < st.sql.size())
    sql += st.sql.substr(st.output_offset);
  else
    sql.append("FORMAT ").append(format);
  return sql;
}

bool result_pipe::is_format_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<uint8_t>(c)) != 0 || c == '_';
  });
}

result_pipe::result_pipe(engine_connection& c, const statement& st,
                         std::string_view format, const query_parameters& xs,
                         std::function<void()> cancel)
  : buffer_(new char[pipe_size]), cancel_(std::move(cancel)) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return; // finish() says so
  out_ = http::unique_fd{ends[0]};
  http::unique_fd in{ends[1]};
  ::fcntl(in.get(), F_SETPIPE_SZ, pipe_size); // else it has 64 KB
  auto sql = with_outfile(st, format, in.get());
  thread_ = std::thread{
    [this, &c, &xs, sql = std::move(sql), in = std::move(in)]() mutable {
      answer_ = c.query(sql, "Null", xs);
      in = http::unique_fd{}; // the end of the result
    }};
}

result_pipe::~result_pipe() {
  if (!thread_.joinable())
    return;
  if (!at_end_)
    cancel_();
  out_ = http::unique_fd{}; // ends an engine that waits for us
  thread_.join();
}

std::string_view result_pipe::read() {
  while (!at_end_ && out_.get() >= 0) {
    auto n = ::read(out_.get(), buffer_.get(), pipe_size);
    if (n > 0)
      return {buffer_.get(), static_cast<size_t>(n)};
    at_end_ = n == 0 || errno != EINTR;
  }
  return {};
}

answer result_pipe::finish() {
  if (thread_.joinable())
    thread_.join();
  return std::move(answer_);
}

} // namespace millrace::olap
