#define CAF_SUITE configuration

#include "app/configuration.hpp"

#include <caf/test/dsl.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace millrace;
using namespace std::literals;

namespace {

const auto minimal = R"([millrace]
pipeline = "shop"
[source]
uri = "postgresql://millrace@127.0.0.1:5432/shop"
)"s;

struct fixture {
  fixture() {
    unsetenv("MILLRACE_SOURCE_PASSWORD");
    unsetenv("MILLRACE_TARGET_PASSWORD");
    folder = std::filesystem::temp_directory_path()
             / ("millrace-configuration-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
  }

  ~fixture() {
    std::filesystem::remove_all(folder);
  }

  std::string write(const std::string& name, const std::string& text) {
    auto path = (folder / name).string();
    std::ofstream{path} << text;
    return path;
  }

  /// Problems of a text, without the file's name.
  configuration_problems problems(const std::string& text) {
    auto x = parse_configuration(text, "/etc/m.conf");
    if (x)
      return {};
    for (auto& line : x.error()) {
      CAF_REQUIRE_EQUAL(line.substr(0, 13), "/etc/m.conf: ");
      line.erase(0, 13);
    }
    return x.error();
  }

  std::string source_password(const std::string& text) {
    auto x = parse_configuration(text, (folder / "m.conf").string());
    CAF_REQUIRE(x);
    return x->source.password;
  }

  /// Checks that exactly one thing is wrong with `minimal` plus `text`.
  void one(const std::string& text, const std::string& expected) {
    auto xs = problems(minimal + text);
    if (xs.size() == 1)
      CAF_CHECK_EQUAL(xs.front(), expected);
    else
      CAF_ERROR("expected one problem, got " << caf::deep_to_string(xs)
                                             << " for " << text);
  }

  std::filesystem::path folder;
};

/// All that can be compared, as text.
std::string dump(const configuration& x) {
  auto join = [](const std::vector<std::string>& xs) {
    std::string result;
    for (const auto& text : xs)
      result += text + ",";
    return result;
  };
  std::ostringstream out;
  out << x.log.level << '|' << x.log.file << '|' << x.log.json << '|'
      << join(x.source.tables) << '|' << join(x.source.exclude) << '|'
      << x.source.password << '|' << x.source.silence.count() << '|'
      << x.source.status_interval.count() << '|' << x.snapshot << '|'
      << x.snapshot_connections << '|' << x.target.url << '|' << x.target.user
      << '|' << x.target.password << '|' << x.target.database << '|'
      << x.target.ca_file << '|' << x.target.fsync << '|' << x.target.cluster
      << '|' << x.target.engine << '|' << x.target.connect_timeout.count()
      << '|' << x.target.stall_timeout.count() << '|'
      << x.target.tombstone_age.count() << '|'
      << x.target.tombstone_interval.count() << '|'
      << x.target.tombstone_percent << '|' << x.mapping.null_as_default << '|'
      << x.mapping.null_as_default_of.size() << '|'
      << x.mapping.refuse_out_of_range << '|' << x.mapping.table_names.size()
      << '|' << x.mapping.columns.size() << '|' << x.transformer_shards << '|'
      << x.limits.window_bytes << '|' << x.limits.snapshot_window_bytes << '|'
      << x.limits.snapshot_chunk_bytes << '|' << x.limits.batch_rows << '|'
      << x.limits.batch_bytes << '|' << x.limits.insert_rows << '|'
      << x.limits.insert_bytes << '|' << x.limits.flush_wait.count() << '|'
      << x.limits.inserts_per_second << '|' << x.limits.max_dead_letters << '|'
      << x.limits.hold << '|' << x.limits.ready_lag.count() << '|'
      << to_string(x.http) << '|' << x.scheduler.policy << '|'
      << x.scheduler.max_threads;
  return out.str();
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(configuration_tests, fixture)

CAF_TEST(the commented file has all defaults) {
  auto file = read_configuration(MILLRACE_SOURCE_DIR "/conf/millrace.conf");
  CAF_REQUIRE(file);
  CAF_CHECK_EQUAL(dump(*file), dump(configuration{}));
  auto least = parse_configuration(minimal, "/etc/m.conf");
  CAF_REQUIRE(least);
  CAF_CHECK_EQUAL(dump(*least), dump(configuration{}));
  CAF_CHECK_EQUAL(file->pipeline, least->pipeline);
  CAF_CHECK_EQUAL(file->source.uri, least->source.uri);
  CAF_CHECK_EQUAL(file->source.slot, least->source.slot);
  CAF_CHECK_EQUAL(file->source.publication, least->source.publication);
}

CAF_TEST(the commented file names every entry) {
  std::ifstream in{MILLRACE_SOURCE_DIR "/conf/millrace.conf"};
  std::string file{std::istreambuf_iterator<char>{in}, {}};
  for (auto entry : {"pipeline",
                     "roles",
                     "buffer",
                     "log-level",
                     "log-file",
                     "log-format",
                     "uri",
                     "password-file",
                     "tables",
                     "exclude",
                     "publication",
                     "slot",
                     "snapshot",
                     "snapshot-connections",
                     "silence",
                     "status-interval",
                     "url",
                     "user",
                     "database",
                     "nulls",
                     "table-nulls",
                     "names",
                     "columns",
                     "out-of-range",
                     "durability",
                     "ca-file",
                     "cluster",
                     "engine",
                     "tombstone-age",
                     "tombstone-interval",
                     "tombstone-percent",
                     "transformer-shards",
                     "window-bytes",
                     "snapshot-window-bytes",
                     "snapshot-chunk-bytes",
                     "batch-rows",
                     "batch-bytes",
                     "insert-rows",
                     "insert-bytes",
                     "flush-wait",
                     "inserts-per-second",
                     "max-dead-letters",
                     "quarantine",
                     "ready-lag",
                     "listen",
                     "policy",
                     "max-threads"})
    if (file.find("\n"s + entry + " = ") == std::string::npos
        && file.find("\n; "s + entry + " = ") == std::string::npos)
      CAF_ERROR(entry << " is missing");
}

CAF_TEST(the file of the demo is right) {
  CAF_CHECK(read_configuration(MILLRACE_SOURCE_DIR "/conf/demo.conf"));
}

CAF_TEST(reads every entry) {
  auto secret = write("secret", "s3cr3t\n");
  auto text = R"__([millrace]
pipeline = "p_1"
log-level = "debug"
log-file = "log/m.log"
log-format = "json"
[target]
url = "https://ch:8443"
user = "w"
database = "d"
nulls = "defaults"
table-nulls = [ { table = "a.n", nulls = "nullable" } ]
names = [ { table = "a.t", name = "t2" } ]
columns = [ { column = "a.t.c", type = "String" },
            { column = "a.t.d", name = "e" } ]
out-of-range = "dead-letter"
durability = "process"
ca-file = "ca.pem"
cluster = "c"
engine = "ReplicatedReplacingMergeTree('/x', '{replica}')"
tombstone-age = 5min
tombstone-interval = 1500ms
tombstone-percent = 0
transformer-shards = 4
[limits]
window-bytes = 2000000
snapshot-window-bytes = 3000000
snapshot-chunk-bytes = 10000
batch-rows = 10
batch-bytes = 2048
insert-rows = 20
insert-bytes = 4096
flush-wait = 1ms
inserts-per-second = 7
max-dead-letters = 8
quarantine = "hold"
ready-lag = 5s
[http]
listen = "[::1]:1234"
[scheduler]
policy = 'stealing'
max-threads = 3
[source]
uri = "host=db user=u dbname=d"
tables = ["a.*", "b.c"]
exclude = ["a.x"]
publication = "Pub"
slot = "s1"
snapshot = "never"
snapshot-connections = 5
silence = 1min
status-interval = 500ms
)__" + ("password-file = \"" + secret + "\"\n");
  auto x = parse_configuration(text, "/etc/millrace/m.conf");
  CAF_REQUIRE(x);
  CAF_CHECK_EQUAL(
    dump(*x),
    "debug|/etc/millrace/log/m.log|1|a.*,b.c,|a.x,|s3cr3t|60000|500|0|5|"
    "https://ch:8443|w||d|/etc/millrace/ca.pem|0|c|"
    "ReplicatedReplacingMergeTree('/x', "
    "'{replica}')|5000|60000|300000|1500|0|1|1|1|1|2|4|"
    "2000000|3000000|10000|10|2048|20|4096|1|7|8|1|5000|[::1]:1234|stealing|3");
  CAF_CHECK_EQUAL(x->source.publication, "Pub");
  CAF_CHECK_EQUAL(x->source.slot, "s1");
  CAF_CHECK_EQUAL(x->mapping.columns.at("a.t.c").type, "String");
  CAF_CHECK_EQUAL(x->mapping.columns.at("a.t.d").name, "e");
  CAF_CHECK_EQUAL(x->mapping.table_names.at("a.t"), "t2");
  CAF_CHECK_EQUAL(x->mapping.null_as_default_of.at("a.n"), false);
}

