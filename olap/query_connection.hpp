#pragma once

#include "http/target.hpp"
#include "olap/engine.hpp"
#include "olap/query_request.hpp"
#include "olap/sessions.hpp"

#include <memory>
#include <string>
#include <vector>

namespace millrace::olap {

/// The engine's connection for one query: a fresh one, or that of its session.
/// What the query sets for itself is put back in the session. One thread.
class query_connection {
public:
  query_connection(engine& e, session_list& sessions);
  query_connection(const query_connection&) = delete;

  /// Closes.
  ~query_connection();

  db_error
  open(const std::string& user, bool readonly, const query_request& request);

  engine_connection& handle() {
    return *connection_;
  }

  bool in_session() const {
    return session_ != nullptr;
  }

  /// Whether the client has set this setting in its session: then it is not
  /// ours to choose.
  bool has_own(std::string_view setting) const;

  /// Changes the current database for this query.
  db_error use(const std::string& database);

  /// Changes settings for this query.
  db_error set(const http::parameter_list& settings);

  /// Removes a temporary table at the end; `name` is quoted.
  void drop_later(std::string name);

  /// After the client's own SET or USE: they stay in the session.
  void has_set(std::string_view sql);
  void has_used();

  /// Puts the session back to what it was and gives it free, or closes the
  /// connection.
  void close();

private:
  db_error remember(const http::parameter_list& settings);

  engine& db_;
  session_list& sessions_;
  engine_connection own_;
  std::shared_ptr<session> session_;
  engine_connection* connection_ = nullptr;

  std::string user_;
  std::string session_id_;
  std::chrono::seconds session_timeout_{0};
  bool close_session_ = false;

  /// What has to be put back.
  std::string restore_sql_;
  std::string restore_database_;
  std::vector<std::string> temporary_tables_;
};

} // namespace millrace::olap
