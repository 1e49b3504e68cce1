#include "postgres/catalogue.hpp"

#include "postgres/column_types.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace millrace::postgres {

const char* const user_relations
  = "n.nspname NOT IN ('pg_catalog', 'information_schema')"
    " AND n.nspname !~ '^pg_(toast|temp)'"
    " AND c.relkind IN ('r', 'p', 'f', 'v', 'm')";

namespace {

// The index that tells rows apart, as PostgreSQL chooses it: it must be valid,
// immediate and whole. With FULL the primary key is still the key.
constexpr const char* identity_index
  = "SELECT i.indkey::int2[] AS keys, i.indnkeyatts AS n FROM pg_index i"
    " WHERE i.indrelid = %.oid AND i.indisvalid AND i.indisunique"
    " AND i.indimmediate AND i.indpred IS NULL"
    " AND CASE %.relreplident WHEN 'i' THEN i.indisreplident"
    " WHEN 'n' THEN false ELSE i.indisprimary END";

std::string identity_of(const std::string& alias) {
  std::string result;
  for (const auto* c = identity_index; *c != '\0'; ++c)
    if (*c == '%')
      result += alias;
    else
      result += *c;
  return result;
}

std::string tables_sql(const std::string& filter) {
  return "SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence,"
         " c.relreplident, coalesce(obj_description(c.oid, 'pg_class'), ''),"
         // 7: columns of the key
         " coalesce((SELECT string_agg(k.att::text, ',' ORDER BY k.place)"
         " FROM ("
         + identity_of("c")
         + ") i, unnest(i.keys) WITH ORDINALITY k(att, place)"
           " WHERE k.place <= i.n), ''),"
           // 8: ancestors
           " coalesce(CASE WHEN c.relispartition THEN (SELECT"
           " string_agg(a.relid::oid::text, ',' ORDER BY a.place)"
           " FROM pg_partition_ancestors(c.oid)"
           " WITH ORDINALITY a(relid, place) WHERE a.relid <> c.oid) END, ''),"
           // 9: deferrable primary key
           " EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid"
           " AND i.indisprimary AND NOT i.indimmediate),"
           // 10: a partition that has no identity
           // (pg_partition_tree would lock all of them)
           " c.relkind = 'p' AND EXISTS (WITH RECURSIVE p(oid) AS ("
           "SELECT c.oid UNION ALL SELECT i.inhrelid FROM pg_inherits i"
           " JOIN p ON i.inhparent = p.oid) SELECT FROM p"
           " JOIN pg_class l ON l.oid = p.oid WHERE"
           " l.relkind = 'r' AND l.relreplident <> 'f' AND NOT EXISTS ("
         + identity_of("l")
         + ")),"
           " row_security_active(c.oid),"
           // 12: readable
           " has_schema_privilege(n.oid, 'USAGE')"
           " AND (has_table_privilege(c.oid, 'SELECT') OR NOT EXISTS ("
           "SELECT FROM pg_attribute a WHERE a.attrelid = c.oid"
           " AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
           " AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT'))),"
           " pg_has_role(c.relowner, 'USAGE')"
           " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
           " WHERE "
         + filter + " ORDER BY n.nspname, c.relname";
}

constexpr const char* columns_sql
  = "SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,"
    " a.attnotnull, a.attgenerated <> '',"
    " a.attstorage <> 'p' AND a.attlen = -1,"
    " coalesce(col_description(a.attrelid, a.attnum), ''),"
    " format_type(a.atttypid, a.atttypmod)"
    " FROM pg_attribute a WHERE a.attrelid = ANY($1::oid[])"
    " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";

std::vector<uint32_t> numbers(std::string_view text) {
  std::vector<uint32_t> result;
  while (!text.empty()) {
    auto end = std::min(text.find(','), text.size());
    uint32_t x = 0;
    std::from_chars(text.data(), text.data() + end, x);
    result.push_back(x);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

// Key columns by attribute number, for each table of `result`.
using key_map = std::map<uint32_t, std::vector<uint32_t>>;

void read_columns(const PGresult* r, const type_map& types, const key_map& keys,
                  std::map<uint32_t, catalogue_table*>& tables) {
  for (int i = 0; i < PQntuples(r); ++i) {
    auto oid = static_cast<uint32_t>(integer(r, i, 0));
    auto number = static_cast<uint32_t>(integer(r, i, 1));
    column_description x;
    x.name = field(r, i, 2);
    x.type = resolve(types, static_cast<uint32_t>(integer(r, i, 3)),
                     static_cast<int32_t>(integer(r, i, 4)));
    x.type.name = field(r, i, 9);
    x.nullable = !is_true(r, i, 5);
    x.toastable = is_true(r, i, 7);
    x.comment = field(r, i, 8);
    const auto& key = keys.at(oid);
    auto place = std::find(key.begin(), key.end(), number);
    if (place != key.end()) {
      x.key_position = static_cast<int32_t>(place - key.begin());
      x.nullable = false;
    }
    auto& table = *tables.at(oid);
    if (is_true(r, i, 6))
      table.generated.push_back(std::move(x));
    else
      table.description.columns.push_back(std::move(x));
  }
}

} // namespace

result<std::vector<catalogue_table>>
read_catalogue(PGconn* conn, const std::string& filter) {
  auto rows = run(conn, tables_sql(filter), "cannot read the catalogue");
  if (!rows)
    return tl::unexpected{std::move(rows.error())};
  const auto* r = rows->get();
  std::vector<catalogue_table> result(PQntuples(r));
  std::map<uint32_t, catalogue_table*> by_oid;
  key_map keys;
  std::set<uint32_t> oids;
  for (int i = 0; i < PQntuples(r); ++i) {
    auto& x = result[i];
    auto& d = x.description;
    d.oid = static_cast<uint32_t>(integer(r, i, 0));
    d.schema = field(r, i, 1);
    d.name = field(r, i, 2);
    x.kind = field(r, i, 3).front();
    x.persistence = field(r, i, 4).front();
    d.full_old_rows = field(r, i, 5) == "f";
    d.comment = field(r, i, 6);
    auto key = numbers(field(r, i, 7));
    if (!key.empty())
      d.identity = table_identity::key;
    else
      d.identity = d.full_old_rows ? table_identity::full_row
                                   : table_identity::append_only;
    x.key_size = key.size();
    x.ancestors = numbers(field(r, i, 8));
    x.deferrable_key = is_true(r, i, 9);
    x.partition_without_identity = is_true(r, i, 10);
    x.row_security = is_true(r, i, 11);
    x.readable = is_true(r, i, 12);
    x.owned = is_true(r, i, 13);
    by_oid[d.oid] = &x;
    keys[d.oid] = std::move(key);
    oids.insert(d.oid);
  }
  auto columns
    = run(conn, columns_sql, {oid_array(oids)}, "cannot read columns");
  if (!columns)
    return tl::unexpected{std::move(columns.error())};
  std::set<uint32_t> type_oids;
  for (int i = 0; i < PQntuples(columns->get()); ++i)
    type_oids.insert(static_cast<uint32_t>(integer(columns->get(), i, 3)));
  type_map types;
  if (auto done = load_types(conn, std::move(type_oids), types); !done)
    return tl::unexpected{std::move(done.error())};
  read_columns(columns->get(), types, keys, by_oid);
  return result;
}

result<table_description_ptr>
describe_as(const catalogue_table& now, const relation& then) {
  auto table = now.description;
  table.schema = then.schema;
  table.name = then.name;
  table.columns.clear();
  auto subject = table.full_name();
  auto by_name = [](const auto& xs, const std::string& name) {
    return std::find_if(xs.begin(), xs.end(),
                        [&](const auto& x) { return x.name == name; });
  };
  for (const auto& x : then.columns) {
    auto i = by_name(now.description.columns, x.name);
    if (i == now.description.columns.end()) {
      i = by_name(now.generated, x.name);
      if (i == now.generated.end())
        return fail(ec::table_unsuitable,
                    subject + ": column \"" + x.name
                      + "\" of the stream is not in the catalogue any more; "
                        "the table has to be taken again");
    }
    if (i->type.oid != x.type || i->type.modifier != x.modifier)
      return fail(ec::table_unsuitable,
                  subject + ": column \"" + x.name + "\" is " + i->type.name
                    + " now and was another type; the table has to be taken "
                      "again");
    table.columns.push_back(*i);
  }
  if (!fits(then, table) || table.key_columns().size() != now.key_size)
    return fail(ec::table_unsuitable,
                subject
                  + ": its key or replica identity is not what the "
                    "stream has; the table has to be taken again");
  return std::make_shared<const table_description>(std::move(table));
}

} // namespace millrace::postgres
