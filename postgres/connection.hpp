#pragma once

#include "messages/ec.hpp"
#include "postgres/options.hpp"

#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::postgres {

struct conn_deleter {
  void operator()(PGconn* x) const {
    PQfinish(x);
  }
};

struct result_deleter {
  void operator()(PGresult* x) const {
    PQclear(x);
  }
};

using conn_ptr = std::unique_ptr<PGconn, conn_deleter>;
using rows_ptr = std::unique_ptr<PGresult, result_deleter>;

enum class session_kind { ordinary, replication };

/// Connects, blocking up to `connect_timeout` (10 s unless the URI says
/// otherwise). The session has the settings of docs/types.md, whatever
/// database, role and server say. It waits at most 5 s for a lock. What it
/// waits for ends when `options.stop` is set; the connection is of no use then.
result<conn_ptr> connect(const source_options& options, session_kind kind);

/// Runs one command and waits for it, as PQexec does. Null when the session has
/// been stopped meanwhile.
rows_ptr exec(PGconn* conn, const std::string& sql);

/// Whether the session's `options.stop` is set.
bool is_stopped(PGconn* conn);

/// Runs one command and waits for it. `what` begins the error's text: "cannot
/// create slot \"s1\"".
result<rows_ptr>
run(PGconn* conn, const std::string& sql, std::string_view what);

/// The same with text parameters.
result<rows_ptr>
run(PGconn* conn, const std::string& sql,
    const std::vector<std::string>& params, std::string_view what);

/// What went wrong, from a failed result (may be null) or the connection.
failure
server_failure(PGconn* conn, const PGresult* rows, std::string_view what);

/// SQLSTATE of a failed result; empty when the server did not say.
std::string_view sqlstate(const PGresult* rows);

/// Which error a SQLSTATE stands for, where no context says otherwise.
ec classify(std::string_view sqlstate);

/// Adds to a failure who holds the table exclusively, if somebody does.
failure name_lock_holders(PGconn* conn, uint32_t table, failure why);

/// Joins the lines of a message, without source locations.
std::string one_line(std::string_view text);

/// Server and database for error texts: `shop on db1:5432`. No secrets.
std::string describe_peer(PGconn* conn);

/// `"Name"`, quotes doubled.
std::string quote_name(std::string_view name);

/// `'text'`, as SQL literal.
std::string quote_text(std::string_view text);

/// `"schema"."name"`.
std::string quote_name(std::string_view schema, std::string_view name);

/// A text[] literal.
std::string text_array(const std::vector<std::string>& xs);

inline std::string_view field(const PGresult* rows, int row, int column) {
  return {PQgetvalue(rows, row, column),
          static_cast<size_t>(PQgetlength(rows, row, column))};
}

inline bool is_true(const PGresult* rows, int row, int column) {
  return field(rows, row, column) == "t";
}

/// A field that holds an integer; 0 when it is null or anything else.
int64_t integer(const PGresult* rows, int row, int column);

} // namespace millrace::postgres
