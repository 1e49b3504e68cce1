#include "app/command_line.hpp"

#include "app/suggest.hpp"

#include <array>
#include <iterator>
#include <optional>

namespace millrace {

namespace {

constexpr std::array commands{command::run, command::check, command::status,
                              command::olap};

std::optional<command> find_command(const std::string& name) {
  for (auto x : commands)
    if (name == to_string(x))
      return x;
  return std::nullopt;
}

std::string hint(command about) {
  std::string name
    = about == command::help ? "" : std::string{" "} + to_string(about);
  return "; see: millrace" + name + " --help";
}

tl::unexpected<std::string> wrong(command about, const std::string& what) {
  return tl::unexpected{what + hint(about)};
}

tl::expected<command_line, std::string>
parse_options(command_line result, const std::vector<std::string>& args) {
  auto about = result.what;
  std::vector<std::string> known{"--config-file", "--help"};
  if (about == command::status)
    known.push_back("--json");
  auto given = false;
  for (size_t i = 1; i < args.size(); ++i) {
    auto equals = args[i].find('=');
    auto name = args[i].substr(0, equals);
    auto has_value = equals != std::string::npos;
    if (args[i] == "--help" || args[i] == "-h") {
      result.what = command::help;
      result.about = about;
      return result;
    }
    if (name == "--config-file" || name == "-c") {
      if (given)
        return wrong(about, "--config-file is given twice");
      given = true;
      if (!has_value && ++i == args.size())
        return wrong(about, "--config-file needs the name of a file");
      result.config_file = has_value ? args[i].substr(equals + 1) : args[i];
      if (result.config_file.empty())
        return wrong(about, "--config-file needs the name of a file");
    } else if (args[i] == "--json" && about == command::status) {
      result.json = true;
    } else if (name.rfind('-', 0) == 0) {
      return wrong(about, std::string{to_string(about)} + " has no option \""
                            + name + "\"" + suggest(name, known));
    } else {
      return wrong(about, std::string{to_string(about)}
                            + " takes no argument \"" + args[i] + "\"");
    }
  }
  if (!given)
    return wrong(about,
                 std::string{to_string(about)} + " needs --config-file FILE");
  return result;
}

} // namespace

const char* to_string(command x) {
  constexpr const char* names[]
    = {"help", "version", "run", "check", "status", "olap"};
  auto i = static_cast<size_t>(x);
  return i < std::size(names) ? names[i] : "unknown";
}

tl::expected<command_line, std::string>
parse_command_line(const std::vector<std::string>& args) {
  command_line result;
  if (args.empty())
    return wrong(command::help, "no command given");
  const auto& first = args.front();
  auto is_help = first == "--help" || first == "-h" || first == "help";
  auto is_version = first == "--version" || first == "-V" || first == "version";
  if (is_help && args.size() == 2 && find_command(args[1])) {
    result.about = *find_command(args[1]);
    return result;
  }
  if (is_help || is_version) {
    if (args.size() > 1)
      return wrong(command::help,
                   "\"" + args[1] + "\" does not belong behind " + first);
    result.what = is_help ? command::help : command::version;
    return result;
  }
  auto what = find_command(first);
  if (!what) {
    std::vector<std::string> known{"--help", "--version"};
    for (auto x : commands)
      known.emplace_back(to_string(x));
    auto kind = first.rfind('-', 0) == 0 ? "option" : "command";
    return wrong(command::help, std::string{"unknown "} + kind + " \"" + first
                                  + "\"" + suggest(first, known));
  }
  result.what = *what;
  if (*what == command::olap) {
    result.rest.assign(args.begin() + 1, args.end());
    return result;
  }
  return parse_options(std::move(result), args);
}

} // namespace millrace
