#include "postgres/pgoutput_cursor.hpp"

#include <algorithm>
#include <limits>

namespace millrace::postgres {

namespace {

// Offsets of cells have 32 bits.
constexpr size_t max_text = std::numeric_limits<uint32_t>::max();

} // namespace

void pgoutput_decoder::start_batch() {
  batch_ = std::make_shared<change_batch>();
  batch_->text.reserve(expected_text_);
  batch_->cells.reserve(expected_cells_);
  batch_->changes.reserve(expected_changes_);
  ++batch_number_;
}

change_batch_ptr pgoutput_decoder::take() {
  if (!batch_)
    return nullptr;
  auto result = std::exchange(batch_, nullptr);
  auto with_reserve = [](size_t n) { return n + n / 8; };
  expected_text_ = std::min(with_reserve(result->text.size()), 2 * huge);
  expected_cells_ = with_reserve(result->cells.size());
  expected_changes_ = with_reserve(result->changes.size());
  // Windows count what a batch holds: a small batch after a large one must
  // not hold the memory of the large one.
  if (result->text.capacity() / 4 > result->text.size())
    result->text.shrink_to_fit();
  if (result->cells.capacity() / 4 > result->cells.size())
    result->cells.shrink_to_fit();
  if (result->changes.capacity() / 4 > result->changes.size())
    result->changes.shrink_to_fit();
  return result;
}

change& pgoutput_decoder::add_change(shape& x, operation op) {
  auto& b = *batch_;
  if (transaction_batch_ != batch_number_) {
    transaction_batch_ = batch_number_;
    b.transactions.push_back(transaction_);
  }
  if (x.batch != batch_number_) {
    x.batch = batch_number_;
    x.index = static_cast<uint32_t>(b.tables.size());
    b.tables.push_back(x.table);
  }
  auto& result = b.changes.emplace_back();
  result.table = x.index;
  result.transaction = static_cast<uint32_t>(b.transactions.size() - 1);
  result.op = op;
  if (x.by_ordinal) {
    if (x.transaction != transaction_number_) {
      x.transaction = transaction_number_;
      x.ordinal = 0;
    }
    result.minor = ++x.ordinal;
  } else {
    result.minor = at_.value;
  }
  return result;
}

bool pgoutput_decoder::read_tuple(cursor& in, const shape& x, uint32_t base,
                                  cell* out) {
  if (in.u16() != x.columns || !in.ok)
    return false;
  for (auto* last = out + x.columns; out != last; ++out) {
    switch (in.u8()) {
      case 't': {
        auto size = in.u32();
        // Cannot be negative as a signed value: no message is that long.
        if (!in.has(size))
          return false;
        out->offset = base + static_cast<uint32_t>(in.pos - in.begin);
        out->size = static_cast<int32_t>(size);
        in.pos += size;
        break;
      }
      case 'n':
        *out = {0, cell::null};
        break;
      case 'u':
        *out = {0, cell::unchanged};
        break;
      default: // 'b', binary, was not asked for
        return false;
    }
  }
  return in.ok;
}

bool pgoutput_decoder::key_is_complete(const shape& x, const cell* row) const {
  return std::all_of(x.key.begin(), x.key.end(),
                     [row](auto i) { return row[i].size >= 0; });
}

bool pgoutput_decoder::same_key(const shape& x, const cell* a,
                                const cell* b) const {
  return std::all_of(x.key.begin(), x.key.end(), [&](auto i) {
    return batch_->text_of(a[i]) == batch_->text_of(b[i]);
  });
}

pgoutput_decoder::verdict pgoutput_decoder::row_change(cursor& in, char type) {
  auto oid = in.u32();
  if (!open_)
    return malformed("a row outside of a transaction");
  auto* found = find(oid);
  if (found == nullptr)
    return malformed("a row of a relation that was not announced");
  auto& x = *found;
  if (x.skipped)
    return may_skip(x) ? verdict::more : verdict::again;
  if (!batch_)
    start_batch();
  auto& b = *batch_;
  auto whole = memory_ != nullptr && message_.size() > huge;
  if (b.text.size() + message_.size() > max_text || (whole && rows() > 0))
    return verdict::again;
  auto base = static_cast<uint32_t>(whole ? message_.data() - memory_->data()
                                          : b.text.size());
  if (whole)
    b.text = std::move(*memory_);
  else
    b.text.append(message_);
  auto old = old_row::none;
  auto part = in.u8();
  if (type != 'I' && (part == 'K' || part == 'O')) {
    old = part == 'K' ? old_row::key : old_row::full;
    old_.resize(x.columns);
    if (!read_tuple(in, x, base, old_.data()))
      return malformed("an old row that its relation does not explain");
    if (!key_is_complete(x, old_.data()))
      return malformed("an old row without its key");
    if ((old == old_row::full) != x.table->full_old_rows)
      return malformed("an old row that its replica identity does not have");
    part = type == 'U' ? in.u8() : 0;
  }
  auto at = static_cast<uint32_t>(b.cells.size());
  auto has_unchanged = false;
  if (type != 'D') {
    if (part != 'N')
      return malformed("a change without new row");
    b.cells.resize(at + x.columns);
    auto* row = b.cells.data() + at;
    if (!read_tuple(in, x, base, row))
      return malformed("a row that its relation does not explain");
    for (uint32_t i = 0; i < x.columns; ++i) {
      if (row[i].size != cell::unchanged)
        continue;
      if (old == old_row::full
          || (old == old_row::key && x.table->columns[i].key_position >= 0))
        row[i] = old_[i];
      has_unchanged = has_unchanged || row[i].size == cell::unchanged;
    }
    if (!key_is_complete(x, row))
      return malformed("a row without its key");
    // A TOASTed key brings an old key though it is the same.
    if (old == old_row::key && same_key(x, row, old_.data()))
      old = old_row::none;
  } else if (old == old_row::none) {
    return malformed("a delete without old row");
  }
  if (!in.at_end())
    return malformed("a row with bytes left over");
  auto op = type == 'I'   ? operation::insert
            : type == 'U' ? operation::update
                          : operation::remove;
  if (x.table->identity == table_identity::append_only
      && op != operation::insert)
    return malformed("an update or delete of a table without identity");
  auto& result = add_change(x, op);
  result.old = old;
  if (type != 'D')
    result.row = at;
  if (old != old_row::none) {
    result.old_row_at = static_cast<uint32_t>(b.cells.size());
    b.cells.insert(b.cells.end(), old_.begin(), old_.end());
  }
  if (has_unchanged)
    with_unchanged_.push_back(static_cast<uint32_t>(b.changes.size() - 1));
  return verdict::more;
}

pgoutput_decoder::verdict pgoutput_decoder::truncate(cursor& in) {
  auto n = in.u32();
  in.u8(); // cascade, restart identity: the tables are all named
  auto size = size_t{n} * 4;
  if (!in.has(size) || static_cast<size_t>(in.end - in.pos) != size)
    return malformed("Truncate of wrong length");
  if (!open_)
    return malformed("Truncate outside of a transaction");
  if (rows() > 0)
    return verdict::again;
  auto tables = in;
  for (uint32_t i = 0; i < n; ++i) {
    auto* x = find(tables.u32());
    if (x == nullptr)
      return malformed("Truncate of a relation that was not announced");
    if (x->skipped && !may_skip(*x))
      return verdict::again;
  }
  for (uint32_t i = 0; i < n; ++i) {
    auto* x = find(in.u32());
    if (x->skipped)
      continue;
    if (!batch_)
      start_batch();
    add_change(*x, operation::truncate);
  }
  return rows() > 0 ? verdict::cut : verdict::more;
}

} // namespace millrace::postgres
