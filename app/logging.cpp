#include "app/logging.hpp"

#include "app/log_sink.hpp"

#include <spdlog/spdlog.h>

#include <cstring>
#include <memory>

namespace millrace {

namespace {

std::shared_ptr<log_sink> current;

} // namespace

result<void> set_up_logging(const log_options& options) {
  auto sink = std::make_shared<log_sink>(options.file, options.json);
  if (auto err = sink->reopen(); err != 0)
    return fail(ec::local_failure, "cannot open the log file \"" + options.file
                                     + "\": " + std::strerror(err)
                                     + "; see millrace.log-file");
  auto logger = std::make_shared<spdlog::logger>("millrace", sink);
  logger->set_level(spdlog::level::from_str(options.level));
  spdlog::set_default_logger(logger);
  current = sink;
  return {};
}

void reopen_log() {
  if (current == nullptr)
    return;
  if (auto err = current->reopen(); err != 0)
    spdlog::error("cannot open the log file again: {}", std::strerror(err));
}

} // namespace millrace
