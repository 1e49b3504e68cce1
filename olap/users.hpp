#pragma once

#include "messages/ec.hpp"
#include "olap/db_error.hpp"

#include <map>
#include <string>
#include <string_view>

namespace millrace::olap {

/// Who may log in. A file has one user a line:
///
///     # name  password or sha256:<64 hex digits>  [readonly]
///     node
///     sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
///     grafana s3cret readonly
///
/// Authentication only: the engine has one user, so whoever may query can read
/// every table and every file that the process can read.
class user_list {
public:
  /// Without a file: the user `default` without a password.
  user_list();

  /// Reads a file. All problems are in the failure's text.
  static result<user_list> load(const std::string& path);

  /// Reads the text of a file; `name` is for messages.
  static result<user_list>
  parse(std::string_view text, const std::string& name);

  /// Error 516 unless name and password fit. `readonly` tells what the user
  /// may.
  db_error check(const std::string& name, std::string_view password,
                 bool& readonly) const;

private:
  struct user {
    /// SHA-256; of an empty text for users without password.
    std::string hash;
    bool readonly = false;
  };

  std::map<std::string, user> users_;
};

/// Name and password of a request.
struct credentials {
  std::string user = "default";
  std::string password;
};

/// What a request says about itself; empty fields are absent.
struct credential_fields {
  std::string_view authorization;
  std::string_view header_user;
  std::string_view header_key;
  const std::string* parameter_user = nullptr;
  const std::string* parameter_password = nullptr;
};

/// Takes the credentials from where the client put them; mixing two ways is
/// refused as the server does.
db_error find_credentials(const credential_fields& fields, credentials& x);

/// Decodes base64; false when the text is none.
bool base64_decode(std::string_view text, std::string& out);

} // namespace millrace::olap
