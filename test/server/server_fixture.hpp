#pragma once

#include "messages/change_batch.hpp"
#include "postgres/connection.hpp"
#include "postgres/source_admin.hpp"
#include "test/unit/has.hpp"

#include <caf/test/dsl.hpp>

#include <cstdlib>
#include <string>
#include <vector>

namespace millrace::test {

/// A database of its own in the PostgreSQL that MILLRACE_TEST_SOURCE names, for
/// a superuser. Gone at the end, with what holds on to it.
struct server_fixture {
  server_fixture() {
    const auto* uri = std::getenv("MILLRACE_TEST_SOURCE");
    CAF_REQUIRE(uri != nullptr);
    server_options.uri = std::string{uri} + " dbname=postgres";
    static int count = 0;
    database = "t" + std::to_string(getpid()) + "_" + std::to_string(++count);
    server = open(server_options);
    run(server, "CREATE DATABASE " + database);
    options.uri = std::string{uri} + " dbname=" + database;
    options.publication = "p";
    options.slot = database;
    sql = open(options);
  }

  ~server_fixture() {
    sql.reset();
    // What still runs ends with it; a slot is free a moment later.
    run(server, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = '"
                  + database + "'");
    run(server, "SELECT pg_drop_replication_slot(slot_name) FROM"
                " pg_replication_slots WHERE database = '"
                  + database + "'");
    run(server, "DROP DATABASE " + database + " WITH (FORCE)");
  }

  static postgres::conn_ptr open(const postgres::source_options& x) {
    auto conn = postgres::connect(x, postgres::session_kind::ordinary);
    if (!conn)
      CAF_FAIL(conn.error().text);
    return std::move(*conn);
  }

  /// Runs statements; rows of the last one as text, columns joined by '|'.
  static std::vector<std::string>
  run(postgres::conn_ptr& conn, const std::string& text) {
    auto rows = postgres::run(conn.get(), text, "test");
    if (!rows)
      CAF_FAIL(rows.error().text);
    std::vector<std::string> result;
    for (int i = 0; i < PQntuples(rows->get()); ++i) {
      std::string line;
      for (int j = 0; j < PQnfields(rows->get()); ++j)
        line += (j > 0 ? "|" : "")
                + (PQgetisnull(rows->get(), i, j) != 0
                     ? std::string{"NULL"}
                     : std::string{postgres::field(rows->get(), i, j)});
      result.push_back(std::move(line));
    }
    return result;
  }

  std::vector<std::string> run(const std::string& text) {
    return run(sql, text);
  }

  /// The only field of the only row.
  std::string value(const std::string& text) {
    auto rows = run(text);
    CAF_REQUIRE_EQUAL(rows.size(), 1u);
    return rows[0];
  }

  /// A table as the catalogue has it.
  table_description_ptr describe(const std::string& name) {
    postgres::source_admin admin{options};
    auto seen = admin.survey();
    if (!seen)
      CAF_FAIL(seen.error().text);
    for (const auto& x : seen->tables)
      if (x->full_name() == name)
        return x;
    CAF_FAIL("no table " << name);
  }

  postgres::source_options server_options;
  postgres::source_options options;
  std::string database;

  /// Sessions of the test: of the server, and of its database. Names need
  /// their schema.
  postgres::conn_ptr server;
  postgres::conn_ptr sql;
};

/// The value of a call; ends the test with the failure if there is none.
template <class T>
T good(result<T> x) {
  if (!x)
    CAF_FAIL(x.error().text);
  if constexpr (!std::is_void_v<T>)
    return std::move(*x);
}

/// The failure of a call; ends the test if there is none.
template <class T>
failure bad(const result<T>& x) {
  CAF_REQUIRE(!x);
  CAF_MESSAGE(to_string(x.error().code) << ": " << x.error().text);
  return x.error();
}

/// A row as text, columns joined by '|'.
inline std::string
row_text(const change_batch& batch, uint32_t at, size_t columns) {
  std::string result;
  for (size_t i = 0; i < columns; ++i) {
    const auto& x = batch.cells[at + i];
    result += (i > 0 ? "|" : "")
              + (x.size == cell::null        ? std::string{"NULL"}
                 : x.size == cell::unchanged ? std::string{"UNCHANGED"}
                                             : std::string{batch.text_of(x)});
  }
  return result;
}

} // namespace millrace::test
