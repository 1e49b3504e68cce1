#include "postgres/admin_impl.hpp"
#include "postgres/exported_snapshot.hpp"

#include <algorithm>
#include <limits>

namespace millrace::postgres {

namespace {

// The table itself, or the partitions of a partitioned one.
constexpr const char* leaves_sql
  = "SELECT c.oid, pg_relation_filenode(c.oid),"
    " pg_relation_size(c.oid) / current_setting('block_size')::int,"
    " pg_table_size(c.oid), greatest(c.reltuples, 0)::bigint,"
    " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    " FROM pg_class c WHERE c.relkind = 'r' AND (c.oid = $1::oid OR (SELECT"
    " relkind FROM pg_class WHERE oid = $1::oid) = 'p' AND c.oid IN"
    " (WITH RECURSIVE p(oid) AS (SELECT $1::oid UNION ALL SELECT i.inhrelid"
    " FROM pg_inherits i JOIN p ON i.inhparent = p.oid) SELECT p.oid FROM p))"
    " ORDER BY c.oid";

constexpr const char* exists_sql
  = "SELECT relkind FROM pg_class WHERE oid = $1::oid";

void add_chunks(const PGresult* r, int i, bool partition, bool whole,
                uint64_t chunk_bytes, std::vector<chunk>& out) {
  chunk x;
  if (partition) {
    x.partition = static_cast<uint32_t>(integer(r, i, 0));
    x.filenode = static_cast<uint32_t>(integer(r, i, 1));
  }
  auto pages = static_cast<uint64_t>(integer(r, i, 2));
  auto bytes = static_cast<uint64_t>(integer(r, i, 3));
  // Bytes of a page with what its rows keep elsewhere.
  auto page_bytes = pages > 0 ? std::max<uint64_t>(1, bytes / pages) : 1;
  auto step = std::max<uint64_t>(1, chunk_bytes / page_bytes);
  if (!whole)
    for (auto last = step; last < pages; last += step) {
      x.last = static_cast<uint32_t>(last);
      out.push_back(x);
      x.first = x.last;
    }
  // The last one is open: the table may have grown.
  x.last = 0;
  out.push_back(x);
}

} // namespace

result<snapshot_plan> source_admin::plan(table_description_ptr table, lsn label,
                                         uint64_t chunk_bytes) {
  auto what = "cannot plan the snapshot of " + table->full_name();
  auto oid = std::to_string(table->oid);
  auto kind = impl_->ask(exists_sql, {oid}, what);
  if (!kind)
    return tl::unexpected{std::move(kind.error())};
  if (PQntuples(kind->get()) == 0)
    return fail(ec::table_unsuitable, what + ": it has been dropped");
  auto partitioned = field(kind->get(), 0, 0) == "p";
  // Sizes need a lock, which others must not wait for.
  impl_->ask("SET lock_timeout = '100ms'", {}, what);
  auto rows = impl_->ask(leaves_sql, {oid}, what);
  impl_->ask("RESET lock_timeout", {}, what);
  if (!rows)
    return tl::unexpected{name_lock_holders(impl_->conn_.get(), table->oid,
                                            std::move(rows.error()))};
  snapshot_plan result;
  result.label = label;
  const auto* r = rows->get();
  // Without a key rows are told apart by their place in the one chunk.
  auto whole = table->identity != table_identity::key;
  if (whole) {
    auto snapshot = export_snapshot(impl_->options_);
    if (!snapshot)
      return tl::unexpected{std::move(snapshot.error())};
    // A commit may begin right there. The version is the key, so the rows of
    // the snapshot get one that no commit has: positions are multiples of 8.
    result.label = lsn{snapshot->position.value - 1};
    result.exported = std::move(snapshot->name);
    result.holder = std::move(snapshot->holder);
  }
  for (int i = 0; i < PQntuples(r); ++i) {
    if (!partitioned)
      result.filenode = static_cast<uint32_t>(integer(r, i, 1));
    result.row_estimate += static_cast<uint64_t>(integer(r, i, 4));
    result.committed_at = integer(r, i, 5);
    add_chunks(r, i, partitioned, whole, chunk_bytes, result.chunks);
  }
  result.table = std::move(table);
  return result;
}

namespace {

// A snapshot lists only what runs below its xmax.
result<std::vector<uint64_t>> listed(result<rows_ptr> rows) {
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  std::vector<uint64_t> result;
  auto n = PQntuples(rows->get());
  result.reserve(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i)
    result.push_back(static_cast<uint64_t>(integer(rows->get(), i, 0)));
  return result;
}

constexpr const char* running_sql
  = "SELECT x::text FROM pg_snapshot_xip(pg_current_snapshot()) x";

constexpr const char* running_what = "cannot ask for running transactions";

} // namespace

result<std::vector<uint64_t>> source_admin::running_transactions() {
  // xmax is the last transaction that has ended, and one: younger ones may
  // run, with their commit in the log. One of our own that ends lifts it.
  auto own = impl_->ask("SELECT pg_current_xact_id()", {}, running_what);
  if (!own)
    return tl::unexpected{std::move(own.error())};
  return listed(impl_->ask(running_sql, {}, running_what));
}

result<std::vector<uint64_t>>
source_admin::still_running(const std::vector<uint64_t>& xs) {
  if (xs.empty())
    return std::vector<uint64_t>{};
  auto now = listed(impl_->ask(running_sql, {}, running_what));
  if (!now)
    return now;
  // IDs are not used again: one that is not among them has ended.
  std::erase_if(*now, [&](auto x) {
    return std::find(xs.begin(), xs.end(), x) == xs.end();
  });
  return now;
}

} // namespace millrace::postgres
