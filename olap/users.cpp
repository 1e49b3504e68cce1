#include "olap/users.hpp"

#include "olap/sha256.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

namespace millrace::olap {

namespace {

constexpr std::string_view hash_prefix = "sha256:";

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in{line};
  std::vector<std::string> words;
  for (std::string word; in >> word;)
    words.push_back(word);
  return words;
}

bool is_hash(std::string_view text) {
  return text.size() == 64
         && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

/// Takes the same time wherever the difference is.
bool equal(std::string_view x, std::string_view y) {
  auto difference = x.size() ^ y.size();
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    difference |= static_cast<uint8_t>(x[i] ^ y[i]);
  return difference == 0;
}

db_error authentication_error(const std::string& text) {
  return make_error(516, "AUTHENTICATION_FAILED", text);
}

bool is_basic(std::string_view text) {
  constexpr std::string_view scheme = "basic ";
  return text.size() > scheme.size()
         && std::equal(scheme.begin(), scheme.end(), text.begin(),
                       [](char a, char b) {
                         return a == std::tolower(static_cast<uint8_t>(b));
                       });
}

} // namespace

user_list::user_list() {
  users_["default"] = {sha256_hex(""), false};
}

result<user_list> user_list::load(const std::string& path) {
  std::ifstream in{path};
  std::stringstream text;
  if (!in || !(text << in.rdbuf()))
    return fail(ec::invalid_configuration, "cannot read the users file " + path
                                             + ": " + std::strerror(errno));
  return parse(text.str(), path);
}

result<user_list>
user_list::parse(std::string_view text, const std::string& name) {
  user_list x;
  x.users_.clear();
  std::string problems;
  std::istringstream in{std::string{text}};
  size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    auto complain = [&](const std::string& what) {
      problems += (problems.empty() ? "" : "; ") + name + ":"
                  + std::to_string(number) + ": " + what;
    };
    auto words = words_of(line);
    if (words.empty() || words[0].front() == '#')
      continue;
    if (words.size() < 2 || words.size() > 3
        || (words.size() == 3 && words[2] != "readonly")) {
      complain("expected \"name password [readonly]\"");
      continue;
    }
    user u;
    if (words[1].starts_with(hash_prefix)) {
      u.hash = words[1].substr(hash_prefix.size());
      if (!is_hash(u.hash)) {
        complain("sha256: needs 64 hex digits behind it");
        continue;
      }
      for (auto& c : u.hash)
        c = static_cast<char>(std::tolower(static_cast<uint8_t>(c)));
    } else {
      u.hash = sha256_hex(words[1]);
    }
    u.readonly = words.size() == 3;
    if (!x.users_.emplace(words[0], std::move(u)).second)
      complain("user " + words[0] + " is there twice");
  }
  if (problems.empty() && x.users_.empty())
    problems = name + ": no user in it";
  if (!problems.empty())
    return fail(ec::invalid_configuration, problems);
  return x;
}

db_error user_list::check(const std::string& name, std::string_view password,
                          bool& readonly) const {
  auto i = users_.find(name);
  static const auto nobody = sha256_hex("no such user");
  auto& hash = i != users_.end() ? i->second.hash : nobody;
  auto fits = equal(sha256_hex(password), hash);
  if (i == users_.end() || !fits)
    return authentication_error(name
                                + ": Authentication failed: password is "
                                  "incorrect, or there is no user with such "
                                  "name.");
  readonly = i->second.readonly;
  return {};
}

db_error find_credentials(const credential_fields& fields, credentials& x) {
  auto by_header = !fields.header_user.empty() || !fields.header_key.empty();
  auto by_parameter
    = fields.parameter_user != nullptr || fields.parameter_password != nullptr;
  auto basic = !fields.authorization.empty();
  if (by_header + by_parameter + basic > 1)
    return authentication_error(
      "Invalid authentication: it is not allowed to use more than one of "
      "X-ClickHouse HTTP headers, Authorization HTTP header and "
      "authentication via parameters simultaneously");
  if (by_header) {
    x.user = fields.header_user;
    x.password = fields.header_key;
  } else if (basic) {
    std::string plain;
    if (!is_basic(fields.authorization)
        || !base64_decode(fields.authorization.substr(6), plain))
      return authentication_error("Invalid authentication: only the HTTP "
                                  "Authorization scheme Basic is supported");
    auto colon = std::min(plain.find(':'), plain.size());
    x.user = plain.substr(0, colon);
    x.password = plain.substr(std::min(plain.size(), colon + 1));
  } else {
    if (fields.parameter_user != nullptr)
      x.user = *fields.parameter_user;
    if (fields.parameter_password != nullptr)
      x.password = *fields.parameter_password;
  }
  if (x.user.empty())
    return authentication_error("Got an empty user name");
  return {};
}

bool base64_decode(std::string_view text, std::string& out) {
  constexpr std::string_view alphabet
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (!text.empty() && (text.back() == '=' || text.back() == ' '))
    text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  uint32_t bits = 0;
  int count = 0;
  for (auto c : text) {
    auto value = alphabet.find(c);
    if (value == alphabet.npos)
      return false;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
    }
  }
  return count < 6;
}

} // namespace millrace::olap
