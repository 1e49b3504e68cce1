#define CAF_SUITE olap_request

#include "olap/db_error.hpp"
#include "olap/formats.hpp"
#include "olap/query_request.hpp"
#include "olap/result_writer.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace::olap;

CAF_TEST(parameters are sorted into what they mean) {
  query_request x;
  auto err = sort_parameters({{"query", "SELECT 1"},
                              {"query_id", ""},
                              {"param_a", "['x']"},
                              {"compress", "1"},
                              {"session_timeout", "10"},
                              {"max_threads", "2"},
                              {"user", "u"},
                              {"m_structure", "a Int8"}},
                             true, x);
  CAF_REQUIRE(!err);
  CAF_CHECK_EQUAL(x.query, "SELECT 1");
  CAF_CHECK(x.compress);
  CAF_CHECK(x.session_timeout == std::chrono::seconds{10});
  CAF_REQUIRE_EQUAL(x.parameters.size(), 1u);
  CAF_CHECK_EQUAL(x.parameters[0].first, "a");
  CAF_REQUIRE_EQUAL(x.settings.size(), 1u);
  CAF_CHECK_EQUAL(x.settings[0].first, "max_threads");
  CAF_REQUIRE(x.find_external("m_structure") != nullptr);
  CAF_CHECK_EQUAL(*x.find_external("m_structure"), "a Int8");
}

CAF_TEST(what looks like an external table is a setting without a form) {
  query_request x;
  CAF_CHECK(!sort_parameters({{"date_time_output_format", "iso"}}, false, x));
  CAF_CHECK_EQUAL(x.settings.size(), 1u);
}

CAF_TEST(bad session timeouts are refused) {
  for (auto bad : {"x", "-1", "3601", "1s", ""}) {
    query_request x;
    CAF_CHECK_EQUAL(sort_parameters({{"session_timeout", bad}}, false, x).code,
                    374);
  }
}

CAF_TEST(settings become a SET statement without a way out of it) {
  std::string sql;
  CAF_CHECK(!render_settings({{"a", "1"}, {"b", "x'; DROP \\"}}, sql));
  CAF_CHECK_EQUAL(sql, "a = '1', b = 'x\\'; DROP \\\\'");
  CAF_CHECK_EQUAL(render_settings({{"a = 1, b", "1"}}, sql).code, 115);
}

CAF_TEST(errors keep the code and the text of the engine) {
  auto x = parse_error("Code: 60. DB::Exception: no. (UNKNOWN_TABLE)\n");
  CAF_CHECK_EQUAL(x.code, 60);
  CAF_CHECK_EQUAL(
    render(x, "26.7"),
    "Code: 60. DB::Exception: no. (UNKNOWN_TABLE) (version 26.7)\n");
  CAF_CHECK_EQUAL(parse_error("boom").code, 1002);
  CAF_CHECK_EQUAL(parse_error("it is not supported").code, 48);
}

CAF_TEST(errors have the HTTP status of the server) {
  for (auto [code, status] : {std::pair{62, 400u},
                              {60, 404u},
                              {81, 404u},
                              {115, 404u},
                              {516, 403u},
                              {497, 403u},
                              {194, 401u},
                              {48, 501u},
                              {159, 408u},
                              {241, 500u},
                              {252, 500u},
                              {394, 500u},
                              {381, 411u}})
    CAF_CHECK_EQUAL(http_status(code), status);
}

CAF_TEST(the first question of clickhouse - go is known) {
  CAF_CHECK(is_revision_question(
    "SELECT displayName(), version(), revision(), timezone()"));
  CAF_CHECK(is_revision_question(
    "select  displayName(),version(),\n revision(), timezone() ;"));
  CAF_CHECK(!is_revision_question("SELECT version()"));
  auto answer = revision_answer("vm", "26.7", "UTC");
  CAF_CHECK(answer.starts_with(std::string{"\x01\x00\x02\xff\xff\xff\xff\x00"
                                           "\x04\x01\x0d",
                                           11}));
  CAF_CHECK(answer.find(std::string{"revision()\x06UInt32\0\0\0\0\0", 22})
            != std::string::npos);
}

CAF_TEST(the summary is JSON with numbers as text) {
  counters x;
  x.written_rows = 7;
  CAF_CHECK_EQUAL(summary_json(x, std::chrono::nanoseconds{5}),
                  "{\"read_rows\":\"0\",\"read_bytes\":\"0\","
                  "\"written_rows\":\"7\",\"written_bytes\":\"0\","
                  "\"total_rows_to_read\":\"0\",\"result_rows\":\"7\","
                  "\"result_bytes\":\"0\",\"elapsed_ns\":\"5\"}");
}
