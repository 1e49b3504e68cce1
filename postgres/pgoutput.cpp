#include "postgres/pgoutput.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace millrace::postgres {

namespace {

// Between 1970-01-01 and 2000-01-01, where PostgreSQL begins to count.
constexpr int64_t epoch_offset = 946'684'800'000'000;

// Offsets of cells have 32 bits.
constexpr size_t max_text = std::numeric_limits<uint32_t>::max();

std::string hex(std::string_view bytes) {
  constexpr size_t limit = 512;
  constexpr char digits[] = "0123456789abcdef";
  std::string result;
  for (auto c : bytes.substr(0, limit)) {
    result += digits[static_cast<uint8_t>(c) >> 4];
    result += digits[static_cast<uint8_t>(c) & 15];
  }
  if (bytes.size() > limit)
    result += "... (" + std::to_string(bytes.size()) + " bytes)";
  return result;
}

} // namespace

/// Reads big-endian values; `ok` turns false at the first byte too few.
struct pgoutput_decoder::cursor {
  const char* begin;
  const char* pos;
  const char* end;
  bool ok = true;

  explicit cursor(std::string_view x)
    : begin(x.data()), pos(x.data()), end(x.data() + x.size()) {
    // nop
  }

  bool has(size_t n) {
    ok = ok && static_cast<size_t>(end - pos) >= n;
    return ok;
  }

  uint8_t u8() {
    return has(1) ? static_cast<uint8_t>(*pos++) : 0;
  }

  uint16_t u16() {
    if (!has(2))
      return 0;
    uint16_t x;
    std::memcpy(&x, pos, 2);
    pos += 2;
    return __builtin_bswap16(x);
  }

  uint32_t u32() {
    if (!has(4))
      return 0;
    uint32_t x;
    std::memcpy(&x, pos, 4);
    pos += 4;
    return __builtin_bswap32(x);
  }

  uint64_t u64() {
    if (!has(8))
      return 0;
    uint64_t x;
    std::memcpy(&x, pos, 8);
    pos += 8;
    return __builtin_bswap64(x);
  }

  std::string_view text() {
    const auto* zero
      = ok ? static_cast<const char*>(std::memchr(pos, 0, end - pos)) : nullptr;
    if (zero == nullptr) {
      ok = false;
      return {};
    }
    std::string_view result{pos, static_cast<size_t>(zero - pos)};
    pos = zero + 1;
    return result;
  }

  void pass(size_t n) {
    if (has(n))
      pos += n;
  }

  bool at_end() const {
    return ok && pos == end;
  }
};

bool fits(const relation& x, const table_description& table) {
  auto full = x.replica_identity == 'f';
  if (x.oid != table.oid || x.schema != table.schema || x.name != table.name
      || full != table.full_old_rows
      || x.columns.size() != table.columns.size())
    return false;
  auto keys = 0;
  for (size_t i = 0; i < x.columns.size(); ++i) {
    const auto& a = x.columns[i];
    const auto& b = table.columns[i];
    if (a.name != b.name || a.type != b.type.oid
        || a.modifier != b.type.modifier)
      return false;
    // With FULL every column is flagged, and the key is the primary key.
    if (!full && a.key != (b.key_position >= 0))
      return false;
    keys += b.key_position >= 0 ? 1 : 0;
  }
  switch (table.identity) {
    case table_identity::key:
      return keys > 0;
    case table_identity::full_row:
      return full && keys == 0;
    default:
      return !full && keys == 0;
  }
}

void pgoutput_decoder::use(shape& x) {
  x.skipped = false;
  x.columns = static_cast<uint32_t>(x.table->columns.size());
  x.key = x.table->key_columns();
  x.by_ordinal = x.table->identity != table_identity::key;
  x.batch = 0; // the batch at hand may hold the description before
}

void pgoutput_decoder::describe(table_description_ptr table) {
  auto& x = shapes_[table->oid];
  if (!x.announced || !fits(x.message, *table)) {
    if (unknown_ == &x.message && x.announced)
      error_ = {ec::source_failed, "the description of " + table->full_name()
                                     + " does not fit its Relation message"};
    x.next = std::move(table);
    return;
  }
  x.table = std::move(table);
  use(x);
  if (unknown_ == &x.message)
    unknown_ = nullptr;
}

void pgoutput_decoder::skip(uint32_t oid) {
  auto& x = shapes_[oid];
  x.skipped = true;
  if (unknown_ == &x.message)
    unknown_ = nullptr;
}

pgoutput_decoder::verdict pgoutput_decoder::malformed(std::string why) {
  std::string text = "replication message at " + to_string(at_)
                     + " cannot be read: " + std::move(why);
  text += "; bytes: " + hex(message_);
  error_ = {ec::protocol_violation, std::move(text)};
  return verdict::malformed;
}