CAF_TEST(reports all problems of a file at once) {
  auto xs = problems(R"(
[millrace]
pipline = "shop"
roles = ["capture"]
buffer = "kafka"
[source]
uri = 5
tables = "public.*"
snapshot-connections = 0
silence = 30
[target]
nulls = "maybe"
columns = [ { column = "public.t.c", tpe = "String" }, 3 ]
[limits]
window-bytes = "big"
[http]
listen = "here"
[kafka]
bootstrap-servers = "k"
[views]
files = []
[sorce]
uri = "x"
)");
  std::vector<std::string> expected{
    "millrace.pipeline: missing",
    "millrace.pipline: unknown entry; did you mean \"pipeline\"?",
    "millrace.roles: expected [\"capture\", \"transform\"]: with buffer = "
    "\"direct\" one node has both",
    "millrace.buffer: this version of millrace has no Kafka buffer, expected "
    "\"direct\"",
    "source.uri: expected a \"string\", got 5 (integer)",
    "source.tables: expected a list, such as [\"a\", \"b\"], got \"public.*\" "
    "(string)",
    "source.snapshot-connections: expected an integer from 1 to 64, got 0 "
    "(integer)",
    "source.silence: expected a time span from 1s to 3600s with a unit, such "
    "as 10s or 500ms, got 30 (integer)",
    "target.nulls: expected one of \"nullable\", \"defaults\", got \"maybe\" "
    "(string)",
    "target.columns[0].column: names a column without saying its type or name",
    "target.columns[0].tpe: unknown entry; did you mean \"type\"?",
    "target.columns[1]: expected { ... }, got 3 (integer)",
    "limits.window-bytes: expected an integer from 1048576 to 68719476736, got "
    "\"big\" (string)",
    "http.listen: expected \"host:port\" with a port from 1 to 65535, got "
    "\"here\"",
    "kafka: this version of millrace has no Kafka buffer; remove the section",
    "sorce: unknown section; did you mean \"source\"?",
    "views: this version of millrace has no views; remove the section",
  };
  for (const auto& x : expected)
    if (std::find(xs.begin(), xs.end(), x) == xs.end())
      CAF_ERROR("missing: " << x);
  for (const auto& x : xs)
    if (std::find(expected.begin(), expected.end(), x) == expected.end())
      CAF_ERROR("not expected: " << x);
}

