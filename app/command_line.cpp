#include "app/command_line.hpp"

#include "app/suggest.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <iterator>
#include <optional>
#include <set>

namespace millrace {

namespace {

constexpr std::array commands{command::run, command::check,    command::status,
                              command::dlq, command::snapshot, command::olap};

std::optional<command> find_command(const std::string& name) {
  for (auto x : commands)
    if (name == to_string(x))
      return x;
  return std::nullopt;
}

std::optional<dlq_action> find_action(const std::string& name) {
  for (auto x : {dlq_action::list, dlq_action::show, dlq_action::replay,
                 dlq_action::drop})
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

/// An option of a command and where its value goes.
struct option {
  std::string name;

  /// Takes the value and says whether it is one; null: the option has none.
  std::function<bool(const std::string&)> store;
  std::function<void()> flag;
  std::string value_name;
  bool repeatable = false;
};

std::vector<option> options_of(command_line& x) {
  auto text = [](std::string& to) {
    return [&to](const std::string& value) {
      to = value;
      return !value.empty();
    };
  };
  if (x.what == command::olap)
    return {
      {"--data-dir", text(x.olap.data_dir), {}, "a folder"},
      {"--listen", text(x.olap.listen), {}, "HOST:PORT"},
      {"--users-file", text(x.olap.users_file), {}, "the name of a file"},
      {"--library", text(x.olap.library), {}, "the name of a file"},
      {"--host-name",
       [&x](const std::string& value) {
         x.olap.host_names.push_back(value);
         return !value.empty();
       },
       {},
       "a host's name",
       true},
      {"--max-memory-bytes",
       [&x](const std::string& value) {
         const auto* end = value.data() + value.size();
         auto [last, err]
           = std::from_chars(value.data(), end, x.olap.max_memory);
         return err == std::errc{} && last == end && x.olap.max_memory > 0;
       },
       {},
       "a number of bytes"},
    };
  std::vector<option> result{
    {"--config-file", text(x.config_file), {}, "the name of a file"}};
  if (x.what == command::status)
    result.push_back({"--json", {}, [&x] { x.json = true; }, {}});
  if (x.what == command::dlq) {
    result.push_back({"--json", {}, [&x] { x.dlq.json = true; }, {}});
    result.push_back(
      {"--table", text(x.dlq.filter.table), {}, "the name of a table"});
    result.push_back({"--since", text(x.dlq.filter.since), {}, "a time"});
  }
  if (x.what == command::snapshot)
    result.push_back(
      {"--table", text(x.table), {}, "the name of a table, schema.table"});
  return result;
}

tl::expected<command_line, std::string>
parse_options(command what, const std::vector<std::string>& args) {
  command_line result;
  result.what = what;
  auto options = options_of(result);
  std::vector<std::string> known{"--help"};
  for (const auto& x : options)
    known.push_back(x.name);
  std::set<std::string> given;
  // The word behind the command.
  auto acts = what != command::dlq;
  for (size_t i = 1; i < args.size(); ++i) {
    if (!acts && args[i].rfind('-', 0) != 0) {
      auto action = find_action(args[i]);
      if (!action)
        return wrong(what, "dlq cannot \"" + args[i]
                             + "\"; it is list, show, replay or drop");
      result.dlq.what = *action;
      acts = true;
      continue;
    }
    if (args[i] == "--help" || args[i] == "-h") {
      command_line help;
      help.about = what;
      return help;
    }
    if (args[i].rfind('-', 0) != 0)
      return wrong(what, std::string{to_string(what)} + " takes no argument \""
                           + args[i] + "\"");
    auto equals = args[i].find('=');
    auto name = args[i].substr(0, equals);
    if (name == "-c")
      name = "--config-file";
    auto x = std::find_if(options.begin(), options.end(),
                          [&name](const option& o) { return o.name == name; });
    if (x == options.end())
      return wrong(what, std::string{to_string(what)} + " has no option \""
                           + name + "\"" + suggest(name, known));
    if (!given.insert(name).second && !x->repeatable)
      return wrong(what, name + " is given twice");
    if (x->flag) {
      if (equals != std::string::npos)
        return wrong(what, name + " takes no value");
      x->flag();
      continue;
    }
    auto needs = name + " needs " + x->value_name;
    if (equals == std::string::npos && i + 1 == args.size())
      return wrong(what, needs);
    auto value
      = equals != std::string::npos ? args[i].substr(equals + 1) : args[++i];
    if (!x->store(value))
      return wrong(what, needs + ", got \"" + value + "\"");
  }
  if (!acts)
    return wrong(what, "dlq needs list, show, replay or drop");
  auto required = what == command::olap ? "--data-dir" : "--config-file";
  if (given.count(required) == 0)
    return wrong(what, std::string{to_string(what)} + " needs " + required
                         + (what == command::olap ? " DIR" : " FILE"));
  if (what == command::snapshot && given.count("--table") == 0)
    return wrong(what, "snapshot needs --table SCHEMA.TABLE");
  return result;
}

} // namespace

const char* to_string(command x) {
  constexpr const char* names[]
    = {"help", "version", "run", "check", "status", "dlq", "olap", "snapshot"};
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
  return parse_options(*what, args);
}

} // namespace millrace
