#pragma once

#include "http/server.hpp"
#include "http/target.hpp"
#include "olap/engine.hpp"
#include "olap/query_connection.hpp"
#include "olap/query_request.hpp"
#include "olap/request_body.hpp"
#include "olap/result_writer.hpp"
#include "olap/running_queries.hpp"
#include "olap/sessions.hpp"
#include "olap/statement.hpp"

#include <memory>
#include <string>

namespace millrace::olap {

/// What all queries share.
struct query_context {
  engine& db;
  running_queries& running;
  session_list& sessions;
  const std::string& scratch;
};

/// One query that came over HTTP, from its parameters to its answer.
class query_run {
public:
  query_run(query_context context, const http::call& call,
            const http::target& target, std::string user, bool readonly);
  ~query_run();

  void run();

private:
  /// All steps up to the result; the error ends them.
  db_error execute();
  db_error read_request(statement& st);
  db_error open_body();
  db_error enlist();
  db_error read_form(const std::string& boundary);
  db_error read_statement(statement& st);

  /// Database and settings.
  db_error prepare(const statement& st);
  db_error check_readonly(const statement& st);
  db_error apply_settings(const statement& st);

  db_error insert(const statement& st);
  db_error stream(const statement& st);
  db_error query(const statement& st);
  db_error kill(const statement& st);
  db_error answer_revision(const statement& st);

  db_error body_error() const;
  void open_writer(const statement& st);
  void watch_client();
  const std::string& output_format(const statement& st);

  /// Gives the session and the query id free before the client learns that the
  /// query has ended.
  void clean_up();

  query_context context_;
  const http::call& call_;
  const http::target& target_;
  std::string user_;
  bool readonly_user_;
  bool readonly_ = false;
  query_request request_;
  request_body body_;

  /// The body was a form: it is read.
  bool form_ = false;

  /// The statement's text, with as much of the body as was needed to see it.
  std::string text_;
  std::string format_;

  query_connection connection_;
  running_queries::entry entry_;
  std::unique_ptr<result_writer> writer_;
  counters counters_;

  /// Nobody is there to take an answer.
  bool gone_ = false;
};

} // namespace millrace::olap
