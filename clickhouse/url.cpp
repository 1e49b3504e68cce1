#include "clickhouse/url.hpp"

#include "clickhouse/names.hpp"

#include <cctype>

#include <curl/curl.h>

namespace millrace::clickhouse {

namespace {

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK)
    return {};
  std::string out = text;
  curl_free(text);
  return out;
}

/// What may be shown of a URL: neither its user part nor its query.
std::string shown(std::string_view url) {
  url = url.substr(0, url.find('?'));
  auto at = url.rfind('@');
  return std::string{at == std::string_view::npos ? url : url.substr(at + 1)};
}

void append_escaped(std::string& out, std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  for (auto c : text) {
    auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) || c == '_' || c == '-' || c == '.' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += digits[u >> 4];
      out += digits[u & 15];
    }
  }
}

} // namespace

url_parts parse_url(const std::string& text) {
  url_parts out;
  out.label = shown(text);
  auto url = curl_url();
  if (url == nullptr)
    return out;
  if (curl_url_set(url, CURLUPART_URL, text.c_str(), 0) == CURLUE_OK) {
    auto scheme = part(url, CURLUPART_SCHEME);
    auto host = part(url, CURLUPART_HOST);
    auto port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    auto path = part(url, CURLUPART_PATH);
    out.label = scheme + "://" + host + ':' + port;
    out.base = out.label + (path.empty() ? "/" : path);
    // A password in the URL would end up in logs of proxies.
    out.good = (scheme == "http" || scheme == "https") && !host.empty()
               && part(url, CURLUPART_USER).empty()
               && part(url, CURLUPART_PASSWORD).empty()
               && part(url, CURLUPART_QUERY).empty();
    out.loopback
      = host == "localhost" || host == "[::1]" || host.substr(0, 4) == "127.";
  }
  curl_url_cleanup(url);
  return out;
}

void append_parameters(std::string& url, const parameters& xs) {
  for (auto& [name, value] : xs) {
    url += url.find('?') == std::string::npos ? '?' : '&';
    append_escaped(url, name);
    url += '=';
    append_escaped(url, value);
  }
}

std::string name_insert(std::string_view statement) {
  constexpr std::string_view into = "INTO ";
  auto at = statement.find(into);
  if (at == std::string_view::npos)
    return "insert";
  statement.remove_prefix(at + into.size());
  statement = statement.substr(0, statement.find(" ("));
  statement = statement.substr(0, statement.find(" FORMAT"));
  std::string out = "insert into \"";
  for (size_t i = 0; i < statement.size(); ++i) {
    if (statement[i] == '\\' && i + 1 < statement.size())
      ++i;
    else if (statement[i] == '`')
      continue;
    out += statement[i];
  }
  out += '"';
  return out;
}

std::string name_query(std::string_view sql) {
  auto text = one_line(sql.substr(0, sql.find('\'')), 60);
  return "run \"" + text + '"';
}

} // namespace millrace::clickhouse
