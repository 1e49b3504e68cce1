#define CAF_SUITE olap_engine

#include "olap/external_tables.hpp"
#include "olap/query_connection.hpp"
#include "olap/running_queries.hpp"
#include "test/unit/has.hpp"
#include "test/unit/pieces.hpp"

#include <caf/test/dsl.hpp>

#include <cstdlib>
#include <filesystem>
#include <thread>

using namespace millrace;
using namespace millrace::olap;
using namespace std::chrono_literals;
using test::has;
using test::pieces;

namespace {

/// The real engine, one for all tests of the process, in a folder that is gone
/// at its end.
engine& db() {
  struct holder {
    holder() {
      char name[] = "/tmp/millrace-engine-XXXXXX";
      CAF_REQUIRE(mkdtemp(name) != nullptr);
      folder = name;
      auto library = find_chdb("");
      if (!library)
        CAF_FAIL(library.error().text);
      auto opened = engine::open(*library, folder, {"--implicit_select=0"});
      if (!opened)
        CAF_FAIL(opened.error().text);
      it = std::move(*opened);
    }

    ~holder() {
      it.reset();
      std::filesystem::remove_all(folder);
    }

    std::string folder;
    std::unique_ptr<engine> it;
  };
  static holder x;
  return *x.it;
}

struct fixture {
  fixture() : sessions(db()) {
    // nop
  }

  ~fixture() {
    sessions.clear();
  }

  static query_request in_session(std::string id = "s") {
    query_request x;
    x.session_id = std::move(id);
    return x;
  }

  static std::string ask(engine_connection& c, const std::string& sql) {
    auto x = c.query(sql);
    if (auto err = x.error())
      return "error " + std::to_string(err.code);
    return std::string{x.bytes()};
  }

  static std::string ask(query_connection& c, const std::string& sql) {
    return ask(c.handle(), sql);
  }

  /// One request: opens, does what `f` does, closes.
  template <class F>
  db_error request(const query_request& x, F f, const std::string& user = "u") {
    query_connection c{db(), sessions};
    auto err = c.open(user, false, x);
    if (!err)
      f(c);
    return err;
  }

  /// The content of a multipart form as tables of a connection.
  db_error
  form(query_connection& c, query_request& x, std::string body, size_t n = 7) {
    pieces in{body, n};
    multipart_reader reader{in, "B"};
    return read_form(reader, x, c);
  }

  static std::string field(const std::string& name, const std::string& value) {
    return "--B\r\nContent-Disposition: form-data; name=\"" + name
           + "\"\r\n\r\n" + value + "\r\n";
  }

  static std::string file(const std::string& name, const std::string& value) {
    return "--B\r\nContent-Disposition: form-data; name=\"" + name
           + "\"; filename=\"x\"\r\n\r\n" + value + "\r\n";
  }

  session_list sessions;
};

constexpr const char* threads = "SELECT getSetting('max_threads')";

} // namespace

CAF_TEST_FIXTURE_SCOPE(olap_engine_tests, fixture)

CAF_TEST(a connection runs statements and tells errors) {
  auto c = db().connect();
  CAF_REQUIRE(c);
  CAF_CHECK_EQUAL(ask(c, "SELECT 1, 'a'"), "1\ta\n");
  CAF_CHECK_EQUAL(ask(c, "SELECT * FROM no_such_table"), "error 60");
  CAF_CHECK_EQUAL(ask(c, "SELECT"), "error 62");
  auto x = c.query("SELECT {a:String} || {b:String}", "TSVRaw",
                   {{"a", "'); DROP"}, {"b", "x"}});
  CAF_CHECK_EQUAL(std::string{x.bytes()}, "'); DROPx\n");
  CAF_CHECK(c.is_read_only("SELECT 1"));
  CAF_CHECK(!c.is_read_only("INSERT INTO t VALUES (1)"));
  CAF_CHECK(!c.is_read_only("DROP TABLE t"));
}

CAF_TEST(connections know nothing of each other) {
  auto a = db().connect();
  auto b = db().connect();
  CAF_CHECK_EQUAL(ask(a, "SET max_threads = 3"), "");
  CAF_CHECK_EQUAL(ask(a, "CREATE TEMPORARY TABLE own (x Int8)"), "");
  CAF_CHECK_EQUAL(ask(a, threads), "3\n");
  CAF_CHECK_NOT_EQUAL(ask(b, threads), "3\n");
  CAF_CHECK_EQUAL(ask(b, "SELECT * FROM own"), "error 60");
}

