#include "postgres/column_types.hpp"

namespace millrace::postgres {

namespace {

// `elem` is that of a true array: int2vector and others print themselves
// differently.
constexpr const char* types_sql
  = "SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod,"
    " coalesce((SELECT e.oid FROM pg_type e WHERE e.oid = t.typelem"
    " AND e.typarray = t.oid), 0)"
    " FROM pg_type t WHERE t.oid = ANY($1::oid[])";

value_kind kind_of(uint32_t oid) {
  switch (oid) {
    case 16:
      return value_kind::boolean;
    case 17:
      return value_kind::bytea;
    case 20:
      return value_kind::int8;
    case 21:
      return value_kind::int2;
    case 23:
      return value_kind::int4;
    case 26:
    case 28:
    case 29:
      return value_kind::uint4;
    case 114:
    case 3802:
      return value_kind::json;
    case 700:
      return value_kind::float4;
    case 701:
      return value_kind::float8;
    case 1082:
      return value_kind::date;
    case 1114:
      return value_kind::timestamp;
    case 1184:
      return value_kind::timestamptz;
    case 1700:
      return value_kind::numeric;
    case 2950:
      return value_kind::uuid;
    case 5069:
      return value_kind::uint8;
    default:
      return value_kind::text;
  }
}

// Goes down through domains; the innermost modifier counts.
void resolve_domain(const type_map& types, uint32_t& oid, int32_t& modifier) {
  for (auto i = types.find(oid);
       i != types.end() && i->second.kind == 'd' && i->second.base != 0;
       i = types.find(oid)) {
    if (i->second.base_modifier >= 0)
      modifier = i->second.base_modifier;
    oid = i->second.base;
  }
}

} // namespace

std::string oid_array(const std::set<uint32_t>& xs) {
  std::string result = "{";
  for (auto x : xs)
    result += (result.size() > 1 ? "," : "") + std::to_string(x);
  return result += '}';
}

result<void>
load_types(PGconn* conn, std::set<uint32_t> wanted, type_map& types) {
  while (!wanted.empty()) {
    auto rows = run(conn, types_sql, {oid_array(wanted)}, "cannot read types");
    if (!rows)
      return tl::unexpected{std::move(rows.error())};
    const auto* r = rows->get();
    wanted.clear();
    for (int i = 0; i < PQntuples(r); ++i) {
      type_row x;
      x.kind = field(r, i, 1).front();
      x.base = static_cast<uint32_t>(integer(r, i, 2));
      x.base_modifier = static_cast<int32_t>(integer(r, i, 3));
      x.element = static_cast<uint32_t>(integer(r, i, 4));
      types[static_cast<uint32_t>(integer(r, i, 0))] = x;
      for (auto next : {x.base, x.element})
        if (next != 0)
          wanted.insert(next);
    }
    for (const auto& known : types)
      wanted.erase(known.first);
  }
  return {};
}

column_type resolve(const type_map& types, uint32_t oid, int32_t modifier) {
  column_type result;
  result.oid = oid;
  result.modifier = modifier;
  resolve_domain(types, oid, modifier);
  auto i = types.find(oid);
  if (i != types.end() && i->second.element != 0) {
    result.array = true;
    oid = i->second.element;
    resolve_domain(types, oid, modifier);
    i = types.find(oid);
    // A domain over an array as element: its text is its value.
    if (i != types.end() && i->second.element != 0)
      return result;
  }
  if (i != types.end() && i->second.kind == 'e')
    result.kind = value_kind::enumeration;
  else
    result.kind = kind_of(oid);
  if (result.kind == value_kind::numeric && modifier >= 4) {
    result.precision = ((modifier - 4) >> 16) & 0xffff;
    // Eleven bits with sign: scales may be negative from 15 on.
    result.scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
  }
  return result;
}

} // namespace millrace::postgres
