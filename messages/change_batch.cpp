#include "messages/change_batch.hpp"

#include <iterator>

namespace millrace {

const char* to_string(operation x) {
  constexpr const char* names[]
    = {"insert", "update", "delete", "read", "truncate"};
  auto i = static_cast<size_t>(x);
  return i < std::size(names) ? names[i] : "unknown";
}

change_batch_ptr slice(const change_batch& x, uint32_t first, uint32_t last) {
  auto result = std::make_shared<change_batch>();
  result->tables = x.tables;
  auto oldest = x.changes[first].transaction;
  auto newest = x.changes[last - 1].transaction;
  result->transactions.assign(x.transactions.begin() + oldest,
                              x.transactions.begin() + newest + 1);
  for (auto i = first; i < last; ++i) {
    auto& y = result->changes.emplace_back(x.changes[i]);
    y.transaction -= oldest;
    for (auto* row : {&y.row, &y.old_row_at}) {
      if (*row == change::no_row)
        continue;
      auto at = static_cast<uint32_t>(result->cells.size());
      const auto* from = x.cells.data() + *row;
      for (size_t c = 0; c < x.tables[y.table]->columns.size(); ++c) {
        auto& to = result->cells.emplace_back(from[c]);
        if (to.size < 0)
          continue;
        to.offset = static_cast<uint32_t>(result->text.size());
        result->text += x.text_of(from[c]);
      }
      *row = at;
    }
  }
  return result;
}

} // namespace millrace
