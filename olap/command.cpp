#include "olap/command.hpp"

#include "http/server.hpp"
#include "olap/data_folder.hpp"
#include "olap/service.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <pthread.h>
#include <signal.h>
#include <thread>
#include <unistd.h>

namespace millrace::olap {

namespace {

using namespace std::chrono_literals;

int complain(const failure& x) {
  std::fprintf(stderr, "millrace olap: %s\n", x.text.c_str());
  return x.code == ec::invalid_configuration ? 2 : 1;
}

int complain(ec code, std::string text) {
  return complain(failure{code, std::move(text)});
}

/// Whether all of them are of the loopback network.
bool all_loopback(const std::vector<std::string>& addresses) {
  return std::all_of(addresses.begin(), addresses.end(),
                     [](auto& x) { return http::is_loopback(x); });
}

origin_policy make_policy(const olap_options& options, const std::string& host,
                          bool loopback) {
  origin_policy x;
  x.check_host = loopback;
  x.own_names = options.host_names;
  x.own_names.push_back(host);
  return x;
}

/// Answers requests until a signal comes. The server outlives the service's
/// handlers, the service outlives its queries.
int serve(http::server& server, engine& db, user_list users,
          origin_policy policy, const data_folder& folder,
          const sigset_t& signals) {
  service app{db, std::move(users), std::move(policy), folder.scratch};
  server.start([&app](const http::call& x) { app.handle(x); });
  for (auto& address : server.addresses())
    std::printf("millrace olap: listening on http://%s\n", address.c_str());
  std::printf("millrace olap: ClickHouse %s, data in %s\n",
              db.version().c_str(), folder.path.c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&signals, &signal);
  // A second signal ends the process even if a query does not.
  std::thread{[signals] {
    int again = 0;
    sigwait(&signals, &again);
    ::_exit(1);
  }}.detach();
  app.stop(1s);
  if (server.stop(3s))
    return 0;
  std::fprintf(stderr,
               "millrace olap: a query does not end; stopping without it\n");
  // Its thread uses what would be destroyed. Killing loses no answered insert.
  std::fflush(nullptr);
  ::_exit(0);
}

} // namespace

int run_olap(const olap_options& options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  if (options.data_dir.empty())
    return complain(ec::invalid_configuration,
                    "--data-dir is missing: the folder for the tables");
  auto where = http::split_host_port(options.listen);
  if (!where)
    return complain({where.error().code, "--listen: " + where.error().text});
  user_list users;
  if (!options.users_file.empty()) {
    auto loaded = user_list::load(options.users_file);
    if (!loaded)
      return complain(loaded.error());
    users = std::move(*loaded);
  }
  auto found = http::resolve(where->first);
  if (!found)
    return complain(found.error());
  auto loopback = all_loopback(*found);
  if (!loopback && options.users_file.empty())
    return complain(ec::invalid_configuration,
                    "--listen " + options.listen
                      + " is reachable from other machines: that needs "
                        "--users-file, because whoever can send a query can "
                        "read every file that this process can read");
  auto library = find_chdb(options.library);
  if (!library)
    return complain(library.error());
  // An absolute path: the working directory is about to change.
  std::error_code err;
  auto absolute = std::filesystem::absolute(*library, err).string();
  http::server server;
  http::server_options http_options;
  http_options.host = where->first;
  http_options.port = where->second;
  if (auto bound = server.bind(http_options); !bound)
    return complain(bound.error());
  auto folder = open_data_folder(options.data_dir);
  if (!folder)
    return complain(folder.error());
  if (::chdir(folder->working.c_str()) != 0)
    return complain(ec::local_failure, "cannot change to " + folder->working
                                         + ": " + std::strerror(errno));
  // As the server does, unlike the command-line tool that libchdb is made of.
  std::vector<std::string> arguments{"--implicit_select=0",
                                     "--allow_introspection_functions=0"};
  if (options.max_memory > 0)
    arguments.push_back("--max_server_memory_usage="
                        + std::to_string(options.max_memory));
  auto db = engine::open(absolute, folder->path, arguments);
  if (!db)
    return complain(db.error());
  auto policy = make_policy(options, where->first, loopback);
  return serve(server, **db, std::move(users), std::move(policy), *folder,
               signals);
}

} // namespace millrace::olap
