#pragma once

#include "app/configuration.hpp"
#include "clickhouse/letter_store.hpp"

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

namespace millrace {

/// What `millrace dlq` does.
enum class dlq_action : uint8_t { list, show, replay, drop };

/// @relates dlq_action
const char* to_string(dlq_action x);

struct dlq_options {
  dlq_action what = dlq_action::list;
  clickhouse::letter_filter filter;
  bool json = false;
};

/// The command `dlq`: lists, shows, replays or drops the open dead letters of
/// the pipeline. Exit code 0 done, 1 a server did not answer, or some could not
/// be replayed.
int dlq(const configuration& config, const dlq_options& options,
        std::ostream& out, std::ostream& err);

} // namespace millrace
