#include "transform/clickhouse_type.hpp"
#include "transform/mapping.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace millrace::transform {

namespace {

/// The date of a day since 1970-01-01; years before 1 as PostgreSQL has them.
std::string date_text(int64_t days) {
  // Howard Hinnant, "chrono-compatible low-level date algorithms".
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  auto of_era = days - era * 146097;
  auto year_of_era
    = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  auto of_year
    = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  auto mp = (5 * of_year + 2) / 153;
  auto day = of_year - (153 * mp + 2) / 5 + 1;
  auto month = mp < 10 ? mp + 3 : mp - 9;
  auto year = year_of_era + era * 400 + (month <= 2);
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%04lld-%02lld-%02lld%s",
                static_cast<long long>(year > 0 ? year : 1 - year),
                static_cast<long long>(month), static_cast<long long>(day),
                year > 0 ? "" : " BC");
  return buffer;
}

/// The range of a date or time type; empty for other types.
std::string range_of(const clickhouse_type& x, const server_limits& limits) {
  constexpr int64_t day = 86'400'000'000;
  auto timestamps = [&](int64_t min, int64_t max) {
    auto floor
      = [](int64_t micros) { return micros / day - (micros % day < 0); };
    return date_text(floor(min)) + " to " + date_text(floor(max));
  };
  switch (x.family) {
    case type_family::date:
      return date_text(0) + " to " + date_text(UINT16_MAX);
    case type_family::date32:
      return date_text(limits.date_min) + " to " + date_text(limits.date_max);
    case type_family::datetime:
      return timestamps(0, int64_t{UINT32_MAX} * 1'000'000);
    case type_family::datetime64: {
      auto min = limits.timestamp_min;
      auto max = limits.timestamp_max;
      for (int i = 6; i < x.precision; ++i) {
        // What 64 bits of finer units can hold.
        int64_t most = INT64_MAX;
        for (int j = 6; j <= i; ++j)
          most /= 10;
        min = std::max(min, -most);
        max = std::min(max, most);
      }
      return timestamps(min, max);
    }
    default:
      return {};
  }
}

} // namespace

std::vector<std::string>
remarks(const target_table& table, const server_limits& limits) {
  std::vector<std::string> result;
  const auto& source = *table.source;
  if (source.identity == table_identity::append_only)
    result.push_back(
      source.full_name()
      + ": inserts only, because it has no key: its updates and deletes are "
        "not in the log; add a primary key, or a unique index over NOT NULL "
        "columns and ALTER TABLE "
      + source.full_name() + " REPLICA IDENTITY USING INDEX ...");
  for (const auto& column : table.columns) {
    const auto& from = source.columns[column.source];
    auto parsed = parse_type(column.type).value_or(clickhouse_type{});
    bool array = parsed.family == type_family::array;
    const auto& type = bare(array ? parsed.inner[0] : parsed);
    auto name
      = source.full_name() + "." + from.name + " (" + column.type + "): ";
    auto range = range_of(type, limits);
    if (!range.empty())
      result.push_back(name + "holds " + range + "; "
                       + (column.key || column.refuse_out_of_range
                            ? "rows with other values go to the dead letters"
                            : "other values are stored as the nearest end")
                       + "; ask for String to keep them");
    if (type.family == type_family::decimal
        && from.type.kind == value_kind::numeric)
      result.push_back(name
                       + "rows with NaN go to the dead letters; ask for "
                         "String to keep them");
    if (array && from.nullable)
      result.push_back(name + "NULL is stored as an empty array");
    else if (!is_nullable(parsed) && from.nullable && !column.key)
      result.push_back(name + "NULL is stored as the type's default");
  }
  return result;
}

} // namespace millrace::transform
