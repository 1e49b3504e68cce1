#pragma once

#include <spdlog/sinks/base_sink.h>

#include <cstdio>
#include <mutex>
#include <string>

namespace millrace {

/// Writes each event as one line, text or JSON, to standard error or a file.
/// A line is with the kernel when the call returns.
class log_sink : public spdlog::sinks::base_sink<std::mutex> {
public:
  /// Empty `path`: standard error. Not open yet: `reopen` does that.
  log_sink(std::string path, bool json);

  ~log_sink() override;

  /// Opens the file, again when it was open: what log rotation needs. On
  /// failure the old file stays in use. Returns 0 or the system's error code.
  int reopen();

protected:
  void sink_it_(const spdlog::details::log_msg& msg) override;

  void flush_() override;

private:
  std::string path_;
  bool json_;
  std::FILE* file_ = nullptr;
};

/// The line without its end. Line ends inside the message become ` | ` in text.
std::string log_line(const spdlog::details::log_msg& msg, bool json);

} // namespace millrace