CAF_TEST(an insert takes its data in pieces or not at all) {
  auto c = db().connect();
  ask(c, "CREATE TABLE default.pieces (x Int32) ENGINE = MergeTree ORDER BY x");
  {
    insert_stream s{c, "INSERT INTO default.pieces", "TabSeparated", {}};
    CAF_REQUIRE(!s.error());
    for (auto piece : {"1", "2\n3", "\n"})
      CAF_CHECK(s.append(piece));
    auto done = s.finish();
    CAF_CHECK(!done.error());
    counters n;
    done.add_to(n);
    CAF_CHECK_EQUAL(n.written_rows, 2u);
  }
  CAF_CHECK_EQUAL(ask(c, "SELECT * FROM default.pieces ORDER BY x"), "3\n12\n");
  CAF_MESSAGE("let go of, it writes nothing");
  {
    insert_stream s{c, "INSERT INTO default.pieces", "TabSeparated", {}};
    s.append("4\n");
  }
  CAF_CHECK_EQUAL(ask(c, "SELECT count() FROM default.pieces"), "2\n");
  CAF_MESSAGE("what is no row is an error, and nothing of it is there");
  {
    insert_stream s{c, "INSERT INTO default.pieces", "TabSeparated", {}};
    s.append("5\nx\n");
    CAF_CHECK_EQUAL(s.finish().error().code, 27);
  }
  CAF_CHECK_EQUAL(ask(c, "SELECT count() FROM default.pieces"), "2\n");
  insert_stream s{c, "INSERT INTO default.nowhere", "TabSeparated", {}};
  CAF_CHECK_EQUAL(s.error().code, 60);
  ask(c, "DROP TABLE default.pieces");
}

CAF_TEST(without a session nothing stays) {
  CAF_CHECK(!request({}, [&](auto& c) {
    CAF_CHECK(!c.in_session());
    CAF_CHECK(!c.set({{"max_threads", "3"}}));
    CAF_CHECK_EQUAL(ask(c, threads), "3\n");
    c.has_set("SET max_threads = 3");
    CAF_CHECK(!c.has_own("max_threads"));
  }));
  request({}, [&](auto& c) { CAF_CHECK_NOT_EQUAL(ask(c, threads), "3\n"); });
}

CAF_TEST(a session keeps what the client set and not what a request set) {
  request(in_session(), [&](auto& c) {
    CAF_CHECK(c.in_session());
    ask(c, "SET max_threads = 5, max_block_size = 77");
    c.has_set("SET max_threads = 5, max_block_size = 77");
    ask(c, "CREATE TEMPORARY TABLE kept (x Int8)");
  });
  request(in_session(), [&](auto& c) {
    CAF_CHECK(c.has_own("max_threads"));
    CAF_CHECK(c.has_own("max_block_size"));
    CAF_CHECK(!c.has_own("max_insert_threads"));
    CAF_CHECK(!c.set({{"max_threads", "2"}, {"max_insert_threads", "9"}}));
    CAF_CHECK_EQUAL(ask(c, threads), "2\n");
  });
  request(in_session(), [&](auto& c) {
    CAF_CHECK_EQUAL(ask(c, threads), "5\n");
    CAF_CHECK_EQUAL(ask(c, "SELECT getSetting('max_insert_threads')"), "0\n");
    CAF_CHECK_EQUAL(ask(c, "SELECT count() FROM kept"), "0\n");
  });
  CAF_MESSAGE("of its user only");
  request(
    in_session(),
    [&](auto& c) { CAF_CHECK_EQUAL(ask(c, "SELECT * FROM kept"), "error 60"); },
    "somebody else");
}

CAF_TEST(a value with quotes is put back as it was) {
  auto look = "SELECT getSetting('format_csv_null_representation')";
  request(in_session(), [&](auto& c) {
    ask(c, "SET format_csv_null_representation = 'it\\'s \\\\ \t'");
    c.has_set("SET format_csv_null_representation = 'x'");
  });
  request(in_session(), [&](auto& c) {
    CAF_CHECK(!c.set({{"format_csv_null_representation", "other"}}));
    CAF_CHECK_EQUAL(ask(c, look), "other\n");
  });
  request(in_session(),
          [&](auto& c) { CAF_CHECK_EQUAL(ask(c, look), "it's \\ \t\n"); });
}

CAF_TEST(a request has a database of its own and USE stays) {
  auto c0 = db().connect();
  ask(c0, "CREATE DATABASE one; ");
  ask(c0, "CREATE DATABASE IF NOT EXISTS one");
  ask(c0, "CREATE DATABASE IF NOT EXISTS `t w`");
  auto current = "SELECT currentDatabase()";
  request(in_session(), [&](auto& c) {
    CAF_CHECK(!c.use("one"));
    CAF_CHECK_EQUAL(ask(c, current), "one\n");
  });
  request(in_session(), [&](auto& c) {
    CAF_CHECK_EQUAL(ask(c, current), "default\n");
    CAF_CHECK(!c.use("one"));
    ask(c, "USE `t w`");
    c.has_used();
  });
  request(in_session(), [&](auto& c) {
    CAF_CHECK_EQUAL(ask(c, current), "t w\n");
    CAF_CHECK(!c.use("one"));
  });
  request(in_session(),
          [&](auto& c) { CAF_CHECK_EQUAL(ask(c, current), "t w\n"); });
  request(in_session(),
          [&](auto& c) { CAF_CHECK_EQUAL(c.use("nowhere").code, 81); });
}

