#include "postgres/chunk_reader.hpp"

#include "postgres/connection.hpp"
#include "postgres/copy_stream.hpp"
#include "postgres/copy_text.hpp"

#include <algorithm>
#include <optional>

namespace millrace::postgres {

namespace {

constexpr size_t max_batch_bytes = size_t{1} << 30;

// A larger row is a batch of its own, which takes the row's memory.
constexpr size_t huge = 1 << 20;

std::string select_list(const table_description& table) {
  std::string result;
  for (const auto& x : table.columns)
    result += (result.empty() ? "" : ", ") + quote_name(x.name);
  return result;
}

std::string condition(const chunk& x, const std::string& filter) {
  auto tid
    = [](uint32_t page) { return "'(" + std::to_string(page) + ",0)'::tid"; };
  std::string result;
  if (x.first > 0)
    result = " WHERE ctid >= " + tid(x.first);
  if (x.last > 0)
    result
      += (result.empty() ? " WHERE ctid < " : " AND ctid < ") + tid(x.last);
  if (!filter.empty())
    result += (result.empty() ? " WHERE (" : " AND (") + filter + ")";
  return result;
}

// What `columns_stamp` says of the columns that were planned, and of those that
// came since with a value for rows from before. Whatever has been altered about
// them shows: rows would be read as what they are not any more.
std::string stamp_sql(const table_description& table) {
  if (!table.shape || !table.shape->is_known())
    return "''";
  return "(SELECT string_agg(a.attnum || ':' || a.xmin, ',' ORDER BY a.attnum)"
         " FROM pg_attribute a WHERE a.attrelid = "
         + std::to_string(table.oid)
         + " AND a.attnum > 0 AND NOT a.attisdropped AND (a.attnum <= "
         + std::to_string(table.shape->columns.back().number)
         + " OR a.atthasmissing))";
}

} // namespace

struct chunk_reader::impl {
  explicit impl(source_options x) : options(std::move(x)) {
    // nop
  }

  result<void> ready();
  result<void> look_up(uint32_t oid);
  result<bool> lock(uint32_t oid, uint32_t filenode);
  failure locked(uint32_t oid, failure why);
  failure unsuitable(std::string why) const;
  result<bool> next_row();
  change_batch_ptr take();
  void start_batch();
  bool append(text_buffer& row);

  source_options options;
  conn_ptr conn;
  std::optional<copy_stream> stream;

  // The chunk at hand.
  table_description_ptr table;
  transaction label;
  std::string subject;
  uint64_t ordinal = 0;
  bool by_ordinal = false;

  /// The stream's row is for the next batch.
  bool held_back = false;

  /// As in the plan.
  std::string exported;
  bool done = true;

  /// Name of the table of the last chunk, quoted.
  uint32_t named = 0;
  std::string name;

  /// Its row filter, as SQL; empty without one.
  std::string filter;

