#include "app/configuration_text.hpp"

#include "app/config_entries.hpp"

#include <caf/actor_system_config.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace millrace {

namespace {

/// Where CAF's parser stopped, and what people usually do wrong there.
std::string syntax_problem(const caf::error& err, std::string_view text) {
  int64_t line = 0;
  int64_t column = 0;
  const auto& context = err.context();
  if (context.match_elements<caf::settings>()) {
    const auto& where = context.get_as<caf::settings>(0);
    line = caf::get_or(where, "line", int64_t{0});
    column = caf::get_or(where, "column", int64_t{0});
  }
  auto result = "line " + std::to_string(line) + ", column "
                + std::to_string(column) + ": syntax error";
  if (text.find('\r') != std::string_view::npos)
    return result + "; the file has Windows line ends, save it with Unix ones";
  if (text.substr(0, 3) == "\xEF\xBB\xBF")
    return result + "; the file begins with a byte order mark, save it without";
  for (int64_t i = 1; i < line && text.find('\n') != std::string_view::npos;
       ++i)
    text.remove_prefix(text.find('\n') + 1);
  text = text.substr(0, text.find('\n'));
  auto first = text.find_first_not_of(" \t");
  if (first != std::string_view::npos
      && (text[first] == '#' || text.substr(first, 2) == "//"))
    return result + "; comments begin with ;";
  return result
         + "; expected [section], or key = value with strings in \"double "
           "quotes\"";
}

/// Entries that stand in the text and did not come out of CAF's parser.
void check_completeness(const config_entries& entries, const caf::settings& xs,
                        std::vector<std::string>& problems) {
  for (const auto& [path, line] : entries.lines)
    if (path.find('[') == std::string::npos
        && caf::get_if(&xs, caf::string_view{path.data(), path.size()})
             == nullptr)
      problems.push_back(path
                         + ": could not be read; look for a missing quote "
                           "or bracket in or before line "
                         + std::to_string(line));
}

} // namespace

tl::expected<std::string, std::string> read_text(const std::string& path) {
  std::error_code err;
  if (std::filesystem::is_directory(path, err))
    return tl::unexpected{std::string{"is a folder, not a file"}};
  errno = 0;
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return tl::unexpected{std::string{"cannot be read: "}
                          + std::strerror(errno)};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (in.bad())
    return tl::unexpected{std::string{"cannot be read: "}
                          + std::strerror(errno)};
  return text;
}

std::optional<caf::settings>
parse_config_text(std::string_view text, std::vector<std::string>& problems) {
  std::istringstream in{std::string{text}};
  auto parsed = caf::actor_system_config::parse_config(in);
  if (!parsed) {
    problems.push_back(syntax_problem(parsed.error(), text));
    return std::nullopt;
  }
  auto entries = scan_config(text);
  problems = entries.problems;
  if (problems.empty())
    check_completeness(entries, *parsed, problems);
  return std::move(*parsed);
}

} // namespace millrace
