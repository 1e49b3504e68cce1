#define CAF_SUITE http_server

#include "http/server.hpp"
#include "test/unit/raw_client.hpp"

#include <caf/test/dsl.hpp>

#include <atomic>
#include <future>
#include <thread>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace millrace;
using client = test::raw_client;
using namespace std::chrono_literals;

namespace {

struct fixture {
  void start(http::handler f, http::server_options options = {}) {
    auto bound = server.bind(options);
    CAF_REQUIRE(bound);
    server.start(std::move(f));
  }

  /// Answers with the method, the target and the body.
  static void echo(const http::call& x) {
    std::string body;
    for (;;) {
      auto piece = x.in.read();
      if (!piece)
        return x.out.abort();
      if (piece->empty())
        break;
      body.append(*piece);
    }
    x.out.send(std::string{x.in.method()} + " " + std::string{x.in.target()}
               + " [" + body + "]");
  }

  http::server server;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(http_server_tests, fixture)

CAF_TEST(several requests use one connection) {
  start(echo);
  client c{server.port()};
  c.send("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
  CAF_CHECK(has(c.read_until("]"), "GET /a?b []"));
  c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  CAF_CHECK(has(c.read_until("]"), "POST / [abc]"));
}

CAF_TEST(requests that come at once are answered in order) {
  start(echo);
  client c{server.port()};
  c.send("POST /1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
         "GET /2 HTTP/1.1\r\n\r\n"
         "POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
         "GET /4 HTTP/1.1\r\n\r\n");
  CAF_CHECK(has(c.read_until("]"), "POST /1 [hi]"));
  CAF_CHECK(has(c.read_until("]"), "GET /2 []"));
  CAF_CHECK(has(c.read_until("]"), "POST /3 [abc]"));
  CAF_CHECK(has(c.read_until("]"), "GET /4 []"));
}

CAF_TEST(a request may come byte by byte) {
  start(echo);
  client c{server.port()};
  std::string_view text = "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                          "\r\n5;ext=1\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n";
  for (auto b : text)
    c.send({&b, 1});
  CAF_CHECK(has(c.read_until("]"), "POST /x [hello]"));
}

CAF_TEST(a large body arrives whole) {
  std::atomic<size_t> size{0};
  start([&](const http::call& x) {
    for (;;) {
      auto piece = x.in.read();
      if (!piece || piece->empty())
        break;
      size += piece->size();
    }
    x.out.send("]");
  });
  std::string block(1 << 20, 'x');
  client c{server.port()};
  c.send("POST / HTTP/1.1\r\nContent-Length: 20971520\r\n\r\n");
  for (int i = 0; i < 20; ++i)
    c.send(block);
  c.read_until("]");
  CAF_CHECK_EQUAL(size, 20u << 20);
  size = 0;
  c.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 20; ++i)
    c.send("100000\r\n").send(block).send("\r\n");
  c.send("0\r\n\r\n");
  c.read_until("]");
  CAF_CHECK_EQUAL(size, 20u << 20);
}

CAF_TEST(an answer of unknown length is chunked) {
  start([](const http::call& x) {
    x.out.header("X-A", "1\r\nX-B: 2");
    x.out.write("one");
    x.out.write("two");
    x.out.finish();
  });
  client c{server.port()};
  c.send("GET / HTTP/1.1\r\n\r\n");
  auto text = c.read_until("0\r\n\r\n");
  CAF_CHECK(has(text, "\r\nTransfer-Encoding: chunked\r\n"));
  CAF_CHECK(has(text, "\r\nX-A: 1  X-B: 2\r\n")); // no header of its own
  CAF_CHECK(has(text, "\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
  client old{server.port()};
  old.send("GET / HTTP/1.0\r\n\r\n");
  CAF_CHECK(old.read_all().ends_with("\r\n\r\nonetwo"));
}

CAF_TEST(an answer that is broken off has no end) {
  start([](const http::call& x) {
    x.out.write("part");
    x.out.abort();
  });
  client c{server.port()};
  c.send("GET / HTTP/1.1\r\n\r\n");
  CAF_CHECK(c.read_all().ends_with("4\r\npart\r\n"));
}

CAF_TEST(HEAD has the headers without the body) {
  start([](const http::call& x) { x.out.send("12345"); });
  client c{server.port()};
  c.send("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
  auto text = c.read_all();
  CAF_CHECK(has(text, "Content-Length: 5"));
  CAF_CHECK(text.ends_with("\r\n\r\n"));
}

CAF_TEST(a client that waits for permission gets it when the body is read) {
  start(echo);
  client c{server.port()};
  c.send(
    "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CAF_CHECK_EQUAL(c.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  c.send("ok");
  CAF_CHECK(has(c.read_until("]"), "[ok]"));
}

CAF_TEST(an early answer reaches a client that still sends) {
  start([](const http::call& x) {
    x.out.status(404);
    x.out.send("no such table");
  });
  client c{server.port()};
  c.send("POST / HTTP/1.1\r\nContent-Length: 8388608\r\n\r\n");
  c.send(std::string(8 << 20, 'x'));
  auto text = c.read_all();
  CAF_CHECK(has(text, "HTTP/1.1 404 Not Found"));
  CAF_CHECK(has(text, "Connection: Close"));
  CAF_CHECK(text.ends_with("no such table"));
}

CAF_TEST(a small body that nobody reads does not cost the connection) {
  start([](const http::call& x) { x.out.send("]"); });
  client c{server.port()};
  for (int i = 0; i < 3; ++i) {
    c.send("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    CAF_CHECK(has(c.read_until("]"), "Connection: Keep-Alive"));
  }
}

CAF_TEST(a body that is cut off is never taken for a whole one) {
  std::promise<bool> whole;
  start([&](const http::call& x) {
    std::optional<std::string_view> piece;
    do
      piece = x.in.read();
    while (piece && !piece->empty());
    whole.set_value(piece.has_value());
  });
  client c{server.port()};
  c.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  c.close();
  CAF_CHECK(!whole.get_future().get());
}

CAF_TEST(broken chunks and broken heads are refused) {
  start(echo);
  client c{server.port()};
  c.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n");
  CAF_CHECK_EQUAL(c.read_all(), "");
  client d{server.port()};
  d.send("nonsense\r\n\r\n");
  CAF_CHECK(has(d.read_all(), "HTTP/1.1 400"));
  client e{server.port()};
  e.send("GET / HTTP/1.1\r\nX: ");
  e.send(std::string(2 << 20, 'x'));
  CAF_CHECK(has(e.read_all(), "HTTP/1.1 431"));
}

CAF_TEST(a long head and a long target are fine) {
  start([](const http::call& x) {
    x.out.send(std::to_string(x.in.target().size()) + "]");
  });
  client c{server.port()};
  c.send("GET /" + std::string(300'000, 'a') + " HTTP/1.1\r\n\r\n");
  CAF_CHECK(has(c.read_until("]"), "\r\n300001]"));
  c.send("GET /x HTTP/1.1\r\n\r\n");
  CAF_CHECK(has(c.read_until("]"), "\r\n2]"));
}

CAF_TEST(the handler hears that the client has gone) {
  std::promise<bool> gone;
  std::promise<void> running;
  start([&](const http::call& x) {
    std::promise<void> heard;
    x.wake.on_client_gone([&] { heard.set_value(); });
    running.set_value();
    auto ok = heard.get_future().wait_for(10s) == std::future_status::ready;
    gone.set_value(ok && x.in.client_gone());
  });
  client c{server.port()};
  c.send("GET / HTTP/1.1\r\n\r\n");
  running.get_future().get();
  c.close();
  CAF_CHECK(gone.get_future().get());
}

CAF_TEST(an interrupt ends a read and a write that wait) {
  std::promise<http::interrupter> reading;
  std::promise<http::interrupter> writing;
  std::promise<bool> read_ended;
  std::promise<bool> write_ended;
  start([&](const http::call& x) {
    if (x.in.method() == "POST") {
      reading.set_value(x.wake);
      read_ended.set_value(!x.in.read());
      x.out.status(500);
      x.out.send("interrupted]");
      return;
    }
    writing.set_value(x.wake);
    std::string block(1 << 20, 'x');
    while (x.out.write(block))
      ;
    write_ended.set_value(true);
  });
  client c{server.port()};
  c.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
  reading.get_future().get().interrupt();
  CAF_CHECK(read_ended.get_future().get());
  CAF_CHECK(has(c.read_until("]"), "interrupted]")); // still gets its answer
  client d{server.port()};
  d.send("GET / HTTP/1.1\r\n\r\n");
  writing.get_future().get().interrupt();
  CAF_CHECK(write_ended.get_future().get());
}

CAF_TEST(more connections than allowed are turned away) {
  http::server_options options;
  options.max_connections = 1;
  start(echo, options);
  client c{server.port()};
  c.send("GET / HTTP/1.1\r\n\r\n");
  c.read_until("]");
  client d{server.port()};
  CAF_CHECK(has(d.read_all(), "HTTP/1.1 503"));
}

CAF_TEST(an idle connection is closed after its time) {
  http::server_options options;
  options.idle_timeout = 50ms;
  start(echo, options);
  client c{server.port()};
  CAF_CHECK_EQUAL(c.read_all(), "");
}

CAF_TEST(a stop lets running handlers end and closes idle connections) {
  std::promise<void> running;
  std::atomic<bool> ended{false};
  start([&](const http::call& x) {
    running.set_value();
    std::this_thread::sleep_for(100ms);
    ended = true;
    x.out.send("done");
  });
  client idle{server.port()};
  client c{server.port()};
  c.send("GET / HTTP/1.1\r\n\r\n");
  running.get_future().get();
  CAF_CHECK(server.stop(5s));
  CAF_CHECK(ended);
  CAF_CHECK(c.read_all().ends_with("done"));
  CAF_CHECK_EQUAL(idle.read_all(), "");
}

CAF_TEST(a port that is taken is an error that names it) {
  start(echo);
  http::server other;
  http::server_options options;
  options.port = server.port();
  auto bound = other.bind(options);
  CAF_REQUIRE(!bound);
  CAF_CHECK(bound.error().code == ec::local_failure);
  CAF_CHECK(has(bound.error().text, std::to_string(server.port())));
}

CAF_TEST(an address of another machine is an error) {
  http::server_options options;
  options.host = "192.0.2.1";
  CAF_CHECK(!server.bind(options));
}

CAF_TEST_FIXTURE_SCOPE_END()
