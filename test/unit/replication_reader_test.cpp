#define CAF_SUITE replication_reader

#include "postgres/reader_factory.hpp"
#include "test/unit/fake_postgres.hpp"
#include "test/unit/has.hpp"

#include <caf/test/dsl.hpp>

#include <chrono>

using namespace millrace;
using namespace millrace::postgres;
using namespace std::chrono_literals;
using test::begin_message;
using test::commit_message;
using test::fake_postgres;
using test::has;
using test::network;

namespace {

constexpr lsn start{1000};

/// A reader whose time passes only when a test says so.
struct fixture {
  fixture() {
    options.slot = "s1";
  }

  void open() {
    reader = make_reader(options, server.take(), start, [this] { return now; });
  }

  /// Time passes, second by second, as CAPTURE looks after the connection.
  /// Returns the first failure.
  failure pass(std::chrono::milliseconds time) {
    for (auto end = now + time; now < end;) {
      now += std::min<std::chrono::steady_clock::duration>(1s, end - now);
      if (auto done = reader->tick(); !done)
        return done.error();
    }
    return {};
  }

  /// Reads what is there.
  read_outcome read() {
    auto result = reader->read({});
    CAF_REQUIRE(result);
    CAF_CHECK(result->drained);
    return std::move(*result);
  }

  failure read_failure() {
    auto result = reader->read({});
    CAF_REQUIRE(!result);
    return result.error();
  }

  /// Number of statuses that were sent; the last one is in `last`.
  size_t statuses() {
    size_t result = 0;
    while (auto x = server.told()) {
      last = *x;
      ++result;
    }
    return result;
  }