CAF_TEST(an entry given twice is an error) {
  one("slot = \"a\"\nslot = \"b\"\n",
      "source.slot: given twice, in line 5 and in line 6");
  one("[source]\nslot = \"a\"\n[millrace]\npipeline = \"other\"\n",
      "millrace.pipeline: given twice, in line 2 and in line 8");
  one("[target]\nnames = [ { table = \"a.b\", name = \"x\", name = \"y\" } ]\n",
      "target.names[0].name: given twice, in line 6 and in line 6");
}

CAF_TEST(sections may be repeated and hold odd strings) {
  CAF_CHECK_EQUAL(
    caf::deep_to_string(problems(
      minimal
      + "exclude = [\"a.x=[{;\", ; comment with \" and ]\n \"a.\\\"y\\\"\",]\n"
        "[target] ; = [ {\nuser = \"u\"\n[source]\nslot = \"a\"\n")),
    "[]");
}

CAF_TEST(a bracket that is never closed is an error) {
  auto xs = problems(minimal + "tables = [\"public.*\"\n");
  CAF_REQUIRE(!xs.empty());
  CAF_CHECK_EQUAL(xs[0], "line 5: the [ is never closed");
}

CAF_TEST(syntax errors name line and column and the remedy) {
  auto says = [this](const std::string& text, const std::string& what) {
    auto xs = problems(text);
    CAF_REQUIRE_EQUAL(xs.size(), 1u);
    CAF_CHECK_EQUAL(xs.front(), what);
  };
  says(minimal + "slot = shop\n",
       "line 5, column 9: syntax error; expected [section], or key = value "
       "with strings in \"double quotes\"");
  says("# millrace\n", "line 1, column 1: syntax error; comments begin with ;");
  says("[millrace]\r\npipeline = \"a\"\r\n",
       "line 1, column 11: syntax error; the file has Windows line ends, "
       "save it with Unix ones");
  says("\xEF\xBB\xBF[millrace]\n",
       "line 1, column 1: syntax error; the file begins with a byte order "
       "mark, save it without");
}

