#define CAF_SUITE http_connection

#include "fixture.hpp"
#include "http/connection.hpp"

#include <algorithm>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/uio.h>

using namespace millrace::http;
using namespace std::literals;

namespace {

/// A connection and its client's end.
struct fixture {
  fixture() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                     fds)
        != 0)
      CAF_FAIL("no pair of sockets");
    client = unique_fd{fds[0]};
    options.stall_timeout = 400ms;
    server = std::make_unique<connection>(unique_fd{fds[1]}, options, watch);
  }

  void say(std::string_view text) const {
    CAF_REQUIRE_EQUAL(::send(client.get(), text.data(), text.size(), 0),
                      static_cast<ssize_t>(text.size()));
  }

  std::string_view buffered() const {
    return {server->buffer.get() + server->begin, server->buffered()};
  }

  client_watch watch;
  server_options options;
  unique_fd client;
  std::unique_ptr<connection> server;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(http_connection_tests, fixture)

CAF_TEST(what arrives is appended until the client ends) {
  say("one ");
  CAF_CHECK(server->receive(1000));
  say("two");
  CAF_CHECK(server->receive(1000));
  CAF_CHECK_EQUAL(buffered(), "one two");
  CAF_CHECK(!server->receive(0)); // nothing is there
  client = unique_fd{};
  CAF_CHECK(!server->receive(1000));
  CAF_CHECK_EQUAL(buffered(), "one two");
}

CAF_TEST(making room keeps what is buffered up to the limit) {
  say("0123456789");
  CAF_CHECK(server->receive(1000));
  server->begin = 4;
  server->end = server->capacity; // full
  CAF_CHECK(server->make_room(1 << 20));
  CAF_CHECK(server->end < server->capacity);
  CAF_CHECK(buffered().starts_with("456789"));
  server->begin = 0;
  server->end = server->capacity;
  CAF_CHECK(!server->make_room(server->capacity));
}

CAF_TEST(all parts arrive however little the client takes at a time) {
  std::string large(4 << 20, 'x');
  std::string got;
  std::thread reader{[&] {
    char piece[10'000];
    while (got.size() < large.size() + 6) {
      wait_for(client.get(), POLLIN, 1000);
      auto n = ::recv(client.get(), piece, sizeof(piece), 0);
      if (n > 0)
        got.append(piece, static_cast<size_t>(n));
    }
  }};
  iovec parts[] = {{const_cast<char*>("abc"), 3},
                   {nullptr, 0},
                   {large.data(), large.size()},
                   {const_cast<char*>("def"), 3}};
  auto sent = server->send_all(parts, 4);
  reader.join();
  CAF_CHECK(sent);
  CAF_CHECK(got == "abc" + large + "def");
}

CAF_TEST(a client that takes nothing or an interrupt ends sending) {
  std::string large(8 << 20, 'x');
  iovec part{large.data(), large.size()};
  CAF_CHECK(!server->send_all(&part, 1)); // after 400 ms
  server->interrupted = true;
  part = {large.data(), large.size()};
  CAF_CHECK(!server->send_all(&part, 1));
  say("x");
  CAF_CHECK(!server->receive(1000));
}

CAF_TEST_FIXTURE_SCOPE_END()
