#define CAF_SUITE table_text

#include "clickhouse/table_text.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace::clickhouse;

namespace {

using map_type = std::map<std::string, std::string>;

} // namespace

CAF_TEST(the TTL of columns is read from the statement) {
  CAF_CHECK_EQUAL(
    column_ttls("CREATE TABLE x.`t(` (`id` Int32, `a` String TTL d + "
                "toIntervalDay(1), `b TTL ` String DEFAULT ' TTL (' COMMENT "
                "'it''s', `d` DateTime TTL d + toIntervalDay(2) SETTINGS "
                "(max_compress_block_size = 1)) ENGINE = MergeTree ORDER BY id "
                "TTL d + toIntervalDay(3) SETTINGS index_granularity = 8192"),
    (map_type{{"a", "d + toIntervalDay(1)"}, {"d", "d + toIntervalDay(2)"}}));
  CAF_CHECK_EQUAL(column_ttls("CREATE TABLE x.t AS y.z"), map_type{});
  CAF_CHECK_EQUAL(column_ttls(""), map_type{});
}