CAF_TEST(a file that cannot be read is one problem) {
  auto missing = read_configuration((folder / "nope.conf").string());
  CAF_REQUIRE(!missing);
  CAF_CHECK_EQUAL(missing.error().size(), 1u);
  CAF_CHECK_EQUAL(missing.error()[0],
                  (folder / "nope.conf").string()
                    + ": cannot be read: No such file or directory");
  auto directory = read_configuration(folder.string());
  CAF_REQUIRE(!directory);
  CAF_CHECK_EQUAL(directory.error()[0],
                  folder.string() + ": is a folder, not a file");
}

CAF_TEST(an empty file lacks the two entries that must be there) {
  CAF_CHECK_EQUAL(caf::deep_to_string(problems("")),
                  "[\"millrace.pipeline: missing\", \"source.uri: missing\"]");
}

CAF_TEST(passwords come from files or the environment) {
  auto file = write("pw", "from file\n");
  auto text = minimal + "password-file = \"" + file + "\"\n";
  CAF_CHECK_EQUAL(source_password(text), "from file");
  auto here = minimal + "password-file = \"pw\"\n";
  CAF_CHECK_EQUAL(source_password(here), "from file");
  setenv("MILLRACE_SOURCE_PASSWORD", "from environment", 1);
  CAF_CHECK_EQUAL(source_password(text), "from environment");
  unsetenv("MILLRACE_SOURCE_PASSWORD");
  setenv("MILLRACE_TARGET_PASSWORD", "t", 1);
  CAF_CHECK_EQUAL(parse_configuration(text, "m").value().target.password + "",
                  "t");
}

CAF_TEST(password files must hold one line) {
  one("password-file = \"/nonexistent/pw\"\n",
      "source.password-file: /nonexistent/pw cannot be read: No such file or "
      "directory");
  auto empty = write("empty", "\n");
  one("password-file = \"" + empty + "\"\n",
      "source.password-file: " + empty + " is empty");
  auto two = write("two", "a\nb\n");
  one("password-file = \"" + two + "\"\n",
      "source.password-file: " + two + " has more than one line");
}

CAF_TEST(a password in the file is refused and not repeated) {
  auto head = "[millrace]\npipeline = \"p\"\n[source]\nuri = "s;
  for (auto uri : {"postgresql://u:s3cr3t@h/d", "host=h password=s3cr3t",
                   "postgresql://u@h/d?password=s3cr3t"}) {
    auto xs = problems(head + "\"" + uri + "\"\n");
    CAF_REQUIRE_EQUAL(xs.size(), 1u);
    CAF_CHECK(xs[0].find("source.password-file") != std::string::npos);
    CAF_CHECK(xs[0].find("s3cr3t") == std::string::npos);
  }
  for (auto uri : {"postgresql://u:s3cr3t@h:port/d", "host=h password='s3cr3t"})
    CAF_CHECK(problems(head + "\"" + uri + "\"\n").at(0).find("s3cr3t")
              == std::string::npos);
  one("password = \"s3cr3t\"\n",
      "source.password: passwords do not belong into this file: use "
      "password-file, or the environment variable MILLRACE_SOURCE_PASSWORD");
  for (auto url :
       {"http://u:s3cr3t@h:8123", "http://h:8123/?user=u&password=s3cr3t",
        "h?password=s3cr3t"}) {
    auto xs = problems(minimal + "[target]\nurl = \"" + url + "\"\n");
    CAF_REQUIRE_EQUAL(xs.size(), 1u);
    CAF_CHECK(xs[0].find("target.password-file") != std::string::npos);
    CAF_CHECK(xs[0].find("s3cr3t") == std::string::npos);
  }
}

