#pragma once

#include "app/configuration.hpp"
#include "clickhouse/letter_store.hpp"

#include <string>
#include <vector>

namespace millrace {

/// What became of dead letters.
struct replay_outcome {
  std::vector<clickhouse::stored_letter> replayed;

  /// Something newer of the key has been written.
  std::vector<clickhouse::stored_letter> superseded;

  /// Those that still cannot be written, and why.
  std::vector<std::pair<clickhouse::stored_letter, std::string>> left;
};

/// Writes each change under its own version, so that nothing newer is lost;
/// what it left out is looked up in the target. In order, which must be by
/// version. Safe beside a running node, and safe to repeat. Failure: a server
/// could not be asked; what was written until then is in `to`.
result<void> replay(const configuration& config,
                    const std::vector<clickhouse::stored_letter>& letters,
                    replay_outcome& to);

} // namespace millrace
