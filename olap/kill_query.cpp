// KILL QUERY for the query ids that clients know.
#include "olap/kill_statement.hpp"
#include "olap/lexer.hpp"
#include "olap/query_run.hpp"

#include <algorithm>
#include <chrono>

namespace millrace::olap {

namespace {

/// What system.processes has for the query id that came over HTTP.
constexpr std::string_view client_id
  = "if(Settings['log_comment'] != '', Settings['log_comment'], query_id)";

constexpr std::chrono::hours sync_timeout{24};

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    result.emplace_back(line);
  }
  return result;
}

/// `query_id = 'x'`: the id. Such a query is found also before it has reached
/// the engine.
bool single_id(std::string_view condition, std::string& id) {
  lexer in{condition};
  if (!in.next().is("QUERY_ID") || !in.next().is_mark('='))
    return false;
  auto value = in.next();
  if (value.type != token::kind::text || !value.text.starts_with('\'')
      || in.next().type != token::kind::end)
    return false;
  auto text = value.text.substr(1, value.text.size() - 2);
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] == '\\' || text[i] == '\'') && i + 1 < text.size())
      ++i;
    id += text[i];
  }
  return true;
}

} // namespace

db_error query_run::kill(const statement& st) {
  auto parsed = parse_kill(st.sql);
  if (parsed.error)
    return parsed.error;
  open_writer(st);
  auto test = parsed.how == kill_statement::mode::test;
  auto sync = parsed.how == kill_statement::mode::sync;
  auto condition = replace_query_id(parsed.condition, client_id);
  auto own = quote(request_.query_id);
  auto listed = connection_.handle().query(
    "SELECT " + std::string{client_id} + " FROM system.processes WHERE ("
      + condition + ") AND " + std::string{client_id} + " != " + own
      + " FORMAT TSVRaw",
    "TSVRaw", request_.parameters);
  if (auto err = listed.error())
    return err;
  auto ids = lines_of(listed.bytes());
  if (std::string id; single_id(parsed.condition, id) && id != request_.query_id
                      && std::find(ids.begin(), ids.end(), id) == ids.end())
    ids.push_back(id);
  std::vector<std::string> killed;
  for (auto& id : ids)
    if (test ? context_.running.has(id) : context_.running.cancel(id))
      killed.push_back(id);
  auto ended = sync && context_.running.wait_until_gone(killed, sync_timeout);
  std::string rows;
  for (auto& id : killed)
    rows += (rows.empty() ? "" : ", ") + quote(id);
  if (rows.empty())
    return {};
  auto status = test ? "unknown_status" : ended ? "finished" : "waiting";
  auto x = connection_.handle().query(
    "SELECT '" + std::string{status} + "' AS kill_status, arrayJoin([" + rows
      + "]) AS query_id, " + quote(user_) + " AS user",
    format_);
  if (auto err = x.error())
    return err;
  writer_->write(x.bytes());
  return {};
}

} // namespace millrace::olap
