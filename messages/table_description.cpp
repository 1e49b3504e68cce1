#include "messages/table_description.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <iterator>

namespace millrace {

namespace {

constexpr const char* kind_names[]
  = {"boolean", "int2",   "int4",        "int8", "uint4",     "uint8",
     "float4",  "float8", "numeric",     "date", "timestamp", "timestamptz",
     "uuid",    "bytea",  "enumeration", "json", "text"};

constexpr const char* identity_names[] = {"key", "full_row", "append_only"};

} // namespace

const char* to_string(value_kind x) {
  auto i = static_cast<size_t>(x);
  return i < std::size(kind_names) ? kind_names[i] : "unknown";
}

const char* to_string(table_identity x) {
  auto i = static_cast<size_t>(x);
  return i < std::size(identity_names) ? identity_names[i] : "unknown";
}

std::vector<uint32_t> table_description::key_columns() const {
  std::vector<uint32_t> result;
  for (uint32_t i = 0; i < columns.size(); ++i) {
    auto position = columns[i].key_position;
    if (position < 0)
      continue;
    if (result.size() <= static_cast<size_t>(position))
      result.resize(position + 1);
    result[position] = i;
  }
  return result;
}

std::string table_description::full_name() const {
  return schema + "." + name;
}

std::string to_json(const table_description& x) {
  boost::json::array columns;
  for (const auto& c : x.columns)
    columns.push_back(boost::json::object{
      {"name", c.name},
      {"type", c.type.name},
      {"kind", to_string(c.type.kind)},
      {"array", c.type.array},
      {"precision", c.type.precision},
      {"scale", c.type.scale},
      {"nullable", c.nullable},
      {"key", c.key_position},
      {"toastable", c.toastable},
      {"comment", c.comment},
    });
  return boost::json::serialize(boost::json::object{
    {"schema", x.schema},
    {"name", x.name},
    {"comment", x.comment},
    {"identity", to_string(x.identity)},
    {"full_old_rows", x.full_old_rows},
    {"columns", std::move(columns)},
  });
}

} // namespace millrace
