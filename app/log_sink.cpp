#include "app/log_sink.hpp"

#include <spdlog/details/log_msg.h>

#include <cerrno>
#include <chrono>
#include <ctime>

namespace millrace {

namespace {

/// ISO 8601 in UTC with milliseconds.
std::string time_text(spdlog::log_clock::time_point x) {
  using namespace std::chrono;
  auto ms = duration_cast<milliseconds>(x.time_since_epoch()).count();
  auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char buf[64];
  auto n = std::strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(buf + n, sizeof(buf) - n, ".%03dZ",
                static_cast<int>(ms % 1000));
  return buf;
}

void append_json(std::string& out, spdlog::string_view_t text) {
  out += '"';
  for (auto c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buf[8];
      std::snprintf(buf, sizeof(buf), "\\u%04x", c);
      out += buf;
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_text(std::string& out, spdlog::string_view_t text) {
  while (text.size() > 0 && text.data()[text.size() - 1] == '\n')
    text = {text.data(), text.size() - 1};
  for (auto c : text)
    if (c == '\n')
      out += " | ";
    else
      out += c;
}

} // namespace

std::string log_line(const spdlog::details::log_msg& msg, bool json) {
  auto level = spdlog::level::to_string_view(msg.level);
  std::string_view name{level.data(), level.size()};
  std::string result;
  if (!json) {
    result = time_text(msg.time) + " ";
    result += name;
    // Levels are told apart at a glance when their ends are in one column.
    result.append(name.size() < 8 ? 8 - name.size() : 1, ' ');
    append_text(result, msg.payload);
    return result;
  }
  result = "{\"time\":\"" + time_text(msg.time) + "\",\"level\":\"";
  result += name;
  result += "\",\"message\":";
  append_json(result, msg.payload);
  return result + "}";
}

log_sink::log_sink(std::string path, bool json)
  : path_(std::move(path)), json_(json) {
  if (path_.empty())
    file_ = stderr;
}

log_sink::~log_sink() {
  if (file_ != nullptr && file_ != stderr)
    std::fclose(file_);
}

int log_sink::reopen() {
  std::lock_guard guard{mutex_};
  if (path_.empty())
    return 0;
  // Appends in one write a line; "e": not for child processes.
  auto* file = std::fopen(path_.c_str(), "ae");
  if (file == nullptr)
    return errno;
  if (file_ != nullptr)
    std::fclose(file_);
  file_ = file;
  return 0;
}

void log_sink::sink_it_(const spdlog::details::log_msg& msg) {
  auto line = log_line(msg, json_) + "\n";
  std::fwrite(line.data(), 1, line.size(), file_);
  std::fflush(file_);
}

void log_sink::flush_() {
  // nop: every line is flushed
}

} // namespace millrace
