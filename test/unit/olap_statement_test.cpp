#define CAF_SUITE olap_statement

#include "olap/kill_statement.hpp"
#include "olap/statement.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace::olap;

namespace {

constexpr auto insert_data = statement_kind::insert_data;

/// `statement|format|data` of an INSERT; the kind's number for others.
std::string cut(std::string_view text, bool whole = true) {
  auto x = parse_statement(text, whole);
  if (x.error)
    return "error " + std::to_string(x.error.code);
  if (x.kind != insert_data)
    return std::to_string(static_cast<int>(x.kind));
  std::string result{x.sql};
  result.append("|").append(x.format).append("|");
  return result.append(text.substr(x.data_offset));
}

std::string kind(statement_kind x) {
  return std::to_string(static_cast<int>(x));
}

} // namespace

CAF_TEST(data begin behind FORMAT and one line end) {
  CAF_CHECK_EQUAL(cut("INSERT INTO t FORMAT CSV\n1,2\n"),
                  "INSERT INTO t|CSV|1,2\n");
  CAF_CHECK_EQUAL(cut("insert into t format JSONEachRow {\"a\":1}"),
                  "insert into t|JSONEachRow|{\"a\":1}");
  CAF_CHECK_EQUAL(cut("INSERT INTO t FORMAT TSV \r\n\n1"),
                  "INSERT INTO t|TSV|\n1");
  CAF_CHECK_EQUAL(cut("INSERT INTO t(a)FORMAT Native"),
                  "INSERT INTO t(a)|Native|");
  CAF_CHECK_EQUAL(cut("insert into t (\"a\") format CSV\n  1,x"),
                  "insert into t (\"a\")|CSV|  1,x");
}

CAF_TEST(data begin behind VALUES) {
  CAF_CHECK_EQUAL(cut("INSERT INTO t (a, b) VALUES (1, 'x')"),
                  "INSERT INTO t (a, b)|Values| (1, 'x')");
  CAF_CHECK_EQUAL(cut("INSERT INTO t VALUES('SELECT')"),
                  "INSERT INTO t|Values|('SELECT')");
  CAF_CHECK_EQUAL(cut("INSERT INTO t VALUES"), "INSERT INTO t|Values|");
}

CAF_TEST(words in quotes comments and brackets do not count) {
  CAF_CHECK_EQUAL(cut("INSERT INTO \"FORMAT x\".`VALUES` (\"a VALUES\", "
                      "`FORMAT`) /* FORMAT CSV */ FORMAT TSV\nx"),
                  "INSERT INTO \"FORMAT x\".`VALUES` (\"a VALUES\", "
                  "`FORMAT`)|TSV|x");
  CAF_CHECK_EQUAL(
    cut("-- INSERT INTO x VALUES\nINSERT INTO t -- VALUES\n FORMAT CSV\n1"),
    "-- INSERT INTO x VALUES\nINSERT INTO t|CSV|1");
  CAF_CHECK_EQUAL(cut("INSERT INTO FUNCTION file('a', 'FORMAT', 'a Int8') "
                      "FORMAT CSV\n1"),
                  "INSERT INTO FUNCTION file('a', 'FORMAT', 'a Int8')|CSV|1");
  CAF_CHECK_EQUAL(cut("INSERT INTO t SETTINGS a='VALUES', b=1 VALUES (1)"),
                  "INSERT INTO t SETTINGS a='VALUES', b=1|Values| (1)");
  CAF_CHECK_EQUAL(cut("INSERT INTO db.format FORMAT CSV\n1"),
                  "INSERT INTO db.format|CSV|1");
  CAF_CHECK_EQUAL(cut("INSERT INTO values (format) VALUES (1)"),
                  "INSERT INTO values (format)|Values| (1)");
  CAF_CHECK_EQUAL(cut("INSERT INTO t (`a\\`b`, \"c\"\"d\") FORMAT CSV\n1"),
                  "INSERT INTO t (`a\\`b`, \"c\"\"d\")|CSV|1");
}

CAF_TEST(binary data are never looked at) {
  std::string text = "INSERT INTO t FORMAT Native\n";
  text += std::string{"\x01\x00'\"`;/*", 8};
  auto x = parse_statement(text, false);
  CAF_CHECK(x.kind == insert_data);
  CAF_CHECK(!x.error);
  CAF_CHECK_EQUAL(x.data_offset, 28u);
}

CAF_TEST(an insert without data is run as a whole) {
  for (auto text :
       {"INSERT INTO t SELECT 1", "INSERT INTO t (a) SELECT 1 FORMAT CSV",
        "INSERT INTO t (SELECT 1)", "INSERT INTO t ((SELECT 1))",
        "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
        "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x"})
    CAF_CHECK_EQUAL(cut(text), kind(statement_kind::other));
}

CAF_TEST(an insert without a format keeps what the client says) {
  CAF_CHECK_EQUAL(cut("INSERT INTO t (a)"), "INSERT INTO t (a)||");
}

CAF_TEST(every cut of an insert is incomplete or right) {
  std::string text = "/* c */ INSERT INTO `t` (a, \"b c\") SETTINGS x = 'y' "
                     "FORMAT  CSV \n1,2";
  auto begin = text.size() - 3;
  for (size_t n = 0; n < text.size(); ++n) {
    auto x = parse_statement(std::string_view{text}.substr(0, n), false);
    CAF_CHECK(!x.error);
    if (n <= begin)
      CAF_CHECK(x.kind == statement_kind::incomplete);
    else
      CAF_CHECK_EQUAL(x.data_offset, begin);
  }
}

