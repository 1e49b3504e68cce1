#include "postgres/inspection.hpp"

#include "postgres/patterns.hpp"

#include <algorithm>

namespace millrace::postgres {

namespace {

result<void> read_server(PGconn* conn, inspection& x) {
  auto rows
    = run(conn,
          "SELECT pg_is_in_recovery(), current_user, current_database(),"
          " current_setting('wal_level'),"
          " (SELECT count(*) FROM pg_replication_slots),"
          " current_setting('max_replication_slots'),"
          " has_database_privilege(current_database(), 'CREATE')",
          "cannot look at the server");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  const auto* r = rows->get();
  x.in_recovery = is_true(r, 0, 0);
  x.role = field(r, 0, 1);
  x.database = field(r, 0, 2);
  x.wal_level = field(r, 0, 3);
  x.slots_used = integer(r, 0, 4);
  x.slots_max = integer(r, 0, 5);
  x.may_create = is_true(r, 0, 6);
  return {};
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    auto end = std::min(text.find('\1'), text.size());
    result.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

// What pg_publication_tables says; but that locks all tables of the publication
// since PostgreSQL 16, and one that is locked would hold up all others.
std::string members_sql(int version) {
  auto lists = version >= 150000;
  std::string listed
    = "SELECT r.prrelid AS relid FROM pg_publication_rel r"
      " JOIN pub ON pub.oid = r.prpubid"
      " UNION SELECT c.oid FROM pub JOIN pg_class c ON pub.puballtables"
      " AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'"
      // Those of initdb are not published.
      " AND c.oid >= 16384";
  if (lists)
    listed += " UNION SELECT c.oid FROM pg_publication_namespace s"
              " JOIN pub ON pub.oid = s.pnpubid"
              " JOIN pg_class c ON c.relnamespace = s.pnnspid"
              " AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'";
  // By the root: the topmost tables that are named. Else the leaves of all.
  std::string names
    = lists ? "coalesce((SELECT string_agg(a.attname, E'\\x01') FROM"
              " pg_publication_rel r JOIN pg_attribute a"
              " ON a.attrelid = r.prrelid AND NOT a.attisdropped"
              " AND a.attnum = ANY(r.prattrs::int2[]) WHERE r.prpubid = pub.oid"
              " AND r.prrelid = c.oid), '')"
            : "''";
  return "WITH RECURSIVE pub AS (SELECT oid, puballtables, pubviaroot"
         " FROM pg_publication WHERE pubname = $1), listed AS ("
         + listed
         + "), below(relid) AS (SELECT i.inhrelid FROM listed l"
           " JOIN pg_inherits i ON i.inhparent = l.relid"
           " JOIN pg_class p ON p.oid = i.inhrelid AND p.relispartition"
           " UNION SELECT i.inhrelid FROM below b"
           " JOIN pg_inherits i ON i.inhparent = b.relid)"
           " SELECT c.oid, "
         + names
         + " FROM pub CROSS JOIN (SELECT relid FROM listed"
           " UNION SELECT relid FROM below) t JOIN pg_class c"
           " ON c.oid = t.relid WHERE CASE WHEN pub.pubviaroot"
           " THEN c.oid NOT IN (SELECT relid FROM below)"
           " ELSE c.relkind = 'r' END";
}

result<publication_state>
read_publication(PGconn* conn, const std::string& name) {
  publication_state result;
  result.name = name;
  auto what = "cannot look at publication \"" + name + "\"";
  auto rows = run(conn,
                  "SELECT puballtables, pubinsert, pubupdate, pubdelete,"
                  " pubtruncate, pg_has_role(pubowner, 'USAGE')"
                  " FROM pg_publication WHERE pubname = $1",
                  {name}, what);
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  const auto* r = rows->get();
  if (PQntuples(r) == 0)
    return result;
  result.exists = true;
  result.all_tables = is_true(r, 0, 0);
  result.inserts = is_true(r, 0, 1);
  result.updates = is_true(r, 0, 2);
  result.deletes = is_true(r, 0, 3);
  result.truncates = is_true(r, 0, 4);
  result.owned = is_true(r, 0, 5);
  auto members = read_members(conn, name);
  if (!members)
    return tl::unexpected{std::move(members.error())};
  result.members = std::move(*members);
  // Column list and filter both depend on columns; which, tells only a filter
  // that is alone.
  std::string details
    = PQserverVersion(conn) >= 150000
        ? "r.prattrs IS NOT NULL, CASE WHEN r.prqual IS NOT NULL"
          " AND r.prattrs IS NULL THEN (SELECT string_agg(a.attname, E'\\x01')"
          " FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid"
          " AND a.attnum = d.refobjsubid"
          " WHERE d.classid = 'pg_publication_rel'::regclass"
          " AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass"
          " AND d.refobjid = r.prrelid AND d.refobjsubid > 0) END"
        : "false, NULL";
  auto listed = run(conn,
                    "SELECT r.prrelid, " + details
                      + " FROM pg_publication_rel r"
                        " JOIN pg_publication p ON p.oid = r.prpubid"
                        " WHERE p.pubname = $1",
                    {name}, what);
  if (!listed)
    return tl::unexpected{std::move(listed.error())};
  for (int i = 0; i < PQntuples(listed->get()); ++i)
    result.listed[static_cast<uint32_t>(integer(listed->get(), i, 0))]
      = {is_true(listed->get(), i, 1), split(field(listed->get(), i, 2))};
  return result;
}

const catalogue_table*
by_oid(const std::vector<catalogue_table>& xs, uint32_t oid) {
  auto i = std::find_if(xs.begin(), xs.end(), [oid](const auto& x) {
    return x.description.oid == oid;
  });
  return i != xs.end() ? &*i : nullptr;
}

void find_candidates(const source_options& options, inspection& x) {
  for (const auto& table : x.tables) {
    const auto& d = table.description;
    if (!is_wanted(options, d.schema, d.name) || table.persistence != 'p'
        || (table.kind != 'r' && table.kind != 'p') || d.columns.empty())
      continue;
    // A partition comes with its root.
    auto within = std::any_of(
      table.ancestors.begin(), table.ancestors.end(), [&](auto oid) {
        const auto* root = by_oid(x.tables, oid);
        return root != nullptr
               && is_wanted(options, root->description.schema,
                            root->description.name);
      });
    if (!within)
      x.candidates.push_back(&table);
  }
  for (const auto& pattern : options.tables) {
    if (pattern.find('*') != std::string::npos)
      continue;
    auto exists
      = std::any_of(x.tables.begin(), x.tables.end(), [&](const auto& t) {
          return t.description.full_name() == pattern;
        });
    if (!exists)
      x.missing.push_back(pattern);
  }
}

} // namespace

result<publication_members>
read_members(PGconn* conn, const std::string& publication) {
  auto rows = run(conn, members_sql(PQserverVersion(conn)), {publication},
                  "cannot look at publication \"" + publication + "\"");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  publication_members result;
  for (int i = 0; i < PQntuples(rows->get()); ++i)
    result[static_cast<uint32_t>(integer(rows->get(), i, 0))]
      = split(field(rows->get(), i, 1));
  return result;
}

result<slot_row> read_slot(PGconn* conn, const std::string& name) {
  slot_row result;
  auto rows
    = run(conn,
          "SELECT coalesce(plugin, ''), coalesce(database, ''),"
          " coalesce(active_pid::text, ''), coalesce(wal_status, ''),"
          " coalesce(confirmed_flush_lsn, '0/0'),"
          " CASE WHEN NOT pg_is_in_recovery() THEN greatest(0,"
          " coalesce(pg_current_wal_lsn() - restart_lsn, 0))::bigint END,"
          " coalesce(restart_lsn, '0/0')"
          " FROM pg_replication_slots WHERE slot_name = $1",
          {name}, "cannot look at slot \"" + name + "\"");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  const auto* r = rows->get();
  if (PQntuples(r) == 0)
    return result;
  result.exists = true;
  result.plugin = field(r, 0, 0);
  result.database = field(r, 0, 1);
  result.active_pid = field(r, 0, 2);
  result.wal_status = field(r, 0, 3);
  result.confirmed = parse_lsn(field(r, 0, 4)).value_or(lsn{});
  result.lag = static_cast<uint64_t>(integer(r, 0, 5));
  result.restart = parse_lsn(field(r, 0, 6)).value_or(lsn{});
  return result;
}

bool has_identity(const catalogue_table& x) {
  return x.description.identity != table_identity::append_only
         && !x.partition_without_identity;
}

bool is_followed(const source_options& options, const catalogue_table& x,
                 const std::vector<catalogue_table>& all) {
  if (is_wanted(options, x.description.schema, x.description.name))
    return true;
  return std::any_of(x.ancestors.begin(), x.ancestors.end(), [&](auto oid) {
    const auto* root = by_oid(all, oid);
    return root != nullptr
           && is_wanted(options, root->description.schema,
                        root->description.name);
  });
}

std::vector<table_description_ptr>
followed(const inspection& x, const source_options& options) {
  std::vector<table_description_ptr> result;
  for (const auto& table : x.tables) {
    const std::vector<std::string>* columns = nullptr;
    for (const auto* publication : {&x.main, &x.inserts}) {
      auto i = publication->members.find(table.description.oid);
      if (i != publication->members.end() && columns == nullptr)
        columns = &i->second;
    }
    if (columns == nullptr || table.description.columns.empty()
        || !is_followed(options, table, x.tables))
      continue;
    auto description = table.description;
    // A column list leaves columns out of the stream.
    if (!columns->empty())
      std::erase_if(description.columns, [&](const auto& c) {
        return std::find(columns->begin(), columns->end(), c.name)
               == columns->end();
      });
    result.push_back(
      std::make_shared<const table_description>(std::move(description)));
  }
  return result;
}

std::vector<table_description_ptr>
to_follow(const inspection& x, const source_options& options) {
  auto result = followed(x, options);
  if (x.statements.empty())
    return result;
  auto published = result.size();
  for (const auto* table : x.candidates) {
    auto is_published = std::any_of(result.begin(), result.begin() + published,
                                    [&](const auto& y) {
                                      return y->oid == table->description.oid;
                                    });
    if (!is_published)
      result.push_back(
        std::make_shared<const table_description>(table->description));
  }
  return result;
}

result<inspection> inspect(PGconn* conn, const source_options& options) {
  inspection x;
  x.version = PQserverVersion(conn);
  if (auto done = read_server(conn, x); !done)
    return tl::unexpected{std::move(done.error())};
  // What else there is to see has another form on such servers.
  if (x.version < 140000 || x.in_recovery) {
    find_problems(options, x);
    return x;
  }
  auto slot = read_slot(conn, options.slot);
  if (!slot)
    return tl::unexpected{std::move(slot.error())};
  x.slot = std::move(*slot);
  for (auto* target : {&x.main, &x.inserts}) {
    auto state = read_publication(conn, target == &x.main
                                          ? options.publication
                                          : options.publication + "_inserts");
    if (!state)
      return tl::unexpected{std::move(state.error())};
    *target = std::move(*state);
  }
  auto tables = read_catalogue(conn, user_relations);
  if (!tables)
    return tl::unexpected{std::move(tables.error())};
  x.tables = std::move(*tables);
  find_candidates(options, x);
  find_problems(options, x);
  return x;
}

} // namespace millrace::postgres
