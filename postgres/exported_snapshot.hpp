#pragma once

#include "messages/ec.hpp"
#include "messages/lsn.hpp"
#include "postgres/options.hpp"

#include <memory>
#include <string>

namespace millrace::postgres {

/// A snapshot that exactly the transactions with a commit before `position`
/// are in, for `SET TRANSACTION SNAPSHOT` in other sessions while the holder
/// lives (a replication connection with a temporary slot).
struct exported_snapshot {
  std::string name;
  lsn position;
  std::shared_ptr<void> holder;
};

/// Makes one. Waits for transactions that write; after 20 s, or when no slot
/// is free, a failure that may be tried again (`source_failed`). Blocks.
result<exported_snapshot> export_snapshot(const source_options& options);

} // namespace millrace::postgres
