#define CAF_SUITE olap_body

#include "http/server.hpp"
#include "olap/encoder.hpp"
#include "olap/native_lz4.hpp"
#include "olap/request_body.hpp"
#include "test/unit/raw_client.hpp"

#include <future>

using namespace millrace;
using namespace millrace::olap;
using test::raw_client;

namespace {

/// A server that answers with what it reads of a body, or the error's code.
struct fixture {
  fixture() {
    CAF_REQUIRE(server.bind({}));
    server.start([this](const http::call& x) {
      request_body body;
      auto fails = [&](const db_error& err) {
        x.out.send("error " + std::to_string(err.code));
      };
      CAF_CHECK(body.source() == nullptr);
      if (auto err = body.open(x.in, x.in.target() == "/blocks"))
        return fails(err);
      std::string text;
      for (;;) {
        auto piece = body.source()->next();
        if (!piece) {
          if (auto err = body.source()->error())
            return fails(err);
          // The client has gone.
          broken.set_value();
          return x.out.abort();
        }
        if (piece->empty())
          break;
        text.append(*piece);
      }
      x.out.send("[" + text + "]");
    });
  }

  ~fixture() {
    server.stop(std::chrono::seconds{10});
  }

  std::string post(std::string_view target, const std::string& encoding,
                   const std::string& body) {
    raw_client peer{server.port()};
    std::string head = "POST " + std::string{target}
                       + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    if (!encoding.empty())
      head += "Content-Encoding: " + encoding + "\r\n";
    peer.send(head + "Content-Length: " + std::to_string(body.size())
              + "\r\n\r\n" + body);
    auto answer = peer.read_all();
    auto end = answer.find("\r\n\r\n");
    return end != std::string::npos ? answer.substr(end + 4) : "";
  }

  static std::string
  encoded(const std::string& encoding, const std::string& text) {
    auto x = make_encoder(encoding, 3);
    CAF_REQUIRE(x);
    std::string result;
    x->put(text, result);
    x->finish(result);
    return result;
  }

  static std::string in_blocks(const std::string& text) {
    std::string result;
    native_block::append(result, text);
    return result;
  }

  /// A body ended early, and not by an error.
  std::promise<void> broken;
  http::server server;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(olap_body_tests, fixture)

CAF_TEST(a plain body is read as it is) {
  CAF_CHECK_EQUAL(post("/", "", "1\n2\n"), "[1\n2\n]");
  CAF_CHECK_EQUAL(post("/", "identity", "x"), "[x]");
  CAF_CHECK_EQUAL(post("/", "", ""), "[]");
}

CAF_TEST(encodings are taken off in any case of letters) {
  std::string text(300'000, 'x');
  for (std::string encoding : {"gzip", "deflate", "lz4", "zstd", "GZip"}) {
    std::string name = encoding == "GZip" ? "gzip" : encoding;
    CAF_CHECK(post("/", encoding, encoded(name, text)) == "[" + text + "]");
  }
}

CAF_TEST(blocks are taken off within an encoding) {
  CAF_CHECK_EQUAL(post("/blocks", "", in_blocks("abc") + in_blocks("def")),
                  "[abcdef]");
  CAF_CHECK_EQUAL(post("/blocks", "gzip", encoded("gzip", in_blocks("abc"))),
                  "[abc]");
}

CAF_TEST(what is not what it says is an error) {
  CAF_CHECK_EQUAL(post("/", "br", "x"), "error 48");
  CAF_CHECK(post("/", "gzip", "no gzip").starts_with("error "));
  CAF_CHECK(post("/blocks", "", std::string(40, 'x')).starts_with("error "));
  auto whole = encoded("gzip", "abc");
  CAF_CHECK(post("/", "gzip", whole.substr(0, 10)).starts_with("error "));
}

CAF_TEST(a client that goes away in the middle has no error) {
  raw_client peer{server.port()};
  peer.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  peer.close();
  auto told = broken.get_future();
  CAF_CHECK(told.wait_for(std::chrono::seconds{20})
            == std::future_status::ready);
}

CAF_TEST_FIXTURE_SCOPE_END()
