#pragma once

#include "http/target.hpp"
#include "olap/db_error.hpp"
#include "olap/engine.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::olap {

/// What the parameters of a request ask for.
struct query_request {
  std::string query;
  std::string query_id;
  std::string database;
  std::string default_format;

  std::string session_id;
  std::chrono::seconds session_timeout{60};
  bool session_check = false;
  bool close_session = false;

  bool compress = false;
  bool decompress = false;
  bool wait_end_of_query = false;
  bool enable_compression = true;
  int compression_level = 3;
  bool has_protocol_version = false;

  /// 0 unless the client asks for it.
  int readonly = 0;

  /// `param_x=...`
  query_parameters parameters;

  /// Everything else: settings of this query.
  http::parameter_list settings;

  /// `x_format`, `x_structure`, `x_types` of the external tables in a
  /// multipart body, under these names.
  http::parameter_list external;

  const std::string* find_external(const std::string& name) const;
  bool has_setting(std::string_view name) const;
};

/// Sorts parameters of the URL or of a multipart body into `x`. `multipart`:
/// `x_format`, `x_structure` and `x_types` describe external tables.
db_error sort_parameters(const http::parameter_list& from, bool multipart,
                         query_request& x);

/// `name = 'value', ...` for SET; fails for what is no name of a setting.
db_error
render_settings(const http::parameter_list& settings, std::string& sql);

} // namespace millrace::olap
