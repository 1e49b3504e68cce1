#include "postgres/pgoutput.hpp"

#include "postgres/pgoutput_cursor.hpp"

#include <algorithm>

namespace millrace::postgres {

namespace {

// Between 1970-01-01 and 2000-01-01, where PostgreSQL begins to count.
constexpr int64_t epoch_offset = 946'684'800'000'000;

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
    x.next = std::move(table);
    return;
  }
  // Who has seen it need not look at another one that says the same.
  if (!x.table || *x.table != *table)
    x.table = std::move(table);
  use(x);
  if (unknown_ == &x.message)
    unknown_ = nullptr;
}

void pgoutput_decoder::skip(uint32_t oid, lsn end) {
  auto& x = shapes_[oid];
  x.skipped = true;
  x.skipped_until = end;
  if (unknown_ == &x.message)
    unknown_ = nullptr;
}

// Asks for a description otherwise.
bool pgoutput_decoder::may_skip(shape& x) {
  if (transaction_.commit < x.skipped_until)
    return true;
  x.skipped = false;
  x.table = nullptr;
  x.message.xid = transaction_.xid;
  unknown_ = &x.message;
  return false;
}

pgoutput_decoder::verdict pgoutput_decoder::malformed(std::string why) {
  std::string text = "replication message at " + to_string(at_)
                     + " cannot be read: " + std::move(why);
  text += "; bytes: " + hex(message_);
  error_ = {ec::protocol_violation, std::move(text)};
  return verdict::malformed;
}

pgoutput_decoder::verdict
pgoutput_decoder::decode(lsn at, std::string_view message,
                         text_buffer* memory) {
  at_ = at;
  memory_ = memory;
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
  if (known.announced && known.message == x && known.skipped)
    return verdict::more;
  known.announced = true;
  known.message = std::move(x);
  known.message.xid = transaction_.xid;
  known.skipped = false;
  if (!known.table || !fits(known.message, *known.table))
    known.table = std::exchange(known.next, nullptr);
  // What it does not name may have changed: NOT NULL, types' labels, how the
  // rows of before came to be. So one that fits is asked for all the same.
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
