#include "clickhouse/names.hpp"
#include "clickhouse/row_binary.hpp"
#include "clickhouse/target_admin_impl.hpp"

namespace millrace::clickhouse {

namespace {

/// Ends of ranges that servers are known to have, the widest first.
struct range_end {
  int32_t days;
  int64_t microseconds;
  const char* date;
  const char* timestamp;
};

constexpr range_end lower_ends[] = {
  {-719'162, -62'135'596'800'000'000, "0001-01-01",
   "0001-01-01 00:00:00.000000"},
  {-25'567, -2'208'988'800'000'000, "1900-01-01", "1900-01-01 00:00:00.000000"},
  {-16'436, -1'420'070'400'000'000, "1925-01-01", "1925-01-01 00:00:00.000000"},
};

constexpr range_end upper_ends[] = {
  {2'932'896, 253'402'300'799'999'999, "9999-12-31",
   "9999-12-31 23:59:59.999999"},
  {120'529, 10'413'791'999'999'999, "2299-12-31", "2299-12-31 23:59:59.999999"},
  {114'635, 9'904'636'799'999'999, "2283-11-11", "2283-11-12 23:59:59.999999"},
};

} // namespace

result<transform::server_limits> target_admin::limits() {
  auto& x = *impl_;
  std::string values;
  for (auto& ends : {lower_ends, upper_ends})
    for (auto i = ends; i != ends + std::size(lower_ends); ++i) {
      put_integer(values, i->days);
      put_integer(values, i->microseconds);
    }
  // What a value in binary form reads as is what an insert of it stores.
  auto found
    = x.rows("SELECT toString(d), toString(t) FROM format(RowBinary, 'd "
             "Date32, t DateTime64(6, \\'UTC\\')', "
               + quote_literal(values) + ')',
             "find out the ranges of dates");
  if (!found)
    return tl::unexpected(std::move(found.error()));
  constexpr auto n = std::size(lower_ends);
  if (found->size() != 2 * n)
    return fail(ec::target_unsuitable,
                "cannot find out the ranges of dates: the server answered "
                  + std::to_string(found->size()) + " rows");
  transform::server_limits out;
  // The widest that holds is written last.
  for (auto i = n; i-- > 0;) {
    auto& low = (*found)[i];
    if (low.at(0) == lower_ends[i].date)
      out.date_min = lower_ends[i].days;
    if (low.at(1) == lower_ends[i].timestamp)
      out.timestamp_min = lower_ends[i].microseconds;
    auto& high = (*found)[n + i];
    if (high.at(0) == upper_ends[i].date)
      out.date_max = upper_ends[i].days;
    if (high.at(1) == upper_ends[i].timestamp)
      out.timestamp_max = upper_ends[i].microseconds;
  }
  return out;
}

} // namespace millrace::clickhouse