pgoutput_decoder::verdict
pgoutput_decoder::decode(lsn at, std::string_view message) {
  at_ = at;
  message_ = message;
  if (error_.code != ec::none)
    return verdict::malformed;
  if (unknown_ != nullptr)
    return verdict::again;
  if (message.empty())
    return malformed("it is empty");
  cursor in{message};
  auto type = static_cast<char>(in.u8());
  switch (type) {
    case 'I':
    case 'U':
    case 'D':
      return row_change(in, type);
    case 'B':
      return begin(in);
    case 'C':
      return commit(in);
    case 'R':
      return relation_message(in);
    case 'T':
      return truncate(in);
    default:
      return other(in, type);
  }
}

pgoutput_decoder::verdict pgoutput_decoder::begin(cursor& in) {
  lsn final{in.u64()};
  auto time = static_cast<int64_t>(in.u64());
  auto xid = in.u32();
  if (!in.at_end())
    return malformed("Begin of wrong length");
  if (open_)
    return malformed("Begin inside a transaction");
  open_ = true;
  transaction_ = {final, time + epoch_offset, xid};
  ++transaction_number_;
  transaction_batch_ = 0;
  received_ = std::max(received_, final);
  return verdict::more;
}

pgoutput_decoder::verdict pgoutput_decoder::commit(cursor& in) {
  in.u8(); // flags, unused
  lsn commit{in.u64()};
  lsn end{in.u64()};
  in.u64(); // time, known from Begin
  if (!in.at_end())
    return malformed("Commit of wrong length");
  if (!open_)
    return malformed("Commit outside of a transaction");
  if (commit != transaction_.commit)
    return malformed("Commit at another position than its Begin said");
  open_ = false;
  last_end_ = std::max(last_end_, end);
  return verdict::more;
}

pgoutput_decoder::verdict pgoutput_decoder::relation_message(cursor& in) {
  relation x;
  x.oid = in.u32();
  auto schema = in.text();
  x.schema = schema.empty() ? "pg_catalog" : std::string{schema};
  x.name = in.text();
  x.replica_identity = static_cast<char>(in.u8());
  auto n = in.u16();
  for (size_t i = 0; i < n && in.ok; ++i) {
    auto& column = x.columns.emplace_back();
    column.key = (in.u8() & 1) != 0;
    column.name = in.text();
    column.type = in.u32();
    column.modifier = static_cast<int32_t>(in.u32());
  }
  if (!in.at_end())
    return malformed("Relation of wrong length");
  if (std::string_view{"dnfi"}.find(x.replica_identity)
      == std::string_view::npos)
    return malformed("Relation with unknown replica identity");
  auto& known = shapes_[x.oid];
  // The server repeats itself after every change of the catalogue.
  if (known.announced && known.message == x)
    return verdict::more;
  known.announced = true;
  known.message = std::move(x);
  known.skipped = false;
  if (known.table && fits(known.message, *known.table))
    return verdict::more;
  known.table = std::exchange(known.next, nullptr);
  if (known.table && fits(known.message, *known.table)) {
    use(known);
    return verdict::more;
  }
  known.table = nullptr;
  unknown_ = &known.message;
  return verdict::unknown;
}

pgoutput_decoder::shape* pgoutput_decoder::find(uint32_t oid) {
  if (last_ != nullptr && last_->message.oid == oid)
    return last_;
  auto i = shapes_.find(oid);
  if (i == shapes_.end() || !i->second.announced)
    return nullptr;
  last_ = &i->second; // references into an unordered_map stay valid
  return last_;
}

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
  expected_text_ = with_reserve(result->text.size());
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
    return verdict::more;
  if (!batch_)
    start_batch();
  auto& b = *batch_;
  if (b.text.size() + message_.size() > max_text)
    return verdict::again;
  auto base = static_cast<uint32_t>(b.text.size());
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
  if (!in.has(size_t{n} * 4) || static_cast<size_t>(in.end - in.pos) != n * 4)
    return malformed("Truncate of wrong length");
  if (!open_)
    return malformed("Truncate outside of a transaction");
  if (rows() > 0)
    return verdict::again;
  for (uint32_t i = 0; i < n; ++i) {
    auto* x = find(in.u32());
    if (x == nullptr)
      return malformed("Truncate of a relation that was not announced");
    if (x->skipped)
      continue;
    if (!batch_)
      start_batch();
    add_change(*x, operation::truncate);
  }
  return rows() > 0 ? verdict::cut : verdict::more;
}

// Nothing of these is needed; but what is not understood must be noticed.
pgoutput_decoder::verdict pgoutput_decoder::other(cursor& in, char type) {
  switch (type) {
    case 'Y': // Type
      in.u32();
      in.text();
      in.text();
      break;
    case 'O': // Origin
      in.u64();
      in.text();
      break;
    case 'M': { // Message of pg_logical_emit_message
      auto flags = in.u8();
      in.u64();
      in.text();
      in.pass(in.u32());
      if (in.ok && (flags & 1) != 0 && !open_)
        return malformed("transactional Message outside of a transaction");
      break;
    }
    default:
      return malformed("unknown type");
  }
  if (!in.at_end())
    return malformed("wrong length");
  return verdict::more;
}

} // namespace millrace::postgres