  std::shared_ptr<change_batch> batch;
  size_t expected_text = 0;
  size_t expected_rows = 0;
};

failure chunk_reader::impl::unsuitable(std::string why) const {
  return {ec::table_unsuitable, "cannot read a chunk of " + subject + ": "
                                  + std::move(why)
                                  + "; its snapshot has to be planned again"};
}

// A connection without a transaction of before.
result<void> chunk_reader::impl::ready() {
  if (conn != nullptr && PQstatus(conn.get()) == CONNECTION_OK
      && PQtransactionStatus(conn.get()) == PQTRANS_IDLE)
    return {};
  stream.reset();
  conn.reset();
  auto fresh = connect(options, session_kind::ordinary);
  if (!fresh)
    return tl::unexpected{std::move(fresh.error())};
  conn = std::move(*fresh);
  return {};
}

// The table may have been renamed since it was planned; its OID stays. Of a
// publication with a row filter only what the filter lets through is wanted.
result<void> chunk_reader::impl::look_up(uint32_t oid) {
  auto what = "cannot look at " + subject;
  auto rows = run(conn.get(),
                  "SELECT n.nspname, c.relname FROM pg_class c JOIN "
                  "pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = "
                    + std::to_string(oid) + " AND c.relkind = 'r'",
                  what);
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  if (PQntuples(rows->get()) == 0)
    return tl::unexpected{unsuitable("it is not a table any more")};
  name = quote_name(field(rows->get(), 0, 0), field(rows->get(), 0, 1));
  filter.clear();
  if (PQserverVersion(conn.get()) >= 150000) {
    // Not from pg_publication_tables, which locks all tables of a publication
    // since PostgreSQL 16.
    auto oid_text = std::to_string(table->oid);
    auto names = "(" + quote_text(options.publication) + ", "
                 + quote_text(options.publication + "_inserts") + ")";
    auto filters = run(conn.get(),
                       "SELECT string_agg('(' || pg_get_expr(r.prqual,"
                       " r.prrelid) || ')', ' OR ') FROM pg_publication_rel r"
                       " JOIN pg_publication p ON p.oid = r.prpubid"
                       " WHERE r.prrelid = "
                         + oid_text + " AND p.pubname IN " + names
                         + " HAVING bool_and(r.prqual IS NOT NULL) AND NOT"
                           " EXISTS (SELECT FROM pg_publication_namespace s"
                           " JOIN pg_publication p ON p.oid = s.pnpubid"
                           " JOIN pg_class c ON c.relnamespace = s.pnnspid"
                           " WHERE c.oid = "
                         + oid_text + " AND p.pubname IN " + names + ")",
                       what);
    if (!filters)
      return tl::unexpected{std::move(filters.error())};
    if (PQntuples(filters->get()) > 0)
      filter = field(filters->get(), 0, 0);
  }
  named = oid;
  return {};
}

void chunk_reader::impl::start_batch() {
  batch = std::make_shared<change_batch>();
  batch->tables.push_back(table);
  batch->transactions.push_back(label);
  batch->text.reserve(expected_text);
  batch->changes.reserve(expected_rows);
  batch->cells.reserve(expected_rows * table->columns.size());
}

bool chunk_reader::impl::append(text_buffer& row) {
  auto& b = *batch;
  auto columns = static_cast<uint32_t>(table->columns.size());
  auto at = static_cast<uint32_t>(b.cells.size());
  b.cells.resize(at + columns);
  auto* cells = b.cells.data() + at;
  if (row.size() > huge && b.text.empty()) {
    b.text = std::move(row);
    if (!read_copy_row(columns, b.text, cells))
      return false;
  } else if (!append_copy_row(row, columns, b.text, cells)) {
    return false;
  }
  auto& x = b.changes.emplace_back();
  x.row = at;
  x.op = operation::read;
  ++ordinal;
  if (by_ordinal)
    x.minor = ordinal;
  return true;
}

change_batch_ptr chunk_reader::impl::take() {
  if (!batch)
    return nullptr;
  expected_text
    = std::min(batch->text.size() + batch->text.size() / 8, 2 * huge);
  expected_rows = batch->changes.size();
  return std::exchange(batch, nullptr);
}

chunk_reader::chunk_reader(source_options options)
  : impl_(std::make_unique<impl>(std::move(options))) {
  // nop
}

chunk_reader::~chunk_reader() {
  // nop
}

int chunk_reader::fd() const {
  return PQsocket(impl_->conn.get());
}

// Only an exclusive lock holds off the one that reading takes.
failure chunk_reader::impl::locked(uint32_t oid, failure why) {
  if (why.code != ec::source_failed)
    return why;
  run(conn.get(), "ROLLBACK", "");
  return name_lock_holders(conn.get(), oid, std::move(why));
}

// Opens the chunk's transaction; false when the table has another name or
// filenode than expected.
result<bool> chunk_reader::impl::lock(uint32_t oid, uint32_t filenode) {
  auto what = "cannot read a chunk of " + subject;
  std::string begin = exported.empty()
                        ? "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;"
                        : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                          " SET TRANSACTION SNAPSHOT "
                            + quote_text(exported) + ";";
  // The lock first, then the look: from then on nobody rewrites the table.
  auto rows = run(conn.get(),
                  begin
                    + " SET LOCAL lock_timeout = '100ms';"
                      " LOCK TABLE ONLY "
                    + name
                    + " IN ACCESS SHARE MODE;"
                      " SELECT pg_relation_filenode(c.oid), "
                    + stamp_sql(*table)
                    + " FROM pg_class c"
                      " WHERE c.oid = to_regclass("
                    + quote_text(name) + ") AND c.oid = " + std::to_string(oid),
                  what);
  if (!rows && rows.error().code != ec::table_unsuitable)
    return tl::unexpected{locked(oid, std::move(rows.error()))};
  auto stamp = table->shape ? columns_stamp(*table->shape) : std::string{};
  if (rows && PQntuples(rows->get()) == 1
      && integer(rows->get(), 0, 0) == static_cast<int64_t>(filenode)
      && field(rows->get(), 0, 1) == stamp)
    return true;
  run(conn.get(), "ROLLBACK", what);
  return false;
}

result<void> chunk_reader::start(const snapshot_plan& plan, const chunk& x) {
  auto& self = *impl_;
  self.table = plan.table;
  self.label = {plan.label, plan.committed_at, 0};
  self.by_ordinal = plan.table->identity != table_identity::key;
  self.exported = plan.exported;
  // Without a key each partition is one chunk; its rows are told from those of
  // the others by its place in the plan.
  auto same = [&](const chunk& y) { return y.partition == x.partition; };
  auto place = std::find_if(plan.chunks.begin(), plan.chunks.end(), same)
               - plan.chunks.begin();
  self.ordinal = static_cast<uint64_t>(place) << 40;
  self.done = true;
  self.held_back = false;
  self.batch = nullptr;
  self.subject = plan.table->full_name();
  auto oid = x.partition != 0 ? x.partition : plan.table->oid;
  auto filenode = x.filenode != 0 ? x.filenode : plan.filenode;
  // The first try may be in vain because the connection died while nobody
  // used it, or because the table was renamed.
  for (auto again = self.named != 0;; again = false) {
    if (auto good = self.ready(); !good)
      return good;
    auto retry = [&] {
      self.named = 0;
      return again;
    };
    if (self.named != oid) {
      auto found = self.look_up(oid);
      if (!found) {
        if (PQstatus(self.conn.get()) != CONNECTION_OK && retry())
          continue;
        return found;
      }
    }
    auto locked = self.lock(oid, filenode);
    if (locked && *locked)
      break;
    if (locked) {
      if (!retry())
        return tl::unexpected{
          self.unsuitable("it has been altered, rewritten or replaced")};
    } else if (PQstatus(self.conn.get()) == CONNECTION_OK || !retry()) {
      return tl::unexpected{std::move(locked.error())};
    }
  }
  auto copy = run(self.conn.get(),
                  "COPY (SELECT " + select_list(*plan.table) + " FROM ONLY "
                    + self.name + condition(x, self.filter) + ") TO STDOUT",
                  "cannot read a chunk of " + self.subject);
  if (!copy)
    return tl::unexpected{std::move(copy.error())};
  self.stream.emplace(self.conn.get());
  self.done = false;
  return {};
}

result<chunk_reader::outcome> chunk_reader::read(const read_limits& limits) {
  auto& self = *impl_;
  auto max_bytes = std::min(limits.bytes, max_batch_bytes);
  outcome result;
  result.done = self.done;
  if (self.done)
    return result;
  self.stream->begin_turn();
  self.start_batch();
  while (self.batch->changes.size() < limits.rows
         && self.batch->text.size() < max_bytes) {
    auto state = std::exchange(self.held_back, false)
                   ? copy_stream::state::message
                   : self.stream->next();
    if (state == copy_stream::state::message) {
      self.held_back
        = self.stream->message().size() > huge && !self.batch->changes.empty();
      if (self.held_back)
        break;
      if (!self.append(self.stream->memory()))
        return fail(ec::protocol_violation,
                    "a row of " + self.subject
                      + " does not have the columns that were asked for");
      continue;
    }
    if (state == copy_stream::state::drained) {
      result.drained = true;
      break;
    }
    auto what = "reading " + self.subject + " stopped";
    auto* conn = self.conn.get();
    rows_ptr rows{state == copy_stream::state::ended ? PQgetResult(conn)
                                                     : nullptr};
    if (PQresultStatus(rows.get()) != PGRES_COMMAND_OK) {
      self.batch = nullptr;
      return tl::unexpected{server_failure(conn, rows.get(), what)};
    }
    while (rows != nullptr)
      rows.reset(PQgetResult(conn));
    result.done = self.done = true;
    break;
  }
  if (!self.held_back)
    self.stream->forget();
  if (self.batch->changes.empty())
    self.batch = nullptr;
  result.batch = self.take();
  return result;
}

void chunk_reader::abandon() {
  auto& self = *impl_;
  self.stream.reset();
  self.conn.reset();
  self.batch = nullptr;
  self.done = true;
}

result<void> chunk_reader::finish() {
  auto rows = run(impl_->conn.get(), "COMMIT",
                  "cannot end the chunk of " + impl_->subject);
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  if (impl_->stream && impl_->stream->is_bloated()) {
    impl_->stream.reset();
    impl_->conn.reset();
  }
  return {};
}

} // namespace millrace::postgres
