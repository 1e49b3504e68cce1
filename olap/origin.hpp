#pragma once

#include "olap/db_error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace millrace::olap {

/// Keeps web pages out. A page in a browser can send requests to this machine;
/// it must not be able to use them.
struct origin_policy {
  /// Whether `Host` must name this machine (when listening on loopback only):
  /// a foreign name there means that a page's name was pointed at 127.0.0.1.
  bool check_host = true;

  /// Further names that are ours.
  std::vector<std::string> own_names;
};

/// The header fields that say where a request comes from; empty if absent.
struct origin_fields {
  std::string_view host;
  std::string_view origin;
  std::string_view fetch_site;
};

/// Error 497 unless the request comes from a program or from a page of ours.
db_error check_origin(const origin_policy& policy, const origin_fields& fields);

} // namespace millrace::olap
