#pragma once

#include "http/server.hpp"
#include "http/target.hpp"
#include "olap/byte_source.hpp"
#include "olap/engine.hpp"
#include "olap/multipart.hpp"
#include "olap/query_request.hpp"
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
  db_error open_body();
  db_error open_connection();
  db_error enlist();
  db_error read_multipart(multipart_reader& in);
  db_error load_external(multipart_reader& in, const std::string& name);
  db_error read_statement(statement& st);
  db_error prepare(const statement& st);
  db_error check_readonly(const statement& st);
  db_error apply_settings(const statement& st);

  /// Notes how the session's values of `settings` are put back.
  db_error remember_settings(const http::parameter_list& settings);
  db_error insert(const statement& st);
  db_error stream(const statement& st);
  db_error query(const statement& st);
  db_error kill(const statement& st);
  db_error body_error() const;
  void open_writer(const statement& st);
  void watch_client();

  /// Puts the session back to what it was and gives it and the query id free,
  /// before the client learns that the query has ended.
  void clean_up();
  void restore_session();

  const std::string& output_format(const statement& st);

  query_context context_;
  const http::call& call_;
  const http::target& target_;
  std::string user_;
  bool readonly_user_;
  bool readonly_ = false;
  query_request request_;

  std::unique_ptr<byte_source> raw_;
  std::unique_ptr<byte_source> decoded_;
  std::unique_ptr<byte_source> blocks_;
  byte_source* body_ = nullptr;

  /// The statement's text, with as much of the body as was needed to see it.
  std::string text_;
  std::string format_;

  engine_connection own_connection_;
  std::shared_ptr<session> session_;
  engine_connection* connection_ = nullptr;
  running_queries::entry entry_;

  /// What has to be put back in the session.
  std::string restore_sql_;
  std::string restore_database_;
  std::vector<std::string> external_tables_;

  std::unique_ptr<result_writer> writer_;
  counters counters_;

  /// Nobody is there to take an answer.
  bool gone_ = false;
};

} // namespace millrace::olap
