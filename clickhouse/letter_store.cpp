#include "clickhouse/letter_store.hpp"

#include "clickhouse/ddl.hpp"
#include "clickhouse/letter_statements.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/row_binary.hpp"
#include "clickhouse/settings.hpp"
#include "clickhouse/target_admin_impl.hpp"

#include <algorithm>

namespace millrace::clickhouse {

namespace {

/// Letters that are marked by one statement.
constexpr size_t letters_at_once = 500;
constexpr size_t statement_room = 1 << 20;

operation operation_of(std::string_view text) {
  for (auto x : {operation::insert, operation::update, operation::remove,
                 operation::read})
    if (text == to_string(x))
      return x;
  return operation::truncate;
}

} // namespace

std::string letters_of(std::string_view pipeline) {
  return "pipeline = " + quote_literal(pipeline);
}

std::string letters_of(std::string_view pipeline, std::string_view table) {
  return letters_of(pipeline) + " AND `table` = " + quote_literal(table);
}

std::string
resolve_statement(const target_options& options, std::string_view resolution,
                  const std::string& condition) {
  auto letters = quote_name(options.database, ddl::dead_letter_table);
  std::string same = "pipeline, `table`, op, position, version, committed_at, "
                     "key, event, error, time, ";
  return "INSERT INTO " + letters + " (" + same
         + "resolution, revision, resolved) SELECT " + same
         + quote_literal(resolution) + ", revision + 1, 1 FROM " + letters
         + " FINAL WHERE " + condition;
}

struct letter_store::impl : target_admin::impl {
  using target_admin::impl::impl;
};

letter_store::letter_store(target_options options, std::string pipeline)
  : impl_(
    std::make_unique<impl>(std::move(options), std::move(pipeline), nullptr)) {
  // nop
}

letter_store::~letter_store() = default;

result<std::vector<stored_letter>>
letter_store::open(const letter_filter& filter) {
  auto& x = *impl_;
  auto condition = filter.table.empty() ? letters_of(x.pipeline)
                                        : letters_of(x.pipeline, filter.table);
  if (!filter.since.empty())
    condition += " AND time >= parseDateTime64BestEffort("
                 + quote_literal(filter.since) + ", 6, 'UTC')";
  auto body = x.row_binary(
    "SELECT `table`, CAST(op, 'String'), version, "
    "toUnixTimestamp64Micro(committed_at), key, event, error, "
    "toString(time, 'UTC') FROM "
      + quote_name(x.options.database, ddl::dead_letter_table) + " FINAL WHERE "
      + condition + " ORDER BY `table`, version, length(key), key",
    {}, {"read the dead letters", {}});
  if (!body) {
    if (x.table_is_missing())
      return std::vector<stored_letter>{};
    return tl::unexpected(std::move(body.error()));
  }
  std::vector<stored_letter> out;
  row_binary_reader in{*body};
  while (!in.at_end() && !in.failed()) {
    stored_letter row;
    auto& letter = row.letter;
    letter.table = in.string();
    letter.op = operation_of(in.string());
    letter.at.minor = in.integer(8);
    letter.at.major = in.integer(8);
    letter.committed_at = static_cast<int64_t>(in.integer(8));
    letter.key = in.string();
    letter.event = in.string();
    letter.error = in.string();
    row.time = in.string();
    out.push_back(std::move(row));
  }
  if (in.failed())
    return fail(ec::target_failed,
                "cannot read the dead letters: the answer is cut short");
  return out;
}

result<void> letter_store::resolve(const std::vector<stored_letter>& xs,
                                   std::string_view resolution) {
  auto& x = *impl_;
  for (size_t i = 0; i < xs.size();) {
    std::string list;
    for (auto end = std::min(xs.size(), i + letters_at_once); i < end; ++i) {
      const auto& letter = xs[i].letter;
      put_string(list, letter.table);
      put_integer(list, letter.at.minor);
      put_integer(list, letter.at.major);
      put_string(list, letter.key);
    }
    auto sql = resolve_statement(
      x.options, resolution,
      letters_of(x.pipeline)
        + " AND (`table`, version, key) IN (SELECT * FROM format(RowBinary, "
          "'t String, v UInt128, k String', "
        + quote_literal(list) + "))");
    parameters settings = insert_settings();
    settings.emplace_back("max_query_size",
                          std::to_string(sql.size() + statement_room));
    auto done = x.run(sql, "mark dead letters", settings);
    if (!done)
      return done;
  }
  return {};
}

} // namespace millrace::clickhouse
