#pragma once

#include "messages/target_table.hpp"

#include <memory>
#include <string>
#include <vector>

namespace millrace::test {

/// A target table as the mapping would make it. `columns` are name and type;
/// the first `keys` of them are the key.
inline target_table_ptr
make_target(std::string name,
            std::vector<std::pair<std::string, std::string>> columns,
            uint32_t keys, table_identity identity = table_identity::key) {
  auto source = std::make_shared<table_description>();
  source->schema = "public";
  source->name = name;
  source->identity = identity;
  auto out = std::make_shared<target_table>();
  out->name = std::move(name);
  for (uint32_t i = 0; i < columns.size(); ++i) {
    target_column column;
    column.name = columns[i].first;
    column.type = columns[i].second;
    column.source = i;
    column.key = i < keys;
    column_description from;
    from.name = column.name;
    from.key_position = i < keys ? static_cast<int32_t>(i) : -1;
    source->columns.push_back(std::move(from));
    if (i < keys)
      out->order_by.push_back(i);
    out->columns.push_back(std::move(column));
  }
  out->source = std::move(source);
  return out;
}

} // namespace millrace::test
