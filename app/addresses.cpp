#include "app/addresses.hpp"

#include <libpq-fe.h>

#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>

namespace millrace {

namespace {

bool parse_port(std::string_view text, uint16_t& out) {
  auto [end, err]
    = std::from_chars(text.data(), text.data() + text.size(), out);
  return err == std::errc{} && end == text.data() + text.size() && out != 0;
}

constexpr const char* remedy_source
  = "contains a password, which would be readable in the file: move it to the "
    "file named by source.password-file, or into the environment variable "
    "MILLRACE_SOURCE_PASSWORD";

constexpr const char* remedy_target
  = "contains a user or a password: use target.user, and for the password "
    "target.password-file or the environment variable MILLRACE_TARGET_PASSWORD";

} // namespace

std::optional<listen_address> parse_listen_address(const std::string& text) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0)
    return std::nullopt;
  listen_address result;
  result.host = text.substr(0, colon);
  if (!parse_port(std::string_view{text}.substr(colon + 1), result.port))
    return std::nullopt;
  if (result.host.front() == '[' && result.host.back() == ']')
    result.host = result.host.substr(1, result.host.size() - 2);
  else if (result.host.find(':') != std::string::npos)
    return std::nullopt;
  if (result.host.empty()
      || result.host.find_first_of(" /[]") != std::string::npos)
    return std::nullopt;
  return result;
}

std::string to_string(const listen_address& x) {
  auto v6 = x.host.find(':') != std::string::npos;
  return (v6 ? "[" + x.host + "]" : x.host) + ":" + std::to_string(x.port);
}

std::string objection_to_source_uri(const std::string& text) {
  char* message = nullptr;
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options{
    PQconninfoParse(text.c_str(), &message), &PQconninfoFree};
  std::string reason = message == nullptr ? "" : message;
  PQfreemem(message);
  if (options == nullptr) {
    // libpq repeats what it cannot read, and that may be a password.
    auto secret = text.find('@') != std::string::npos
                  || text.find("password") != std::string::npos;
    while (!reason.empty() && reason.back() == '\n')
      reason.pop_back();
    return "expected postgresql://user@host:5432/database, or \"host=... "
           "user=... dbname=...\""
           + (secret || reason.empty() ? std::string{} : "; libpq: " + reason);
  }
  for (auto* x = options.get(); x->keyword != nullptr; ++x) {
    if (x->val == nullptr)
      continue;
    if (std::strcmp(x->keyword, "password") == 0)
      return remedy_source;
    if (std::strcmp(x->keyword, "sslpassword") == 0)
      return "contains the password of a TLS key, which would be readable in "
             "the file: use a key without password, readable by millrace only";
    if (std::strcmp(x->keyword, "replication") == 0)
      return "must not set \"replication\": millrace sets it where it needs it";
  }
  return {};
}

std::string objection_to_target_url(const std::string& text) {
  std::string_view rest = text;
  auto starts = [&rest](std::string_view prefix) {
    if (rest.substr(0, prefix.size()) != prefix)
      return false;
    rest.remove_prefix(prefix.size());
    return true;
  };
  auto known = starts("http://") || starts("https://");
  if (known
      && rest.substr(0, rest.find_first_of("/?#")).find('@')
           != std::string_view::npos)
    return remedy_target;
  if (rest.find("password=") != std::string_view::npos
      || rest.find("user=") != std::string_view::npos)
    return remedy_target;
  if (!known)
    return "expected http://host:8123 or https://host:8443, got \"" + text
           + "\"";
  if (rest.find_first_of("?#") != std::string_view::npos)
    return "must not have parameters, got \"" + text + "\"";
  auto authority = rest.substr(0, rest.find('/'));
  uint16_t port = 0;
  auto colon = authority.rfind(':');
  if (authority.empty() || colon == 0
      || authority.find_first_of(" \"") != std::string_view::npos)
    return "names no host, got \"" + text + "\"";
  if (colon != std::string_view::npos && authority.back() != ']'
      && !parse_port(authority.substr(colon + 1), port))
    return "expected a port from 1 to 65535 after the last colon, got \"" + text
           + "\"";
  return {};
}

} // namespace millrace
