#pragma once

#include "app/configuration.hpp"
#include "messages/ec.hpp"

namespace millrace {

/// Makes spdlog's default logger write as the user wants. Call once, before
/// the first thread. `local_failure` when the file cannot be opened.
result<void> set_up_logging(const log_options& options);

/// Opens the log file again (SIGHUP, after a rotation); a failure is logged
/// and the old file stays in use. Nothing happens without a log file.
void reopen_log();

} // namespace millrace
