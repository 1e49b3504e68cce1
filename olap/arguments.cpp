#include "olap/arguments.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace millrace::olap {

namespace {

constexpr const char* help_text
  = R"__(usage: millrace olap --data-dir DIR [OPTIONS]

Serves an embedded ClickHouse (libchdb) over ClickHouse's HTTP interface until
SIGINT or SIGTERM: for one machine and for tests.

  --data-dir DIR        folder for the tables; made if it is missing
  --listen HOST:PORT    address to listen on (default 127.0.0.1:8123); port 0
                        takes a free one, which is printed
  --users-file FILE     who may log in: "name password [readonly]" a line, the
                        password as text or as sha256:<hex digits>. Without it:
                        the user "default" without password, on loopback only
  --host-name NAME      a further name that clients may use for this machine;
                        can be repeated
  --library FILE        libchdb.so (default: the environment's MILLRACE_LIBCHDB,
                        beside the program, ../lib/millrace, the user's cache)
  --max-memory BYTES    limit of the engine's memory (default: 0.9 of the
                        machine's)

Whoever may send a query can read every table and every file that this process
can read. Run it under a system user of its own.

exit code   0 stopped; 1 failed, the message says why; 2 bad arguments
)__";

using parsed = tl::expected<olap_options, std::string>;

tl::unexpected<std::string> wrong(const std::string& what) {
  return tl::unexpected{what + "; see: millrace olap --help"};
}

} // namespace

const char* olap_help() {
  return help_text;
}

parsed parse_olap_arguments(const std::vector<std::string>& args) {
  olap_options x;
  std::vector<std::string> given;
  for (size_t i = 0; i < args.size(); ++i) {
    auto equals = std::min(args[i].find('='), args[i].size());
    auto name = args[i].substr(0, equals);
    constexpr const char* known[]
      = {"--data-dir",  "--listen",  "--users-file",
         "--host-name", "--library", "--max-memory"};
    if (std::find(std::begin(known), std::end(known), name) == std::end(known))
      return wrong(args[i].starts_with('-')
                     ? "olap has no option \"" + name + "\""
                     : "olap takes no argument \"" + args[i] + "\"");
    if (equals == args[i].size() && i + 1 == args.size())
      return wrong(name + " needs a value");
    auto value
      = equals < args[i].size() ? args[i].substr(equals + 1) : args[++i];
    if (value.empty())
      return wrong(name + " needs a value");
    if (name != "--host-name"
        && std::find(given.begin(), given.end(), name) != given.end())
      return wrong(name + " is given twice");
    given.push_back(name);
    if (name == "--data-dir")
      x.data_dir = value;
    else if (name == "--listen")
      x.listen = value;
    else if (name == "--users-file")
      x.users_file = value;
    else if (name == "--host-name")
      x.host_names.push_back(value);
    else if (name == "--library")
      x.library = value;
    else {
      auto* end = value.data() + value.size();
      auto [last, err] = std::from_chars(value.data(), end, x.max_memory);
      if (err != std::errc{} || last != end || x.max_memory == 0)
        return wrong("--max-memory needs a number of bytes, not \"" + value
                     + "\"");
    }
  }
  if (x.data_dir.empty())
    return wrong("olap needs --data-dir DIR, the folder for the tables");
  return x;
}

int olap_command(const std::vector<std::string>& args) {
  for (auto& x : args) {
    if (x == "--help" || x == "-h") {
      std::fputs(help_text, stdout);
      return 0;
    }
  }
  auto options = parse_olap_arguments(args);
  if (!options) {
    std::fprintf(stderr, "millrace: %s\n", options.error().c_str());
    return 2;
  }
  return run_olap(*options);
}

} // namespace millrace::olap
