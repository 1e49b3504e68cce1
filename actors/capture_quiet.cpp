#include "actors/capture_quiet.hpp"

#include "actors/capture_tables.hpp"

namespace millrace {

result<table_states_ptr> quiet_tables(const capture_state& st) {
  // Until then the state may be another node's.
  if (!st.reader || st.stopping)
    return fail(ec::source_unavailable, "the node does not stream");
  auto out = std::make_shared<std::map<std::string, table_state>>();
  for (const auto& [name, x] : st.tables)
    if (x.at == table_state::phase::streaming && st.snapshots.count(name) == 0
        && !is_quarantined(st, name))
      out->emplace(name, x);
  return table_states_ptr{std::move(out)};
}

} // namespace millrace
