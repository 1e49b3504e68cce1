#include "olap/external_tables.hpp"

namespace millrace::olap {

namespace {

/// Larger form fields are refused.
constexpr size_t max_fields = 64 << 20;

/// `UInt8,Array(String)` names columns _1, _2: commas outside of brackets.
std::string number_columns(const std::string& types) {
  size_t depth = 0;
  size_t number = 1;
  std::string columns = "_1 ";
  for (auto c : types) {
    depth += c == '(' ? 1 : 0;
    depth -= c == ')' && depth > 0 ? 1 : 0;
    if (c == ',' && depth == 0)
      columns += ", _" + std::to_string(++number) + " ";
    else
      columns += c;
  }
  return columns;
}

db_error load_table(multipart_reader& in, const std::string& name,
                    const query_request& request, query_connection& c) {
  auto* structure = request.find_external(name + "_structure");
  auto* types = request.find_external(name + "_types");
  auto* format = request.find_external(name + "_format");
  if (structure == nullptr && types == nullptr)
    return make_error(36, "BAD_ARGUMENTS",
                      "External table " + name + " needs a parameter " + name
                        + "_structure or " + name + "_types");
  auto columns = structure != nullptr ? *structure : number_columns(*types);
  auto table = quote_name(name);
  auto err
    = c.handle().query("SET log_comment = " + quote(request.query_id)).error();
  if (!err)
    err = c.handle()
            .query("CREATE TEMPORARY TABLE " + table + " (" + columns
                   + ") ENGINE = Memory")
            .error();
  if (err)
    return err;
  c.drop_later(table);
  insert_stream s{c.handle(),
                  "INSERT INTO " + table,
                  format != nullptr ? *format : "TabSeparated",
                  {}};
  if (auto failed = s.error())
    return failed;
  auto ok = true;
  for (auto x = in.read(); !x.empty() && ok; x = in.read())
    ok = s.append(x);
  if (in.broken())
    return {}; // the caller sees it too
  return s.finish().error();
}

} // namespace

db_error read_form(multipart_reader& in, query_request& request,
                   query_connection& connection) {
  size_t size = 0;
  for (multipart_reader::part part; in.next_part(part);) {
    if (part.is_file) {
      if (auto err = load_table(in, part.name, request, connection))
        return err;
      continue;
    }
    std::string value;
    for (auto x = in.read(); !x.empty(); x = in.read()) {
      value.append(x);
      if ((size += x.size()) > max_fields)
        return make_error(229, "QUERY_IS_TOO_LARGE",
                          "The form fields are larger than 64 MB");
    }
    // What describes external tables must be known before their data come.
    if (auto err = sort_parameters({{part.name, value}}, true, request))
      return err;
  }
  return in.error();
}

} // namespace millrace::olap
