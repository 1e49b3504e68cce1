#define CAF_SUITE table_transformer

#include "actors/table_transformer.hpp"
#include "test/unit/fake_agents.hpp"
#include "test/unit/native_reader.hpp"
#include "test/unit/table_fixture.hpp"

using namespace millrace;
using namespace millrace::test;

namespace {

using block_inbox = inbox_ptr<row_block_ptr, atom::ack>;
using fake_sink = fake<sink_actor>;
using strings = std::vector<std::string>;

struct sink_script {
  block_inbox blocks = make_inbox<row_block_ptr, atom::ack>();
  int flushes = 0;
};

fake_sink::behavior_type sink_of(fake_sink::stateful_pointer<fake_state> self,
                                 std::shared_ptr<sink_script> x) {
  return {
    [=](const row_block_ptr& block) {
      return keep<row_block_ptr, atom::ack>(self, x->blocks, block);
    },
    [=](atom::flush) { ++x->flushes; },
    [](atom::tick) {},
    run_errands(),
  };
}

const auto& u = unchanged_mark;

struct fixture : peers_fixture {
  fixture()
    : source(table("docs", {column("id", value_kind::int8, false, 0),
                            column("n", value_kind::int4),
                            column("body", value_kind::text, false)})),
      sink_log(std::make_shared<sink_script>()),
      admin_log(std::make_shared<target_script>()),
      reader_log(std::make_shared<target_script>()) {
    sink = own(sys.spawn(sink_of, sink_log));
    admin = own(sys.spawn(fake_target_agent, admin_log));
    reader = own(sys.spawn(fake_target_agent, reader_log));
    hdl = own(sys.spawn(table_transformer, context, "public.docs",
                        transformer_targets{sink, admin, reader},
                        transform::mapping_options{},
                        std::make_shared<transform::server_limits>()));
    end = watch_end(hdl);
  }

  asked_ptr<atom::ack> send(const batch_builder& b) {
    auto part = std::make_shared<row_part>();
    part->batch = std::make_shared<change_batch>(b.batch);
    part->changes = b.changes;
    return ask<atom::ack>(hdl, row_part_ptr{part});
  }

  asked_ptr<atom::ack> send_row(const text_row& row) {
    batch_builder b{source};
    b.insert(row);
    return send(b);
  }

  void announce() {
    CAF_CHECK(send(batch_builder{source})->answered());
  }

  // Versions have this commit.
  batch_builder at(uint64_t commit) {
    batch_builder b{source};
    b.batch.transactions.back().commit = lsn{commit};
    return b;
  }

  void make_durable(size_t block) {
    answer(sink, sink_log->blocks, block, atom::ack_v);
  }

  size_t blocks() const {
    return sink_log->blocks->size();
  }

  strings values(size_t block, const char* column) {
    return native_reader{(*sink_log->blocks)[block]->native.text()}
      .values[column];
  }

  // The target has this row of the key 1.
  void store(uint64_t commit, std::string body, bool deleted = false) {
    std::string key("\1\0\0\0\0\0\0\0", 8);
    auto size = static_cast<char>(body.size());
    reader_log->rows[key] = {{commit, 0}, deleted, {size + body}, {}};
  }

  std::string quarantine() {
    return numbers().look(0).quarantine;
  }

  table_metrics& numbers() {
    return *context.numbers->table("public.docs");
  }