CAF_TEST(a session serves one request at a time) {
  query_connection first{db(), sessions};
  CAF_CHECK(!first.open("u", false, in_session()));
  CAF_CHECK_EQUAL(request(in_session(), [](auto&) {}).code, 373);
  CAF_CHECK(!request(in_session("other"), [](auto&) {}));
  CAF_CHECK(!request(
    in_session(), [](auto&) {}, "somebody else"));
  first.close();
  CAF_CHECK(!request(in_session(), [](auto&) {}));
  CAF_MESSAGE("one that must exist, and one that is closed");
  auto x = in_session("missing");
  x.session_check = true;
  CAF_CHECK_EQUAL(request(x, [](auto&) {}).code, 372);
  x = in_session();
  x.session_check = x.close_session = true;
  CAF_CHECK(!request(x, [](auto&) {}));
  CAF_CHECK_EQUAL(request(x, [](auto&) {}).code, 372);
}

CAF_TEST(a session that nobody uses is dropped after its time) {
  auto x = in_session();
  x.session_timeout = 0s;
  CAF_CHECK(!request(x, [](auto&) {}));
  x.session_check = true;
  for (int i = 0; i < 1000; ++i) {
    if (request(x, [](auto&) {}).code == 372)
      return;
    std::this_thread::sleep_for(10ms);
  }
  CAF_FAIL("it is there still");
}

CAF_TEST(external tables come with a form) {
  for (size_t n : {1, 7, 1000}) {
    query_connection c{db(), sessions};
    query_request x;
    CAF_REQUIRE(!c.open("u", false, x));
    auto err
      = form(c, x,
             field("query", "SELECT 1")
               + field("a_structure", "id Int32, `b c` String")
               + field("a_format", "CSV") + file("a", "1,\"x\"\n2,\"y,z\"")
               + field("b_types", "UInt8,Array(Tuple(String, Int8))")
               + file("b", "7\t[('p',1),('q',2)]\n")
               + field("c_structure", "x String") + file("c", "") + "--B--\r\n",
             n);
    CAF_MESSAGE(err.text);
    CAF_REQUIRE(!err);
    CAF_CHECK_EQUAL(x.query, "SELECT 1");
    CAF_CHECK_EQUAL(ask(c, "SELECT * FROM a ORDER BY id"), "1\tx\n2\ty,z\n");
    CAF_CHECK_EQUAL(ask(c, "SELECT _1, _2[2].1 FROM b"), "7\tq\n");
    CAF_CHECK_EQUAL(ask(c, "SELECT count() FROM c"), "0\n");
  }
}

CAF_TEST(external tables of a session are gone with the request) {
  request(in_session(), [&](auto& c) {
    query_request x;
    CAF_CHECK(!form(
      c, x, field("a_structure", "id Int32") + file("a", "1\n") + "--B--\r\n"));
    CAF_CHECK_EQUAL(ask(c, "SELECT * FROM a"), "1\n");
  });
  request(in_session(), [&](auto& c) {
    CAF_CHECK_EQUAL(ask(c, "SELECT * FROM a"), "error 60");
  });
}

CAF_TEST(external tables that cannot be) {
  auto code = [&](const std::string& body) {
    query_connection c{db(), sessions};
    query_request x;
    CAF_REQUIRE(!c.open("u", false, x));
    return form(c, x, body + "--B--\r\n").code;
  };
  CAF_MESSAGE("without a structure, or with one that comes too late");
  CAF_CHECK_EQUAL(code(file("a", "1\n")), 36);
  CAF_CHECK_EQUAL(code(file("a", "1\n") + field("a_structure", "id Int8")), 36);
  CAF_MESSAGE("of an unknown type or format, with rows that are none");
  CAF_CHECK_EQUAL(code(field("a_structure", "id Nope") + file("a", "1\n")), 50);
  CAF_CHECK_EQUAL(code(field("a_structure", "id Int8")
                       + field("a_format", "Nope") + file("a", "1\n")),
                  73);
  CAF_CHECK_EQUAL(code(field("a_structure", "id Int8") + file("a", "x\n")), 27);
  CAF_CHECK_EQUAL(
    code(field("a_structure", "id Int8") + file("a", "1\n") + file("a", "2\n")),
    57);
}

CAF_TEST(a query is cancelled wherever it is) {
  running_queries running{db()};
  auto x = running.add("q1", "u", {});
  CAF_REQUIRE(x);
  CAF_MESSAGE("an id runs once at a time");
  CAF_CHECK(running.add("q1", "other", {}) == nullptr);
  CAF_CHECK(running.has("q1"));
  CAF_CHECK(!running.cancel("q2"));
  CAF_CHECK(!running.wait_until_idle(0ms));
  std::string said;
  std::thread worker{[&] {
    auto c = db().connect();
    ask(c, "SET log_comment = 'q1'");
    said = ask(c, "SELECT count() FROM numbers(100000000000000) WHERE"
                  " NOT ignore(number)");
  }};
  CAF_CHECK(running.cancel("q1"));
  CAF_CHECK(x->cancelled);
  worker.join(); // it would take days
  CAF_CHECK_EQUAL(said, "error 394");
  running.remove(x);
  CAF_CHECK(running.wait_until_gone({"q1"}, 0ms));
  CAF_CHECK(running.wait_until_idle(0ms));
}

CAF_TEST_FIXTURE_SCOPE_END()
