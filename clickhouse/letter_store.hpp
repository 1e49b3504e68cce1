#pragma once

#include "clickhouse/options.hpp"
#include "messages/ec.hpp"
#include "messages/row_block.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::clickhouse {

/// A dead letter as the target has it.
struct stored_letter {
  dead_letter letter;

  /// When it was put aside, as text in UTC.
  std::string time;
};

/// Which dead letters; empty: all.
struct letter_filter {
  /// `schema.name` of the source table.
  std::string table;

  /// Those that were put aside then or later, in any form that ClickHouse
  /// reads; UTC unless it says otherwise.
  std::string since;
};

/// The dead letters of a pipeline, for whoever deals with them. Calls block;
/// one thread at a time.
class letter_store {
public:
  letter_store(target_options options, std::string pipeline);
  ~letter_store();
  letter_store(const letter_store&) = delete;

  /// Open ones by table and version; none when there is no table of them.
  result<std::vector<stored_letter>> open(const letter_filter& filter);

  /// Marks them as dealt with. They stay in the table under `resolution`.
  result<void>
  resolve(const std::vector<stored_letter>& xs, std::string_view resolution);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace millrace::clickhouse