CAF_TEST(a large statement is recognized from its beginning) {
  CAF_CHECK(parse_statement("SELEC", false).kind == statement_kind::incomplete);
  CAF_CHECK(parse_statement("SELECT 1", false).kind
            == statement_kind::incomplete);
  CAF_CHECK(parse_statement("INSERT INTO t SELECT 1 ", false).kind
            == statement_kind::incomplete);
}

CAF_TEST(statements are told apart by their first word) {
  CAF_CHECK_EQUAL(cut("/* dbt */\n\n (select 1) union all select 2"),
                  kind(statement_kind::stream));
  CAF_CHECK_EQUAL(cut("WITH 1 AS x SELECT x"), kind(statement_kind::stream));
  CAF_CHECK_EQUAL(cut("SHOW TABLES"), kind(statement_kind::other));
  CAF_CHECK_EQUAL(cut("use x"), kind(statement_kind::use));
  CAF_CHECK_EQUAL(cut("SET a = 1"), kind(statement_kind::set));
  CAF_CHECK_EQUAL(cut("kill query where 1"), kind(statement_kind::kill_query));
  CAF_CHECK_EQUAL(cut("KILL MUTATION WHERE 1"), kind(statement_kind::other));
}

CAF_TEST(the format clause of a query is found) {
  CAF_CHECK_EQUAL(parse_statement("SELECT 1 FORMAT JSON;", true).format,
                  "JSON");
  CAF_CHECK_EQUAL(
    parse_statement("SELECT 1 FORMAT CSV SETTINGS max_threads=1", true).format,
    "CSV");
  CAF_CHECK_EQUAL(parse_statement("SELECT (SELECT 1 FORMAT CSV)", true).format,
                  "");
  CAF_CHECK_EQUAL(parse_statement("SELECT 'x FORMAT CSV'", true).format, "");
  CAF_CHECK_EQUAL(parse_statement("SELECT format('{}', 1)", true).format, "");
}

CAF_TEST(several statements are refused and a last semicolon is not ) {
  CAF_CHECK_EQUAL(cut("SELECT 1; SELECT 2"), "error 62");
  CAF_CHECK_EQUAL(parse_statement("SELECT 1; -- end", true).sql, "SELECT 1");
  CAF_CHECK_EQUAL(parse_statement("SELECT ';', $$;$$, $a$;$a$;", true).sql,
                  "SELECT ';', $$;$$, $a$;$a$");
}

CAF_TEST(what touches files of the server is refused) {
  CAF_CHECK_EQUAL(cut("SELECT 1 INTO OUTFILE '/tmp/x'"), "error 344");
  CAF_CHECK_EQUAL(cut("INSERT INTO t FROM INFILE '/tmp/x' FORMAT CSV"),
                  "error 344");
  CAF_CHECK_EQUAL(cut("SELECT 'INTO OUTFILE'"), kind(statement_kind::stream));
}

CAF_TEST(commands of the command line client are refused) {
  for (auto text : {"exit", "QUIT;", "\\d", "", " -- nothing", "(("})
    CAF_CHECK_EQUAL(cut(text), "error 62");
}

CAF_TEST(the query id is replaced where it is a name) {
  CAF_CHECK_EQUAL(replace_query_id("query_id = 'query_id' AND `query_id` = "
                                   "initial_query_id",
                                   "X"),
                  "X = 'query_id' AND X = initial_query_id");
}

CAF_TEST(a kill statement is taken apart) {
  using mode = kill_statement::mode;
  auto x = parse_kill("KILL QUERY WHERE query_id = 'SYNC' SYNC FORMAT CSV");
  CAF_CHECK_EQUAL(x.condition, " query_id = 'SYNC'");
  CAF_CHECK(x.how == mode::sync);
  x = parse_kill("kill query where (user = 'a' or query_id in ('x')) test");
  CAF_CHECK_EQUAL(x.condition, " (user = 'a' or query_id in ('x'))");
  CAF_CHECK(x.how == mode::test);
  CAF_CHECK(parse_kill("KILL QUERY WHERE 1").how == mode::async);
  CAF_CHECK(parse_kill("KILL QUERY").error.code == 62);
  CAF_CHECK(parse_kill("KILL QUERY ON CLUSTER c WHERE 1").error.code == 48);
}

CAF_TEST(a FORMAT clause is told from names) {
  auto format = [](std::string_view sql) {
    auto x = parse_statement(sql, true);
    return std::string{x.format} + "|"
           + std::string{x.sql.substr(x.output_offset)};
  };
  CAF_CHECK_EQUAL(format("SELECT 1 FORMAT JSON"), "JSON|FORMAT JSON");
  CAF_CHECK_EQUAL(format("SELECT 1 format \"XML\" settings a = 1;"),
                  "XML|format \"XML\" settings a = 1");
  CAF_CHECK_EQUAL(format("(SELECT a FROM format) FORMAT CSV"),
                  "CSV|FORMAT CSV");
  CAF_CHECK_EQUAL(format("SELECT format FROM t"), "|");
  CAF_CHECK_EQUAL(format("SELECT format AS x, format y FROM t"), "|");
  CAF_CHECK_EQUAL(format("SELECT * FROM format final"), "|");
  CAF_CHECK_EQUAL(format("SELECT * FROM db.format f"), "|");
  CAF_CHECK_EQUAL(format("SELECT format('{}', 1) WHERE format = 1"), "|");
  CAF_CHECK_EQUAL(format("SELECT 'FORMAT CSV'"), "|");
}
