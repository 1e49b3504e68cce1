#include "actors/capture_early.hpp"

#include <algorithm>

namespace millrace {

namespace {

// Changes of the table with a commit before this position are in its snapshot.
lsn end_of_snapshot(const capture_state& st, const table_description& table) {
  if (table.identity != table_identity::append_only)
    return {};
  auto i = st.tables.find(table.full_name());
  if (i == st.tables.end() || i->second.at != table_state::phase::streaming
      || i->second.fill_until == lsn{UINT64_MAX})
    return {};
  return i->second.fill_until;
}

} // namespace

void drop_early(const capture_state& st, postgres::read_outcome& x) {
  const auto& batch = *x.batch;
  std::vector<lsn> ends;
  ends.reserve(batch.tables.size());
  for (const auto& table : batch.tables)
    ends.push_back(end_of_snapshot(st, *table));
  auto last = *std::max_element(ends.begin(), ends.end());
  if (batch.transactions.front().commit >= last)
    return;
  auto is_early = [&](const change& c) {
    return batch.transactions[c.transaction].commit < ends[c.table];
  };
  auto rest = std::make_shared<change_batch>(batch);
  rest->changes.clear();
  std::vector<uint32_t> unchanged;
  for (uint32_t i = 0; i < batch.changes.size(); ++i) {
    if (is_early(batch.changes[i]))
      continue;
    if (std::binary_search(x.with_unchanged.begin(), x.with_unchanged.end(), i))
      unchanged.push_back(static_cast<uint32_t>(rest->changes.size()));
    rest->changes.push_back(batch.changes[i]);
  }
  if (rest->changes.size() == batch.changes.size())
    return;
  x.with_unchanged = std::move(unchanged);
  x.batch = std::move(rest);
}

} // namespace millrace
