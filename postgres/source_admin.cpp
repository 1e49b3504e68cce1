#include "postgres/source_admin.hpp"

#include "postgres/admin_impl.hpp"
#include "postgres/inspection.hpp"
#include "postgres/shapes.hpp"

#include <algorithm>

namespace millrace::postgres {

result<PGconn*> source_admin::impl::session() {
  // A command that failed half way may have left a transaction open.
  if (conn_ != nullptr
      && (PQstatus(conn_.get()) != CONNECTION_OK
          || PQtransactionStatus(conn_.get()) != PQTRANS_IDLE))
    conn_.reset();
  if (conn_ == nullptr) {
    auto fresh = connect(options_, session_kind::ordinary);
    if (!fresh)
      return tl::unexpected{std::move(fresh.error())};
    conn_ = std::move(*fresh);
  }
  return conn_.get();
}

result<rows_ptr> source_admin::impl::ask(const std::string& sql,
                                         const std::vector<std::string>& params,
                                         std::string_view what) {
  // A connection may have died while nobody used it: such a command is asked
  // a second time, on a new one.
  auto had_one = conn_ != nullptr;
  for (;;) {
    auto conn = session();
    if (!conn)
      return tl::unexpected{std::move(conn.error())};
    auto rows = run(*conn, sql, params, what);
    if (rows || !had_one || PQstatus(*conn) == CONNECTION_OK)
      return rows;
    had_one = false;
  }
}

source_admin::source_admin(source_options options)
  : impl_(std::make_unique<impl>(std::move(options))) {
  // nop
}

source_admin::~source_admin() {
  // nop
}

// What is read of a table in several steps belongs together. A failure within
// leaves the transaction open, and that ends the session.
result<PGconn*> source_admin::impl::snapshot_session() {
  auto conn = session();
  if (!conn)
    return conn;
  auto begun = run(*conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                   "cannot look at the catalogue");
  if (!begun)
    return tl::unexpected{std::move(begun.error())};
  return conn;
}

result<void> source_admin::impl::end_snapshot() {
  auto ended = run(conn_.get(), "COMMIT", "cannot look at the catalogue");
  if (!ended)
    return tl::unexpected{std::move(ended.error())};
  return {};
}

result<table_description_ptr>
source_admin::impl::describe(PGconn* conn, const relation& x) {
  auto oid = std::to_string(x.oid);
  auto tables = read_catalogue(conn, "c.oid = " + oid
                                       + " OR c.oid IN (SELECT a.relid FROM "
                                         "pg_partition_ancestors("
                                       + oid + ") a)");
  if (!tables)
    return tl::unexpected{std::move(tables.error())};
  auto i = std::find_if(tables->begin(), tables->end(), [&](const auto& t) {
    return t.description.oid == x.oid;
  });
  catalogue_table gone;
  gone.description.schema = x.schema;
  gone.description.name = x.name;
  if (!is_followed(options_, i != tables->end() ? *i : gone, *tables))
    return table_description_ptr{};
  // Published by its root, a partition's rows come as the root's; its Relation
  // message comes all the same.
  if (i != tables->end() && !i->ancestors.empty()) {
    auto is_member = false;
    for (const auto* suffix : {"", "_inserts"}) {
      auto members = read_members(conn, options_.publication + suffix);
      if (!members)
        return tl::unexpected{std::move(members.error())};
      is_member = is_member || members->count(x.oid) != 0;
    }
    if (!is_member)
      return table_description_ptr{};
  }
  // It is taken in when it gets columns.
  if (i != tables->end() && i->description.columns.empty())
    return table_description_ptr{};
  // It has been dropped since the stream named it, and what the stream still
  // has of it with it.
  if (i == tables->end())
    return table_description_ptr{};
  auto described = describe_as(*i, x);
  if (!described)
    return described;
  std::vector<table_description_ptr> result{std::move(*described)};
  if (auto done = read_shapes(conn, options_, result); !done)
    return tl::unexpected{std::move(done.error())};
  return result.front();
}

result<table_description_ptr> source_admin::describe(const relation& x) {
  auto conn = impl_->snapshot_session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto table = impl_->describe(*conn, x);
  if (auto done = impl_->end_snapshot(); !done && table)
    return tl::unexpected{std::move(done.error())};
  return table;
}

result<std::vector<table_description_ptr>> source_admin::tables() {
  auto conn = impl_->snapshot_session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  auto seen = inspect(*conn, impl_->options_);
  if (!seen)
    return tl::unexpected{std::move(seen.error())};
  auto published = followed(*seen, impl_->options_);
  auto result = to_follow(*seen, impl_->options_);
  for (auto i = published.size(); i < result.size(); ++i) {
    auto description = *result[i];
    description.oid = 0;
    result[i]
      = std::make_shared<const table_description>(std::move(description));
  }
  if (auto done = read_shapes(*conn, impl_->options_, result); !done)
    return tl::unexpected{std::move(done.error())};
  if (auto done = impl_->end_snapshot(); !done)
    return tl::unexpected{std::move(done.error())};
  return result;
}

result<lsn> source_admin::current_position() {
  auto rows = impl_->ask("SELECT pg_current_wal_insert_lsn()", {},
                         "cannot ask for the end of the log");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  return parse_lsn(field(rows->get(), 0, 0)).value_or(lsn{});
}

result<source_admin::slot_state> source_admin::slot() {
  auto conn = impl_->session();
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  const auto& name = impl_->options_.slot;
  auto row = read_slot(*conn, name);
  if (!row)
    return tl::unexpected{std::move(row.error())};
  if (!row->exists)
    return fail(ec::slot_lost, "slot \"" + name + "\" does not exist");
  return slot_state{row->lag, !row->active_pid.empty(), row->wal_status,
                    row->restart};
}

} // namespace millrace::postgres
