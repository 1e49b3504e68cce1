#include "olap/query_request.hpp"

#include <charconv>

namespace millrace::olap {

namespace {

bool is_true(std::string_view text) {
  return text == "1" || text == "true" || text == "True" || text == "TRUE";
}

bool parse_number(std::string_view text, int& x) {
  auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), x);
  return err == std::errc{} && end == text.data() + text.size();
}

db_error bad_timeout(std::string_view text, std::string_view why) {
  return make_error(374, "INVALID_SESSION_TIMEOUT",
                    "Session timeout '" + std::string{text} + "' "
                      + std::string{why});
}

db_error parse_timeout(std::string_view text, query_request& x) {
  int seconds = 0;
  if (!parse_number(text, seconds) || seconds < 0)
    return bad_timeout(text, "is no number");
  if (seconds > 3600)
    return bad_timeout(text, "is larger than max_session_timeout: 3600");
  x.session_timeout = std::chrono::seconds{seconds};
  return {};
}

bool is_external(std::string_view name) {
  return name.ends_with("_format") || name.ends_with("_structure")
         || name.ends_with("_types");
}

/// Parameters that are no settings. True if `name` is one of them.
bool take_own(const std::string& name, const std::string& value,
              query_request& x, db_error& err) {
  if (name == "query")
    x.query += value;
  else if (name == "query_id")
    x.query_id = value;
  else if (name == "database")
    x.database = value;
  else if (name == "default_format")
    x.default_format = value;
  else if (name == "session_id")
    x.session_id = value;
  else if (name == "session_timeout")
    err = parse_timeout(value, x);
  else if (name == "session_check")
    x.session_check = is_true(value);
  else if (name == "close_session")
    x.close_session = is_true(value);
  else if (name == "compress")
    x.compress = is_true(value);
  else if (name == "decompress")
    x.decompress = is_true(value);
  else if (name == "wait_end_of_query")
    x.wait_end_of_query = is_true(value);
  else if (name == "enable_http_compression")
    x.enable_compression = is_true(value);
  else if (name == "http_zlib_compression_level")
    parse_number(value, x.compression_level);
  else if (name == "client_protocol_version")
    x.has_protocol_version = true;
  else if (name == "readonly")
    parse_number(value, x.readonly);
  else
    // Read elsewhere, or without a meaning here: quotas do not exist, the
    // answer's buffer has its size, the query id is in log_comment.
    return name == "user" || name == "password" || name == "quota_key"
           || name == "buffer_size" || name == "stacktrace"
           || name == "log_comment";
  return true;
}

} // namespace

const std::string* query_request::find_external(const std::string& name) const {
  for (auto& [key, value] : external)
    if (key == name)
      return &value;
  return nullptr;
}

bool query_request::has_setting(std::string_view name) const {
  for (auto& [key, value] : settings)
    if (key == name)
      return true;
  return false;
}

db_error sort_parameters(const http::parameter_list& from, bool multipart,
                         query_request& x) {
  constexpr std::string_view prefix = "param_";
  for (auto& [name, value] : from) {
    db_error err;
    if (take_own(name, value, x, err)) {
      if (err)
        return err;
    } else if (name.starts_with(prefix) && name.size() > prefix.size()) {
      x.parameters.emplace_back(name.substr(prefix.size()), value);
    } else if (multipart && is_external(name)) {
      x.external.emplace_back(name, value);
    } else if (!name.empty()) {
      x.settings.emplace_back(name, value);
    }
  }
  return {};
}

db_error
render_settings(const http::parameter_list& settings, std::string& sql) {
  constexpr std::string_view allowed
    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
  for (auto& [name, value] : settings) {
    if (name.find_first_not_of(allowed) != name.npos)
      return make_error(115, "UNKNOWN_SETTING",
                        "Unknown setting '" + name + "'");
    sql.append(sql.empty() ? "" : ", ").append(name).append(" = ");
    sql += quote(value);
  }
  return {};
}

} // namespace millrace::olap
