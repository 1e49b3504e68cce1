// The HTTP side of `millrace olap`, from the bytes of a connection to the calls
// of the engine (fake_chdb.cpp). Input: a byte of choices, then what a client
// sends.
#include "http/exchange.hpp"
#include "olap/service.hpp"
#include "test/fuzz/target.hpp"

#include <csignal>
#include <filesystem>
#include <string>
#include <unistd.h>

#include <sys/socket.h>

using namespace millrace;

namespace {

using test::demand;

constexpr size_t max_input = 64 << 10;
constexpr int max_requests = 32;

enum choice : uint8_t {
  /// The client closes its side at once.
  close_early = 1,
  /// Another machine may send: `Host` is not looked at.
  any_host = 2,
  /// Only a user with a password may.
  with_users = 4,
  /// In pieces of 1 to 31 bytes, by the three bits above; 0 is one piece.
  pieces_shift = 3,
};

olap::engine& engine() {
  static auto instance = [] {
    std::signal(SIGPIPE, SIG_IGN); // as main does
    auto x = olap::engine::open(FAKE_CHDB, "/nowhere", {});
    demand(x.has_value(), "the library can be loaded");
    return std::move(*x);
  }();
  return *instance;
}

olap::user_list users(bool some) {
  if (!some)
    return {};
  auto x
    = olap::user_list::parse("node secret\nguest pass readonly\n", "users");
  demand(x.has_value(), "the users can be read");
  return std::move(*x);
}

/// The two ends of a connection. Packets keep the pieces apart, so that the
/// server sees them one by one.
struct socket_pair {
  socket_pair() {
    int fds[2];
    auto kind = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
    demand(::socketpair(AF_UNIX, kind, 0, fds) == 0, "a pair of sockets");
    client = http::unique_fd{fds[0]};
    server = http::unique_fd{fds[1]};
  }

  void send(std::string_view text, size_t piece) const {
    while (!text.empty()) {
      auto n = std::min(text.size(), piece);
      if (::send(client.get(), text.data(), n, MSG_NOSIGNAL) < 0)
        return;
      text.remove_prefix(n);
    }
  }

  /// The client sends nothing more, and reads what there is.
  void end() const {
    ::shutdown(client.get(), SHUT_WR);
    drain();
  }

  void drain() const {
    char sink[4096];
    while (::recv(client.get(), sink, sizeof(sink), 0) > 0)
      continue;
  }

  http::unique_fd client;
  http::unique_fd server;
};

/// As the thread of a connection does (http/server.cpp), without its waits.
void serve(olap::service& app, socket_pair& sockets) {
  static http::client_watch watch;
  http::server_options options;
  options.idle_timeout = std::chrono::milliseconds{0};
  options.stall_timeout = std::chrono::milliseconds{0};
  http::connection c{std::move(sockets.server), options, watch};
  for (int i = 0; i < max_requests; ++i) {
    auto x = std::make_shared<http::exchange>(c);
    auto state = x->read_head();
    if (state == http::exchange::head_state::closed)
      return;
    if (state == http::exchange::head_state::complete) {
      http::request in{*x};
      http::response_writer out{*x};
      app.handle({in, out, http::interrupter{x}});
    }
    sockets.end();
    if (!x->close())
      return;
  }
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > max_input)
    return 0;
  auto choices = data[0];
  socket_pair sockets;
  auto piece = size_t{choices} >> pieces_shift;
  std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  // A packet counts for more than its bytes: large inputs come whole.
  sockets.send(text, piece == 0 || size > 2000 ? 16384 : piece);
  if ((choices & close_early) != 0)
    sockets.end();
  olap::origin_policy policy;
  policy.check_host = (choices & any_host) == 0;
  olap::service app{engine(), users((choices & with_users) != 0), policy,
                    std::filesystem::temp_directory_path()};
  serve(app, sockets);
  return 0;
}
