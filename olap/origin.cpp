#include "olap/origin.hpp"

#include "http/server.hpp"

#include <algorithm>
#include <cctype>

namespace millrace::olap {

namespace {

std::string lower(std::string_view text) {
  std::string result{text};
  for (auto& c : result)
    c = static_cast<char>(std::tolower(static_cast<uint8_t>(c)));
  return result;
}

/// `name:port`, `[::1]:port` without the port and the brackets.
std::string name_of(std::string_view host) {
  if (host.starts_with('['))
    return std::string{host.substr(1, host.find(']') - 1)};
  auto name = lower(host.substr(0, host.rfind(':')));
  if (!name.empty() && name.back() == '.')
    name.pop_back();
  return name;
}

bool is_ours(const origin_policy& policy, const std::string& name) {
  if (http::is_loopback(name) || name == "localhost"
      || name.ends_with(".localhost"))
    return true;
  auto& own = policy.own_names;
  return std::any_of(own.begin(), own.end(),
                     [&](auto& x) { return lower(x) == name; });
}

db_error refuse(std::string_view what, std::string_view value) {
  auto text = std::string{what} + " \"" + std::string{value}
              + "\" is not this server: requests of foreign web pages are "
                "refused";
  return make_error(497, "ACCESS_DENIED", text);
}

} // namespace

db_error
check_origin(const origin_policy& policy, const origin_fields& fields) {
  if (policy.check_host && !fields.host.empty()
      && !is_ours(policy, name_of(fields.host)))
    return refuse("Host", fields.host);
  if (!fields.origin.empty()) {
    // `http://host:port`: only the page that this server itself sent.
    auto scheme = fields.origin.find("://");
    if (scheme == fields.origin.npos
        || lower(fields.origin.substr(scheme + 3)) != lower(fields.host))
      return refuse("Origin", fields.origin);
  }
  // Requests of images, links and forms carry no Origin.
  if (!fields.fetch_site.empty() && fields.fetch_site != "same-origin"
      && fields.fetch_site != "none")
    return refuse("Sec-Fetch-Site", fields.fetch_site);
  return {};
}

} // namespace millrace::olap
