#pragma once

#include "messages/change_batch.hpp"
#include "messages/ec.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace millrace::postgres {

/// A column as the Relation message names it.
struct relation_column {
  bool key = false;
  std::string name;
  uint32_t type = 0;
  int32_t modifier = -1;

  friend bool operator==(const relation_column&, const relation_column&)
    = default;
};

/// Relation message ('R'): the shape of the rows that follow.
struct relation {
  uint32_t oid = 0;
  std::string schema;
  std::string name;
  /// 'd' default, 'n' nothing, 'f' full, 'i' index.
  char replica_identity = 'd';
  std::vector<relation_column> columns;

  friend bool operator==(const relation&, const relation&) = default;
};

} // namespace millrace::postgres