  table_description_ptr source;
  std::shared_ptr<sink_script> sink_log;
  target_script_ptr admin_log;
  target_script_ptr reader_log;
  fake_sink sink;
  fake_target admin;
  fake_target reader;
  transformer_actor hdl;
  std::shared_ptr<std::string> end;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(table_transformer_tests, fixture)

CAF_TEST(rows are durable when the sink says so) {
  auto done = send_row({"1", "2", "x"});
  CAF_REQUIRE_EQUAL(blocks(), 1u);
  CAF_CHECK_EQUAL(values(0, "id"), strings{"1"});
  CAF_CHECK_EQUAL(values(0, "body"), strings{"x"});
  CAF_CHECK(done->pending());
  make_durable(0);
  CAF_CHECK(done->answered());
}

CAF_TEST(parts are passed on before those before them are durable) {
  auto first = send_row({"1", "2", "x"});
  auto second = send_row({"2", "2", "x"});
  CAF_CHECK_EQUAL(blocks(), 2u);
  make_durable(1);
  CAF_CHECK(second->answered());
  CAF_CHECK(first->pending());
}

CAF_TEST(the target table is there before its first row) {
  admin_log->held = {"ensure"};
  auto done = send_row({"1", "2", "x"});
  CAF_REQUIRE_EQUAL(admin_log->ensures->size(), 1u);
  CAF_CHECK_EQUAL(admin_log->ensures->back()->name, "docs");
  CAF_CHECK_EQUAL(blocks(), 0u);
  answer(admin, admin_log->ensures, 0, atom::ack_v);
  CAF_CHECK_EQUAL(blocks(), 1u);
}

CAF_TEST(an announcement makes the table and no row) {
  batch_builder b{source};
  CAF_CHECK(send(b)->answered());
  CAF_CHECK_EQUAL(admin_log->count("ensure"), 1u);
  CAF_CHECK_EQUAL(blocks(), 0u);
}

CAF_TEST(the same shape is not looked at twice) {
  send_row({"1", "2", "x"});
  source = std::make_shared<table_description>(*source);
  send_row({"2", "2", "x"});
  CAF_CHECK_EQUAL(admin_log->count("ensure"), 1u);
  CAF_CHECK_EQUAL(blocks(), 2u);
}

CAF_TEST(a new column is in the target before the first row that has it) {
  send_row({"1", "2", "x"});
  auto wider = std::make_shared<table_description>(*source);
  wider->columns.push_back(column("more", value_kind::text));
  source = wider;
  admin_log->held = {"ensure"};
  send_row({"2", "2", "x", "y"});
  send_row({"3", "2", "x", "z"});
  CAF_CHECK_EQUAL(blocks(), 1u);
  CAF_REQUIRE_EQUAL(admin_log->ensures->size(), 2u);
  CAF_CHECK_EQUAL(admin_log->ensures->back()->columns.size(), 4u);
  answer(admin, admin_log->ensures, 1, atom::ack_v);
  CAF_REQUIRE_EQUAL(blocks(), 3u);
  CAF_CHECK_EQUAL(values(1, "more"), strings{"y"});
  CAF_CHECK_EQUAL(values(2, "more"), strings{"z"});
}

CAF_TEST(a value that cannot be held goes to the dead letters alone) {
  batch_builder b{source};
  b.insert({"1", "2", "x"});
  b.insert({"2", "many", "y"});
  b.insert({"3", "4", "z"});
  auto done = send(b);
  CAF_REQUIRE_EQUAL(blocks(), 1u);
  CAF_CHECK_EQUAL(values(0, "id"), (strings{"1", "3"}));
  CAF_REQUIRE_EQUAL(admin_log->letters->size(), 1u);
  const auto& letters = *admin_log->letters->back();
  CAF_REQUIRE_EQUAL(letters.size(), 1u);
  CAF_CHECK_EQUAL(letters[0].table, "public.docs");
  CAF_CHECK((letters[0].at == version{100, 2}));
  CAF_CHECK_EQUAL(letters[0].key, R"({"id":"2"})");
  CAF_CHECK_NOT_EQUAL(letters[0].event.find("many"), std::string::npos);
  CAF_CHECK_NOT_EQUAL(letters[0].error.find("\"n\""), std::string::npos);
  CAF_CHECK_EQUAL(numbers().dead_letters.value(), 1u);
  CAF_CHECK(done->pending());
  make_durable(0);
  CAF_CHECK(done->answered());
}

CAF_TEST(a part is not durable before its dead letters are) {
  admin_log->held = {"letters"};
  batch_builder b{source};
  b.insert({"1", "2", "x"});
  b.insert({"2", "many", "y"});
  auto done = send(b);
  make_durable(0);
  CAF_CHECK(done->pending());
  answer(admin, admin_log->letters, 0, atom::ack_v);
  CAF_CHECK(done->answered());
}

CAF_TEST(a part without a good row is durable with its dead letters) {
  auto done = send_row({"1", "many", "x"});
  CAF_CHECK_EQUAL(blocks(), 0u);
  CAF_CHECK(done->answered());
}

// -- rows that the target refuses ---------------------------------------------

CAF_TEST(rows that the target refuses are found and put aside) {
  batch_builder b{source};
  for (auto id : {"1", "2", "3", "4", "5", "6", "7"})
    b.insert({id, "1", "x"});
  auto done = send(b);
  // The target takes all rows but those of 3 and 6.
  for (size_t i = 0; i < blocks(); ++i) {
    auto ids = values(i, "id");
    auto bad = [&](auto id) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    if (bad("3") || bad("6"))
      refuse(sink, sink_log->blocks, i, ec::rows_refused);
    else
      make_durable(i);
  }
  CAF_CHECK(done->answered());
  CAF_CHECK(!(*sink_log->blocks)[0]->alone);
  CAF_CHECK((*sink_log->blocks)[1]->alone);
  CAF_CHECK((*sink_log->blocks)[1]->urgent);
  CAF_REQUIRE_EQUAL(admin_log->letters->size(), 2u);
  strings keys;
  for (const auto& x : admin_log->letters->all) {
    CAF_REQUIRE_EQUAL(x.what->size(), 1u);
    keys.push_back(x.what->front().key);
    CAF_CHECK_EQUAL(x.what->front().error, "refused");
  }
  std::sort(keys.begin(), keys.end());
  CAF_CHECK_EQUAL(keys, (strings{R"({"id":"3"})", R"({"id":"6"})"}));
  CAF_CHECK_EQUAL(numbers().dead_letters.value(), 2u);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a refused change of a key is one dead letter) {
  batch_builder b{source};
  b.update(old_row::key, {"1", {}, {}}, {"2", "1", "x"});
  auto done = send(b);
  CAF_CHECK_EQUAL(values(0, "id"), (strings{"1", "2"}));
  refuse(sink, sink_log->blocks, 0, ec::rows_refused);
  CAF_CHECK(done->answered());
  CAF_CHECK_EQUAL(blocks(), 1u);
  CAF_REQUIRE_EQUAL(admin_log->letters->size(), 1u);
  CAF_CHECK_EQUAL(admin_log->letters->back()->front().key, R"({"id":"2"})");
}

CAF_TEST(restored values are in the halves of a refused block too) {
  store(100, "old");
  auto b = at(200);
  b.update({"1", "2", u});
  b.insert({"3", "many", "x"});
  b.insert({"2", "2", "y"});
  auto done = send(b);
  CAF_CHECK_EQUAL(admin_log->letters->size(), 1u);
  refuse(sink, sink_log->blocks, 0, ec::rows_refused);
  CAF_REQUIRE_EQUAL(blocks(), 3u);
  CAF_CHECK_EQUAL(values(1, "body"), strings{"old"});
  CAF_CHECK_EQUAL(values(2, "body"), strings{"y"});
  make_durable(1);
  make_durable(2);
  CAF_CHECK(done->answered());
  CAF_CHECK_EQUAL(admin_log->letters->size(), 1u);
}

CAF_TEST(a target table that takes no inserts lets the table go) {
  admin_log->held = {"save"};
  auto done = send_row({"1", "1", "x"});
  auto second = send_row({"2", "1", "x"});
  refuse(sink, sink_log->blocks, 0, ec::table_unsuitable);
  refuse(sink, sink_log->blocks, 1, ec::rows_refused);
  auto third = send_row({"3", "1", "x"});
  CAF_CHECK_EQUAL(quarantine(), "refused");
  CAF_CHECK(done->pending());
  CAF_CHECK(second->pending());
  CAF_CHECK(third->pending());
  CAF_REQUIRE_EQUAL(admin_log->count("save"), 1u);
  answer(admin, admin_log->saves, 0, atom::ack_v);
  CAF_CHECK(done->answered());
  CAF_CHECK(second->answered());
  CAF_CHECK(third->answered());
  CAF_CHECK_EQUAL(admin_log->letters->size(), 0u);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a table with too many dead letters is let go) {
  admin_log->failing["letters"] = ec::table_unsuitable;
  auto done = send_row({"1", "many", "x"});
  CAF_CHECK(done->answered());
  CAF_CHECK_EQUAL(quarantine(), "letters failed");
  CAF_CHECK_EQUAL(admin_log->state("quarantine", "public.docs"),
                  "letters failed");
  CAF_CHECK(send_row({"2", "1", "x"})->answered());
  CAF_CHECK_EQUAL(blocks(), 0u);
  CAF_CHECK_EQUAL(*end, "");
}

// -- values that the stream left out ------------------------------------------

CAF_TEST(an unchanged value is read when all before is durable) {
  send_row({"1", "1", "old"});
  auto b = at(200);
  b.update({"1", "2", u});
  auto done = send(b);
  CAF_CHECK_EQUAL(blocks(), 1u);
  CAF_CHECK_EQUAL(reader_log->count("read"), 0u);
  CAF_CHECK_EQUAL(sink_log->flushes, 1);
  store(100, "old");
  make_durable(0);
  CAF_REQUIRE_EQUAL(reader_log->reads->size(), 1u);
  CAF_CHECK_EQUAL(reader_log->reads->back()->keys.size(), 1u);
  CAF_REQUIRE_EQUAL(blocks(), 2u);
  CAF_CHECK_EQUAL(values(1, "n"), strings{"2"});
  CAF_CHECK_EQUAL(values(1, "body"), strings{"old"});
  CAF_CHECK(done->pending());
  make_durable(1);
  CAF_CHECK(done->answered());
}

CAF_TEST(values that are large together are restored one after another) {
  std::string large(5 << 20, 'x');
  std::string key("\1\0\0\0\0\0\0\0", 8);
  auto stored = "\x80\x80\xc0\x02" + large;
  for (auto id : {'\1', '\2', '\3'}) {
    key[0] = id;
    reader_log->rows[key] = {{100, 0}, false, {stored}, {}};
  }
  auto b = at(200);
  b.update({"1", "1", u});
  b.insert({"9", "1", "x"});
  b.update({"2", "2", u});
  b.update({"3", "many", u});
  auto done = send(b);
  CAF_REQUIRE_EQUAL(blocks(), 1u);
  CAF_CHECK_EQUAL(values(0, "id"), (strings{"1", "9"}));
  CAF_CHECK_EQUAL(values(0, "body"), (strings{large, "x"}));
  CAF_CHECK_EQUAL(reader_log->count("read"), 1u);
  CAF_MESSAGE("what comes later waits");
  auto later = send_row({"10", "1", "x"});
  CAF_CHECK_EQUAL(blocks(), 1u);
  make_durable(0);
  CAF_CHECK_EQUAL(reader_log->count("read"), 2u);
  CAF_REQUIRE_EQUAL(blocks(), 2u);
  CAF_CHECK_EQUAL(values(1, "id"), strings{"2"});
  CAF_CHECK(done->pending());
  make_durable(1);
  CAF_CHECK(done->answered());
  CAF_MESSAGE("a change that cannot be written is put aside once");
  CAF_CHECK_EQUAL(admin_log->letters->size(), 1u);
  CAF_CHECK_EQUAL(blocks(), 3u);
  make_durable(2);
  CAF_CHECK(later->answered());
}

CAF_TEST(keys that the target did not answer are asked for again) {
  for (auto id : {'\1', '\2'}) {
    std::string key("\1\0\0\0\0\0\0\0", 8);
    key[0] = id;
    reader_log->rows[key] = {{100, 0}, false, {"\3old"}, {}};
  }
  reader_log->answered = 1;
  auto b = at(200);
  b.update({"1", "1", u});
  b.update({"1", "2", u});
  b.update({"2", "2", u});
  auto done = send(b);
  CAF_REQUIRE_EQUAL(blocks(), 1u);
  CAF_CHECK_EQUAL(values(0, "n"), (strings{"1", "2"}));
  make_durable(0);
  CAF_REQUIRE_EQUAL(blocks(), 2u);
  CAF_CHECK_EQUAL(reader_log->reads->back()->keys.size(), 1u);
  CAF_CHECK_EQUAL(values(1, "body"), strings{"old"});
  CAF_CHECK(done->pending());
  make_durable(1);
  CAF_CHECK(done->answered());
}

CAF_TEST(what comes behind an unchanged value waits for it) {
  reader_log->held = {"read"};
  auto b = at(200);
  b.update({"1", "2", u});
  send(b);
  send_row({"2", "2", "x"});
  CAF_CHECK_EQUAL(blocks(), 0u);
  store(100, "old");
  auto rows = std::make_shared<clickhouse::stored_rows>(reader_log->rows);
  rows->answered = 1;
  answer(reader, reader_log->reads, 0, stored_rows_ptr{rows});
  CAF_REQUIRE_EQUAL(blocks(), 2u);
  CAF_CHECK_EQUAL(values(0, "body"), strings{"old"});
  CAF_CHECK_EQUAL(values(1, "body"), strings{"x"});
}

CAF_TEST(an unchanged value of the same batch needs no reading) {
  auto b = at(200);
  b.insert({"1", "1", "fresh"});
  b.update({"1", "2", u});
  send(b);
  CAF_CHECK_EQUAL(reader_log->count("read"), 0u);
  CAF_REQUIRE_EQUAL(blocks(), 1u);
  CAF_CHECK_EQUAL(values(0, "body"), (strings{"fresh", "fresh"}));
}

CAF_TEST(a replay of a change whose value is not known is dropped) {
  for (uint64_t stored : {200, 300}) {
    store(stored, "newer");
    auto b = at(200);
    b.update({"1", "2", u});
    reader_log->rows.begin()->second.at.minor = 1;
    CAF_CHECK(send(b)->answered());
    CAF_CHECK_EQUAL(blocks(), 0u);
    CAF_CHECK_EQUAL(admin_log->count("letters"), 0u);
  }
}

CAF_TEST(a value that nobody knows makes a dead letter) {
  auto b = at(200);
  b.update({"1", "2", u});
  CAF_CHECK(send(b)->answered());
  CAF_CHECK_EQUAL(blocks(), 0u);
  CAF_REQUIRE_EQUAL(admin_log->letters->size(), 1u);
  CAF_CHECK_EQUAL(numbers().enrichment_errors.value(), 1u);
  CAF_CHECK_EQUAL(numbers().dead_letters.value(), 1u);
}

CAF_TEST(a row that was deleted has no values) {
  store(150, "", true);
  auto b = at(200);
  b.update({"1", "2", u});
  send(b);
  CAF_CHECK_EQUAL(blocks(), 0u);
  CAF_CHECK_EQUAL(admin_log->letters->size(), 1u);
}

CAF_TEST(the target is told that changes were put aside) {
  store(100, "old");
  for (int64_t n = 0; n < 2; ++n) {
    auto b = at(200);
    b.update({"1", "2", u});
    send(b);
    CAF_REQUIRE_EQUAL(reader_log->reads->size(), n + 1u);
    const auto& query = *reader_log->reads->back();
    CAF_CHECK_EQUAL(query.key_texts, strings{R"({"id":"1"})"});
    CAF_CHECK_EQUAL(query.has_letters, n == 1);
    make_durable(n);
    CAF_CHECK(send_row({"7", "many", "x"})->answered());
  }
}

CAF_TEST(an unchanged value that a dead letter brought makes another one) {
  store(100, "old");
  reader_log->rows.begin()->second.refused = {{{150, 1}, {"id", "n", "body"}}};
  auto b = at(200);
  b.update({"1", "2", u});
  CAF_CHECK(send(b)->answered());
  CAF_CHECK_EQUAL(blocks(), 0u);
  CAF_REQUIRE_EQUAL(admin_log->letters->size(), 1u);
  const auto& error = admin_log->letters->back()->front().error;
  CAF_CHECK_NOT_EQUAL(error.find("dead letters"), std::string::npos);
}

// -- truncate -----------------------------------------------------------------

CAF_TEST(a truncate clears what is older and holds up what comes behind) {
  admin_log->held = {"clear"};
  send_row({"1", "1", "x"});
  auto b = at(200);
  b.add(operation::truncate);
  auto done = send(b);
  CAF_CHECK_EQUAL(admin_log->count("clear"), 0u);
  CAF_CHECK_EQUAL(sink_log->flushes, 1);
  make_durable(0);
  CAF_REQUIRE_EQUAL(admin_log->clears->size(), 1u);
  const auto& request = *admin_log->clears->back();
  CAF_CHECK((request.below == version{200, 1}));
  CAF_CHECK((request.at == version{200, 1}));
  CAF_CHECK_EQUAL(request.table->name, "docs");
  auto later = send_row({"2", "1", "x"});
  CAF_CHECK_EQUAL(blocks(), 1u);
  CAF_CHECK(done->pending());
  answer(admin, admin_log->clears, 0, atom::ack_v);
  CAF_CHECK(done->answered());
  CAF_CHECK_EQUAL(blocks(), 2u);
  CAF_CHECK(later->pending());
}

// -- quarantine ---------------------------------------------------------------

CAF_TEST(a table that cannot be mapped is let go and that is remembered) {
  auto bad = std::make_shared<table_description>(*source);
  bad->identity = table_identity::full_row;
  source = bad;
  admin_log->held = {"save"};
  auto done = send_row({"1", "1", "x"});
  CAF_CHECK_EQUAL(admin_log->count("ensure"), 0u);
  CAF_CHECK_NOT_EQUAL(quarantine(), "");
  CAF_CHECK_EQUAL(admin_log->state("quarantine", "public.docs"), quarantine());
  CAF_CHECK(done->pending());
  answer(admin, admin_log->saves, 0, atom::ack_v);
  CAF_CHECK(done->answered());
  CAF_CHECK(send_row({"2", "1", "x"})->answered());
  CAF_CHECK_EQUAL(admin_log->count("save"), 1u);
  CAF_CHECK_EQUAL(blocks(), 0u);
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(a target table that does not fit lets the table go) {
  admin_log->failing["ensure"] = ec::table_unsuitable;
  CAF_CHECK(send_row({"1", "1", "x"})->answered());
  CAF_CHECK_NOT_EQUAL(quarantine().find("ensure failed"), std::string::npos);
  CAF_CHECK_EQUAL(blocks(), 0u);
}

CAF_TEST(a table that was let go stays so when its shape fits again) {
  auto good = source;
  auto bad = std::make_shared<table_description>(*source);
  bad->identity = table_identity::full_row;
  source = bad;
  send_row({"1", "1", "x"});
  source = good;
  CAF_CHECK(send_row({"2", "1", "x"})->answered());
  CAF_CHECK_EQUAL(blocks(), 0u);
  CAF_CHECK_NOT_EQUAL(quarantine(), "");
}

CAF_TEST(an announcement is another try) {
  admin_log->failing["ensure"] = ec::table_unsuitable;
  announce();
  CAF_CHECK_NOT_EQUAL(quarantine(), "");
  announce();
  CAF_CHECK_NOT_EQUAL(quarantine(), "");
  CAF_CHECK_EQUAL(admin_log->count("ensure"), 2u);
  admin_log->failing.clear();
  announce();
  CAF_CHECK_EQUAL(quarantine(), "");
  CAF_CHECK_EQUAL(admin_log->count("ensure"), 3u);
}

CAF_TEST(a quarantine of an earlier run ends when the table fits) {
  numbers().quarantine("it did not fit");
  send_row({"1", "1", "x"});
  CAF_CHECK_EQUAL(quarantine(), "");
}

// -- failures -----------------------------------------------------------------

CAF_TEST(ends with the reason when a peer fails) {
  admin_log->failing["ensure"] = ec::target_refused;
  auto done = send_row({"1", "1", "x"});
  CAF_CHECK_EQUAL(*end, "target_refused: ensure failed");
  CAF_CHECK(!done->answered());
  CAF_CHECK_EQUAL(quarantine(), "");
}

CAF_TEST(ends with the reason when rows cannot be written) {
  auto done = send_row({"1", "1", "x"});
  refuse(sink, sink_log->blocks, 0, ec::target_refused);
  CAF_CHECK_EQUAL(*end, "target_refused: refused");
  CAF_CHECK(!done->answered());
}

CAF_TEST(ends with the reason when values cannot be read) {
  reader_log->failing["read"] = ec::target_failed;
  auto b = at(200);
  b.update({"1", "2", u});
  send(b);
  CAF_CHECK_EQUAL(*end, "target_failed: read failed");
}

CAF_TEST(a failed truncate is not passed over) {
  admin_log->failing["clear"] = ec::target_refused;
  auto b = at(200);
  b.add(operation::truncate);
  auto done = send(b);
  CAF_CHECK_EQUAL(*end, "target_refused: clear failed");
  CAF_CHECK(!done->answered());
}

CAF_TEST(a failed dead letter is not passed over) {
  admin_log->failing["letters"] = ec::target_refused;
  auto done = send_row({"1", "many", "x"});
  CAF_CHECK_EQUAL(*end, "target_refused: letters failed");
  CAF_CHECK(!done->answered());
}

CAF_TEST(a silent sink leaves everything unanswered) {
  std::vector<asked_ptr<atom::ack>> all;
  for (int i = 0; i < 5; ++i)
    all.push_back(send_row({std::to_string(i), "1", "x"}));
  advance_time(std::chrono::hours{24});
  consume_messages();
  for (const auto& x : all)
    CAF_CHECK(x->pending());
  CAF_CHECK_EQUAL(*end, "");
}

CAF_TEST(stops in the middle) {
  reader_log->held = {"read"};
  auto first = send_row({"1", "1", "x"});
  auto b = at(200);
  b.update({"2", "2", u});
  auto second = send(b);
  stop(hdl);
  CAF_CHECK_EQUAL(*end, stopped);
  make_durable(0);
  CAF_CHECK(!first->answered());
  CAF_CHECK(!second->answered());
}

CAF_TEST(a NULL of a time when the column could be NULL is written) {
  announce();
  auto ensures = admin_log->ensures->size();
  auto first = send_row({"1", "5", "here"});
  batch_builder b{source};
  b.insert({"2", "6", std::nullopt});
  b.insert({"3", "7", "there"});
  auto second = send(b);
  CAF_REQUIRE_EQUAL(admin_log->ensures->size(), ensures + 1);
  const auto& made = *admin_log->ensures->back();
  CAF_CHECK_EQUAL(made.columns[2].name, "body");
  CAF_CHECK_EQUAL(made.columns[2].type, "Nullable(String)");
  CAF_CHECK_EQUAL(admin_log->letters->size(), 0u);
  CAF_REQUIRE_EQUAL(blocks(), 2u);
  CAF_CHECK_EQUAL(values(1, "id"), (strings{"2", "3"}));
  make_durable(0);
  make_durable(1);
  CAF_CHECK(first->answered());
  CAF_CHECK(second->answered());
  CAF_MESSAGE("and goes on so");
  auto third = send_row({"4", "8", std::nullopt});
  CAF_CHECK_EQUAL(admin_log->ensures->size(), ensures + 1);
  make_durable(2);
  CAF_CHECK(third->answered());
}

CAF_TEST_FIXTURE_SCOPE_END()
