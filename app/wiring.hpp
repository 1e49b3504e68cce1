#pragma once

#include "actors/supervisor.hpp"
#include "app/configuration.hpp"

namespace millrace {

/// How one run of the configured pipeline is started; the only place that
/// knows all concrete readers and writers.
pipeline_factory
make_pipeline(const configuration& cfg, std::shared_ptr<metrics> numbers);

} // namespace millrace
