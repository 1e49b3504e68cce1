#include "postgres/shapes.hpp"

#include "postgres/column_types.hpp"

#include <map>
#include <set>

namespace millrace::postgres {

namespace {

using shape_map = std::map<uint32_t, std::shared_ptr<table_shape>>;

constexpr const char* columns_sql
  = "SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,"
    " a.xmin::text::bigint, a.attgenerated <> '', a.atthasmissing"
    " FROM pg_attribute a WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0"
    " AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";

// Enums through arrays, domains, ranges and composite types. PostgreSQL's own
// types lead to none.
constexpr const char* labels_sql
  = "WITH RECURSIVE used(rel, typ) AS ("
    "SELECT a.attrelid, a.atttypid FROM pg_attribute a"
    " WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0"
    " AND NOT a.attisdropped AND a.atttypid >= 16384"
    " UNION SELECT u.rel, next.typ FROM used u JOIN pg_type t ON t.oid = u.typ"
    " CROSS JOIN LATERAL (SELECT t.typbasetype UNION ALL SELECT t.typelem"
    " UNION ALL SELECT r.rngsubtype FROM pg_range r"
    " WHERE t.oid IN (r.rngtypid, r.rngmultitypid)"
    " UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE t.typrelid <> 0"
    " AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)"
    " next(typ) WHERE next.typ >= 16384)"
    " SELECT u.rel, e.oid, e.xmin::text::bigint, e.enumlabel"
    " FROM used u JOIN pg_enum e ON e.enumtypid = u.typ ORDER BY 1, 2";

// A partition that was made as one became one in the transaction that made its
// row type. The size of a heap would say more, and takes a lock.
constexpr const char* heaps_sql
  = "WITH RECURSIVE p(root, oid, born) AS ("
    "SELECT c.oid, c.oid, true FROM pg_class c WHERE c.oid = ANY($1::oid[])"
    " UNION ALL SELECT p.root, i.inhrelid, p.born AND i.xmin = t.xmin"
    " FROM pg_inherits i JOIN p ON i.inhparent = p.oid"
    " JOIN pg_class l ON l.oid = i.inhrelid JOIN pg_type t ON t.oid = l.reltype"
    " WHERE l.relispartition)"
    " SELECT p.root, c.oid, c.relfilenode, p.born,"
    " pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)"
    " FROM p JOIN pg_class c ON c.oid = p.oid WHERE c.relkind = 'r'"
    " ORDER BY 1, 2";

// By their OIDs: an entry that is made again has another one.
std::string membership_sql(PGconn* conn, const source_options& options) {
  auto names = "(" + quote_text(options.publication) + ", "
               + quote_text(options.publication + "_inserts") + ")";
  std::string of_schema
    = PQserverVersion(conn) >= 150000
        ? " UNION ALL SELECT t.root, 's' || s.oid FROM t"
          " JOIN pg_class c ON c.oid = t.oid"
          " JOIN pg_publication_namespace s ON s.pnnspid = c.relnamespace"
          " JOIN pg_publication p ON p.oid = s.pnpubid WHERE p.pubname IN "
            + names
        : std::string{};
  return "WITH t(root, oid) AS (SELECT x, x FROM unnest($1::oid[]) x"
         " UNION SELECT x, a.relid FROM unnest($1::oid[]) x,"
         " pg_partition_ancestors(x) a(relid)),"
         " m(root, entry) AS (SELECT t.root, 't' || r.oid FROM t"
         " JOIN pg_publication_rel r ON r.prrelid = t.oid"
         " JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname IN "
         + names
         + " UNION ALL SELECT x, 'a' || p.oid FROM unnest($1::oid[]) x,"
           " pg_publication p WHERE p.puballtables AND p.pubname IN "
         + names + of_schema
         + ") SELECT root, string_agg(entry, ' ' ORDER BY entry) FROM m"
           " GROUP BY root";
}

template <class F>
result<void> for_each_row(PGconn* conn, const std::string& sql,
                          const std::string& oids, shape_map& shapes, F f) {
  auto rows = run(conn, sql, {oids}, "cannot look at the shape of tables");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  const auto* r = rows->get();
  for (int i = 0; i < PQntuples(r); ++i)
    f(*shapes.at(static_cast<uint32_t>(integer(r, i, 0))), r, i);
  return {};
}

uint32_t number(const PGresult* r, int row, int column) {
  return static_cast<uint32_t>(integer(r, row, column));
}

} // namespace

result<void> read_shapes(PGconn* conn, const source_options& options,
                         std::vector<table_description_ptr>& tables) {
  shape_map shapes;
  std::set<uint32_t> wanted;
  for (const auto& x : tables)
    if (x->oid != 0) {
      shapes[x->oid] = std::make_shared<table_shape>();
      wanted.insert(x->oid);
    }
  if (wanted.empty())
    return {};
  auto oids = oid_array(wanted);
  auto done = for_each_row(
    conn, columns_sql, oids, shapes, [](auto& x, const auto* r, int i) {
      x.columns.push_back(
        {number(r, i, 1), std::string{field(r, i, 2)}, number(r, i, 3),
         static_cast<int32_t>(integer(r, i, 4)), number(r, i, 5),
         is_true(r, i, 6), is_true(r, i, 7)});
    });
  if (done)
    done = for_each_row(conn, labels_sql, oids, shapes,
                        [](auto& x, const auto* r, int i) {
                          x.labels.push_back({number(r, i, 1), number(r, i, 2),
                                              std::string{field(r, i, 3)}});
                        });
  if (done)
    done = for_each_row(
      conn, heaps_sql, oids, shapes, [](auto& x, const auto* r, int i) {
        x.heaps.push_back({number(r, i, 1), number(r, i, 2), is_true(r, i, 3)});
        x.edits += static_cast<uint64_t>(integer(r, i, 4));
      });
  if (done)
    done = for_each_row(conn, membership_sql(conn, options), oids, shapes,
                        [](auto& x, const auto* r, int i) {
                          x.membership = field(r, i, 1);
                        });
  if (!done)
    return done;
  for (auto& x : tables) {
    if (x->oid == 0)
      continue;
    auto copy = std::make_shared<table_description>(*x);
    auto& shape = shapes.at(x->oid);
    if (x->identity != table_identity::append_only)
      shape->edits = 0;
    copy->shape = shape;
    x = std::move(copy);
  }
  return {};
}

} // namespace millrace::postgres