CAF_TEST(addresses are checked) {
  for (auto url :
       {"127.0.0.1:8123", "ftp://h", "http://", "http://:8123", "http://h:0",
        "http://h:70000", "http://h:", "http://h/?x=1", "http://a b"})
    if (problems(minimal + "[target]\nurl = \"" + url + "\"\n").size() != 1)
      CAF_ERROR(url << " is accepted");
  for (auto url :
       {"http://h", "https://h:8443", "http://[::1]:8123", "http://h/path"})
    if (!problems(minimal + "[target]\nurl = \"" + url + "\"\n").empty())
      CAF_ERROR(url << " is refused");
  for (auto address : {"", "9470", ":9470", "h:", "h:0", "h:65536", "::1:9470",
                       "h:94x", "a b:1", "[]:1"})
    if (parse_listen_address(address))
      CAF_ERROR(address << " is accepted");
  CAF_CHECK_EQUAL(to_string(*parse_listen_address("[::1]:9")), "[::1]:9");
  CAF_CHECK_EQUAL(to_string(*parse_listen_address("0.0.0.0:65535")),
                  "0.0.0.0:65535");
}

CAF_TEST(contradictions are errors) {
  one("tables = [\"public.a\"]\nexclude = [\"public.a\"]\n",
      "source.exclude: excludes \"public.a\", which source.tables names");
  one("tables = []\n", "source.tables: names no table");
  one("tables = [\"orders\"]\n",
      "source.tables: expected \"schema.table\", got \"orders\"");
  one("silence = 10s\n",
      "source.silence: must be longer than source.status-interval: only an "
      "answer to a status shows that an idle server lives");
  one("[target]\nca-file = \"/ca.pem\"\n",
      "target.ca-file: contradicts target.url, which is not https");
  one("[target]\ncluster = \"c\"\n",
      "target.engine: \"ReplacingMergeTree\" contradicts target.cluster: its "
      "servers would not share rows; expected "
      "\"ReplicatedReplacingMergeTree(...)\"");
  one("[target]\nengine = \"MergeTree\"\n",
      "target.engine: expected \"ReplacingMergeTree\" or "
      "\"ReplicatedReplacingMergeTree(...)\", got \"MergeTree\"");
  one("[target]\nnames = [ { table = \"a.b\", name = \"x\" },\n"
      " { table = \"c.d\", name = \"x\" } ]\n",
      "target.names: \"a.b\" and \"c.d\" would share the table \"x\"");
  one("[target]\nnames = [ { table = \"a.b\", name = \"x\" },\n"
      " { table = \"a.b\", name = \"y\" } ]\n",
      "target.names[1].table: \"a.b\" is named twice");
  one("[target]\ncolumns = [ { column = \"a.b.c\", name = \"x\" },\n"
      " { column = \"a.b.d\", name = \"x\" } ]\n",
      "target.columns: two columns of \"a.b\" would be named \"x\"");
  one("[target]\ncolumns = [ { column = \"b.c\", name = \"x\" } ]\n",
      "target.columns: expected \"schema.table.column\", got \"b.c\"");
  one("[limits]\nbatch-bytes = 40000000\nsnapshot-window-bytes = 50000000\n",
      "limits.batch-bytes: 40000000 contradicts window-bytes = 33554432, which "
      "must be at least as much");
  one("[limits]\ninsert-rows = 100\n",
      "limits.batch-rows: 8192 contradicts insert-rows = 100, which must be at "
      "least as much");
}

CAF_TEST(names must be what PostgreSQL takes) {
  auto with = [this](const std::string& pipeline) {
    return problems("[millrace]\npipeline = \"" + pipeline
                    + "\"\n[source]\nuri = \"host=h\"\n");
  };
  CAF_CHECK(with("a1_b").empty());
  CAF_CHECK(with(std::string(46, 'x')).empty());
  CAF_REQUIRE_EQUAL(with("Shop-1").size(), 1u);
  CAF_CHECK_EQUAL(with("Shop-1").at(0) + "",
                  "millrace.pipeline: expected letters a-z, digits and _, got "
                  "\"Shop-1\"");
  CAF_CHECK_EQUAL(with(std::string(47, 'x')).size(), 1u);
  one("slot = \"Slot\"\n",
      "source.slot: expected letters a-z, digits and _, got \"Slot\"");
  one("publication = \"\"\n", "source.publication: must not be empty");
}

CAF_TEST(the scheduler takes atoms and nothing unknown) {
  one("[scheduler]\npolicy = 'testing'\n",
      "scheduler.policy: expected one of 'sharing', 'stealing', got 'testing' "
      "(atom)");
  one("[scheduler]\nmax-threads = -1\n",
      "scheduler.max-threads: expected an integer from 0 to 1024, got -1 "
      "(integer)");
}

CAF_TEST_FIXTURE_SCOPE_END()
