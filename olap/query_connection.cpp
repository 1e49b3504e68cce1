#include "olap/query_connection.hpp"

#include "olap/lexer.hpp"

#include <algorithm>

namespace millrace::olap {

query_connection::query_connection(engine& e, session_list& sessions)
  : db_(e), sessions_(sessions) {
  // nop
}

query_connection::~query_connection() {
  close();
}

db_error query_connection::open(const std::string& user, bool readonly,
                                const query_request& request) {
  if (request.session_id.empty()) {
    own_ = db_.connect();
    if (!own_)
      return parse_error("the engine refuses another connection");
    connection_ = &own_;
    return {};
  }
  auto err = sessions_.acquire(user, request.session_id, request.session_check,
                               readonly, session_);
  if (err) {
    session_ = nullptr;
    return err;
  }
  user_ = user;
  session_id_ = request.session_id;
  session_timeout_ = request.session_timeout;
  close_session_ = request.close_session;
  connection_ = &session_->connection;
  return {};
}

bool query_connection::has_own(std::string_view setting) const {
  return session_ && session_->own_settings.count(setting) > 0;
}

db_error query_connection::use(const std::string& database) {
  auto err = connection_->query("USE " + quote_name(database)).error();
  if (!err && session_)
    restore_database_ = session_->database;
  return err;
}

db_error query_connection::remember(const http::parameter_list& settings) {
  std::string names;
  for (auto& [name, value] : settings)
    names += (names.empty() ? "" : ", ") + quote(name);
  http::parameter_list own;
  if (!session_->own_settings.empty() && !names.empty()) {
    // Names and values as literals, so that they can be written back.
    auto old = connection_->query(
      "SELECT name, substring(toString(tuple(value)), 2, "
      "length(toString(tuple(value))) - 2) FROM system.settings "
      "WHERE changed AND name IN ("
      + names + ") FORMAT TSVRaw");
    if (auto err = old.error())
      return err;
    for (auto rest = old.bytes(); !rest.empty();) {
      auto line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      auto tab = std::min(line.find('\t'), line.size() - 1);
      own.emplace_back(line.substr(0, tab), line.substr(tab + 1));
    }
  }
  for (auto& [name, value] : settings) {
    auto same = [n = &name](auto& x) { return x.first == *n; };
    auto i = std::find_if(own.begin(), own.end(), same);
    restore_sql_.append(restore_sql_.empty() ? "" : ", ").append(name);
    restore_sql_.append(" = ").append(i != own.end() ? i->second : "DEFAULT");
  }
  return {};
}

db_error query_connection::set(const http::parameter_list& settings) {
  std::string sql;
  auto err = render_settings(settings, sql);
  if (!err && session_)
    err = remember(settings);
  return err ? err : connection_->query("SET " + sql).error();
}

void query_connection::drop_later(std::string name) {
  temporary_tables_.push_back(std::move(name));
}

void query_connection::has_set(std::string_view sql) {
  if (!session_)
    return;
  // SET a = 1, b, c = 'x': the words where a name is due.
  lexer in{sql};
  in.next();
  auto due = true;
  for (auto t = in.next(); !is_over(t); t = in.next()) {
    if (due && t.type == token::kind::word)
      session_->own_settings.emplace(t.text);
    due = t.is_mark(',');
  }
}

void query_connection::has_used() {
  if (!session_)
    return;
  restore_database_.clear();
  auto name = connection_->query("SELECT currentDatabase()");
  auto text = name.bytes();
  while (!text.empty() && text.back() == '\n')
    text.remove_suffix(1);
  if (!text.empty())
    session_->database = text;
}

void query_connection::close() {
  if (session_) {
    for (auto& table : temporary_tables_)
      connection_->query("DROP TEMPORARY TABLE IF EXISTS " + table);
    if (!restore_database_.empty())
      connection_->query("USE " + quote_name(restore_database_));
    if (!restore_sql_.empty())
      connection_->query("SET " + restore_sql_);
    session_ = nullptr;
    sessions_.release(user_, session_id_, session_timeout_, close_session_);
  }
  connection_ = nullptr;
  own_ = engine_connection{};
}

} // namespace millrace::olap
