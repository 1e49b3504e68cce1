#include "olap/db_error.hpp"

#include <charconv>
#include <initializer_list>

namespace millrace::olap {

namespace {

bool one_of(int code, std::initializer_list<int> codes) {
  for (auto x : codes)
    if (x == code)
      return true;
  return false;
}

} // namespace

db_error make_error(int code, std::string_view name, std::string_view text) {
  std::string result = "Code: " + std::to_string(code) + ". DB::Exception: ";
  result.append(text).append(" (").append(name).append(")");
  return {code, std::move(result)};
}

db_error query_cancelled() {
  return make_error(394, "QUERY_WAS_CANCELLED", "Query was cancelled");
}

db_error parse_error(std::string_view text) {
  constexpr std::string_view prefix = "Code: ";
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.remove_suffix(1);
  auto pos = text.find(prefix);
  if (pos != text.npos) {
    int code = 0;
    auto digits = text.substr(pos + prefix.size());
    auto [end, err]
      = std::from_chars(digits.data(), digits.data() + digits.size(), code);
    if (err == std::errc{} && code > 0)
      return {code, std::string{text.substr(pos)}};
  }
  if (text.find("not support") != text.npos)
    return make_error(48, "NOT_IMPLEMENTED", text);
  return make_error(1002, "UNKNOWN_EXCEPTION", text);
}

unsigned http_status(int code) {
  // REQUIRED_PASSWORD.
  if (code == 194)
    return 401;
  // UNKNOWN_USER, WRONG_PASSWORD, ACCESS_DENIED, SET_NON_GRANTED_ROLE,
  // AUTHENTICATION_FAILED.
  if (one_of(code, {192, 193, 497, 512, 516}))
    return 403;
  // CANNOT_PARSE_*, THERE_IS_NO_COLUMN, DUPLICATE_COLUMN, BAD_ARGUMENTS,
  // UNKNOWN_ELEMENT_IN_AST, ILLEGAL_COLUMN, TYPE_MISMATCH, SYNTAX_ERROR,
  // INCORRECT_DATA, UNKNOWN_TYPE_OF_AST_NODE, TOO_DEEP_AST, TOO_BIG_AST,
  // UNEXPECTED_AST_STRUCTURE, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
  // CANNOT_COMPILE_REGEXP.
  if (one_of(code, {6,  25, 26, 27, 38, 41,  72,  376, 441, 675, 676, 8,  15,
                    36, 37, 44, 53, 62, 117, 123, 167, 168, 223, 321, 427}))
    return 400;
  // UNKNOWN_FUNCTION, _IDENTIFIER, _TYPE, _STORAGE, _TABLE,
  // _AGGREGATE_FUNCTION, _FORMAT, _TYPE_OF_QUERY, _DATABASE,
  // _DIRECTION_OF_SORTING, _SETTING, _DATABASE_ENGINE, _ROLE.
  if (one_of(code, {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511}))
    return 404;
  switch (code) {
    case 48: // NOT_IMPLEMENTED
      return 501;
    case 76:  // CANNOT_OPEN_FILE
    case 209: // SOCKET_TIMEOUT
    case 439: // CANNOT_SCHEDULE_TASK
      return 503;
    case 159: // TIMEOUT_EXCEEDED
      return 408;
    case 229: // QUERY_IS_TOO_LARGE
      return 413;
    case 381: // HTTP_LENGTH_REQUIRED
      return 411;
    default:
      return 500;
  }
}

std::string render(const db_error& x, std::string_view version) {
  auto text = x.text;
  if (text.find("(version ") == text.npos)
    text.append(" (version ").append(version).append(")");
  if (text.back() != '\n')
    text += '\n';
  return text;
}

} // namespace millrace::olap