  source_options options;
  fake_postgres server;
  std::chrono::steady_clock::time_point now{1h};
  std::unique_ptr<replication_reader> reader;
  fake_postgres::status last;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(replication_reader_tests, fixture)

CAF_TEST(a status is sent every ten seconds though nothing happens) {
  options.silence = 1h;
  open();
  CAF_CHECK(pass(1s).code == ec::none);
  CAF_CHECK_EQUAL(statuses(), 1u);
  CAF_CHECK(last.flushed == start);
  CAF_CHECK(!last.reply);
  CAF_CHECK(pass(9s).code == ec::none);
  CAF_CHECK_EQUAL(statuses(), 0u);
  CAF_CHECK(pass(1s).code == ec::none);
  CAF_CHECK_EQUAL(statuses(), 1u);
  CAF_CHECK(pass(60s).code == ec::none);
  CAF_CHECK_EQUAL(statuses(), 6u);
}

CAF_TEST(a silent peer is asked and then taken for dead) {
  open();
  CAF_CHECK(pass(14s).code == ec::none);
  statuses();
  CAF_CHECK(!last.reply);
  CAF_CHECK(pass(1s).code == ec::none);
  CAF_CHECK_EQUAL(statuses(), 1u);
  CAF_CHECK(last.reply);
  CAF_MESSAGE("it is asked once");
  CAF_CHECK(pass(14s).code == ec::none);
  statuses();
  CAF_CHECK(!last.reply);
  auto why = pass(1s);
  CAF_CHECK(why.code == ec::source_unavailable);
  CAF_CHECK(has(why.text, "nothing came from the source for 30 s"));
  CAF_CHECK(has(why.text, "slot \"s1\""));
  CAF_MESSAGE("nothing is read, confirmed or told after that");
  statuses();
  CAF_CHECK(read_failure().code == ec::source_unavailable);
  CAF_CHECK(!reader->confirm(lsn{2000}));
  CAF_CHECK(pass(60s).code == ec::source_unavailable);
  CAF_CHECK_EQUAL(statuses(), 0u);
}

CAF_TEST(a peer that answers lives) {
  open();
  for (int i = 0; i < 10; ++i) {
    CAF_CHECK(pass(20s).code == ec::none);
    server.keepalive(start, false);
    read();
  }
}

CAF_TEST(what waits in the socket while nobody reads is a sign of life) {
  open();
  server.keepalive(start, false);
  CAF_CHECK(pass(90s).code == ec::none);
  read();
  CAF_CHECK(pass(29s).code == ec::none);
  CAF_CHECK(pass(1s).code == ec::source_unavailable);
}

CAF_TEST(a keepalive is answered at once when the server asks) {
  open();
  pass(1s);
  CAF_CHECK_EQUAL(statuses(), 1u);
  server.keepalive(start, false);
  read();
  CAF_CHECK_EQUAL(statuses(), 0u);
  server.keepalive(start, true);
  read();
  CAF_CHECK_EQUAL(statuses(), 1u);
  CAF_CHECK(last.flushed == start);
  server.keepalive(start, true);
  server.keepalive(start, true);
  read();
  CAF_CHECK_EQUAL(statuses(), 2u);
}

CAF_TEST(an answer leaves open what is not durable) {
  // A server that shuts down would wait for it.
  open();
  server.keepalive(lsn{1500}, true);
  auto x = read();
  CAF_CHECK(x.complete == lsn{1500});
  CAF_CHECK_EQUAL(statuses(), 1u);
  CAF_CHECK(last.written == lsn{1500});
  CAF_CHECK(last.flushed == lsn{});
  CAF_CHECK(reader->confirm(lsn{1500}));
  server.keepalive(lsn{1500}, true);
  read();
  statuses();
  CAF_CHECK(last.flushed == lsn{1500});
  CAF_CHECK(last.applied == lsn{1500});
}

CAF_TEST(a confirmed position is sent at once and not too often) {
  open();
  CAF_CHECK(reader->confirm(lsn{1100}));
  CAF_CHECK_EQUAL(statuses(), 1u);
  CAF_CHECK(last.flushed == lsn{1100});
  now += 99ms;
  CAF_CHECK(reader->confirm(lsn{1200}));
  CAF_CHECK_EQUAL(statuses(), 0u);
  CAF_MESSAGE("what was held back goes with the next tick");
  now += 1ms;
  CAF_CHECK(reader->tick());
  CAF_CHECK_EQUAL(statuses(), 1u);
  CAF_CHECK(last.flushed == lsn{1200});
  CAF_CHECK(reader->tick());
  CAF_CHECK_EQUAL(statuses(), 0u);
}

CAF_TEST(what was held back is told before the connection is closed) {
  open();
  CAF_CHECK(reader->confirm(lsn{1100}));
  CAF_CHECK(reader->confirm(lsn{1200}));
  reader = nullptr;
  CAF_CHECK_EQUAL(statuses(), 2u);
  CAF_CHECK(last.flushed == lsn{1200});
}

CAF_TEST(a position never goes back) {
  open();
  CAF_CHECK(reader->confirm(lsn{2000}));
  now += 1s;
  CAF_CHECK(reader->confirm(lsn{1500}));
  CAF_CHECK(reader->confirm(lsn{}));
  CAF_CHECK_EQUAL(statuses(), 1u);
  pass(10s);
  statuses();
  CAF_CHECK(last.flushed == lsn{2000});
  CAF_MESSAGE("nor below the slot's own");
  fake_postgres other;
  auto fresh = make_reader(options, other.take(), lsn{3000});
  CAF_CHECK(fresh->confirm(lsn{2500}));
  CAF_CHECK(fresh->tick());
  auto x = other.told();
  CAF_REQUIRE(x);
  CAF_CHECK(x->flushed == lsn{3000});
}

CAF_TEST(a keepalive completes what lies before it outside of transactions) {
  open();
  server.keepalive(lsn{1500}, false);
  auto x = read();
  CAF_CHECK(x.batch == nullptr);
  CAF_CHECK(x.complete == lsn{1500});
  CAF_CHECK(reader->server_position() == lsn{1500});
  CAF_MESSAGE("told once");
  server.keepalive(lsn{1500}, false);
  CAF_CHECK(read().complete == lsn{});
  CAF_MESSAGE("the transaction at hand has not been received");
  server.data(lsn{1600}, begin_message(lsn{1700}));
  server.keepalive(lsn{1800}, false);
  CAF_CHECK(read().complete == lsn{});
  server.data(lsn{1700}, commit_message(lsn{1700}, lsn{1750}));
  CAF_CHECK(read().complete == lsn{1750});
  CAF_CHECK(reader->received() == lsn{1700});
  server.keepalive(lsn{1800}, false);
  CAF_CHECK(read().complete == lsn{1800});
}

CAF_TEST(a message that comes in pieces is waited for) {
  open();
  auto message = "d" + network(4 + 18, 4) + "k" + network(1500, 8)
                 + network(0, 8) + network(1, 1);
  for (auto c : message) {
    CAF_CHECK_EQUAL(statuses(), 0u);
    CAF_CHECK(read().complete == lsn{});
    server.send({&c, 1});
  }
  CAF_CHECK(read().complete == lsn{1500});
  CAF_CHECK_EQUAL(statuses(), 1u);
}

CAF_TEST(what the protocol does not have stops the capture with its position) {
  const std::string bad[] = {
    "x",
    "w",
    "w" + std::string(23, '\0'),
    "k" + std::string(16, '\0'),
    "k" + std::string(18, '\0'),
    "w" + std::string(24, '\0'),          // no message of pgoutput
    "w" + std::string(24, '\0') + "?",    // nor this
    "w" + std::string(24, '\0') + "B123", // cut short
  };
  for (const auto& message : bad) {
    fake_postgres peer;
    auto fresh = make_reader(options, peer.take(), start);
    peer.keepalive(lsn{0x1'0000'0010}, false);
    peer.copy(message);
    auto x = fresh->read({});
    CAF_REQUIRE(!x);
    CAF_MESSAGE(x.error().text);
    CAF_CHECK(x.error().code == ec::protocol_violation);
    if (message.size() < 25)
      CAF_CHECK(has(x.error().text, "slot \"s1\" brought ")
                && has(x.error().text, " after 1/10"));
    CAF_CHECK(!fresh->read({}));
    CAF_CHECK(!fresh->tick());
  }
}

CAF_TEST(the end of the stream is told with what the server said) {
  open();
  server.error("57P01", "terminating connection");
  auto why = read_failure();
  CAF_CHECK(why.code == ec::source_unavailable);
  CAF_CHECK(has(why.text, "terminating connection"));
  CAF_CHECK(has(why.text, "slot \"s1\" stopped after 0/3E8"));
  struct {
    const char* code;
    const char* text;
    ec expected;
    const char* told;
  } xs[] = {
    {"42704", "publication \"p\" does not exist", ec::source_unsuitable,
     "must exist since before"},
    {"58P01", "requested WAL segment has been removed", ec::slot_lost,
     "has been removed"},
  };
  for (const auto& x : xs) {
    fake_postgres peer;
    auto fresh = make_reader(options, peer.take(), start);
    peer.error(x.code, x.text);
    auto read = fresh->read({});
    CAF_REQUIRE(!read);
    CAF_MESSAGE(read.error().text);
    CAF_CHECK(has(read.error().text, x.told));
    CAF_CHECK_EQUAL(to_string(read.error().code), to_string(x.expected));
  }
}

CAF_TEST(a connection that breaks is noticed by reading or by its silence) {
  open();
  server.close();
  CAF_CHECK(read_failure().code == ec::source_unavailable);
  fake_postgres peer;
  auto fresh = make_reader(options, peer.take(), start, [this] { return now; });
  peer.close();
  // libpq keeps quiet about what cannot be sent until somebody reads.
  now += 30s;
  auto done = fresh->tick();
  CAF_REQUIRE(!done);
  CAF_CHECK(done.error().code == ec::source_unavailable);
}

CAF_TEST_FIXTURE_SCOPE_END()
