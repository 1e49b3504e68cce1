#define CAF_SUITE pgoutput

#include "postgres/pgoutput.hpp"
#include "test/unit/data/pgoutput_recorded.hpp"
#include "test/unit/fixture.hpp"

#include <random>

using namespace millrace;
using namespace millrace::postgres;

using verdict = pgoutput_decoder::verdict;

namespace {

struct message {
  lsn at;
  std::string bytes;
};

std::string from_hex(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    auto byte = std::string{text.substr(0, 2)};
    result += static_cast<char>(std::stoi(byte, nullptr, 16));
    text.remove_prefix(2);
    if (!text.starts_with('{'))
      continue;
    auto end = text.find('}');
    auto n = std::stoul(std::string{text.substr(1, end - 1)});
    result.append(n - 1, result.back());
    text.remove_prefix(end + 1);
  }
  return result;
}

std::vector<message> session() {
  std::vector<message> result;
  for (const auto& x : test::recorded_session)
    result.push_back({parse_lsn(x.at).value(), from_hex(x.hex)});
  return result;
}

// The description that the catalogue had at the time.
table_description_ptr description_of(const relation& x) {
  auto result = std::make_shared<table_description>();
  result->oid = x.oid;
  result->schema = x.schema;
  result->name = x.name;
  result->full_old_rows = x.replica_identity == 'f';
  auto keys = 0;
  for (const auto& from : x.columns) {
    column_description column;
    column.name = from.name;
    column.type.oid = from.type;
    column.type.modifier = from.modifier;
    if (result->full_old_rows ? x.name == "whole" && from.name == "a"
                              : from.key)
      column.key_position = keys++;
    result->columns.push_back(std::move(column));
  }
  if (x.name == "pair") {
    result->columns[0].key_position = 1;
    result->columns[2].key_position = 0;
  }
  if (keys == 0)
    result->identity = result->full_old_rows ? table_identity::full_row
                                             : table_identity::append_only;
  return result;
}

std::string row(const change_batch& batch, const change& x, uint32_t at) {
  std::string result;
  auto n = batch.tables[x.table]->columns.size();
  for (size_t i = 0; i < n; ++i) {
    const auto& c = batch.cells[at + i];
    result += i == 0 ? "(" : ",";
    if (c.size == cell::null)
      result += "-";
    else if (c.size == cell::unchanged)
      result += "?";
    else if (c.size > 100)
      result += std::string{batch.text_of(c)[0]} + "*" + std::to_string(c.size);
    else
      result += batch.text_of(c);
  }
  return result + ")";
}

std::vector<std::string> lines(const change_batch& batch) {
  std::vector<std::string> result;
  for (const auto& x : batch.changes) {
    auto line
      = std::string{to_string(x.op)} + " " + batch.tables[x.table]->name;
    if (x.old == old_row::key)
      line += " key" + row(batch, x, x.old_row_at);
    if (x.old == old_row::full)
      line += " old" + row(batch, x, x.old_row_at);
    if (x.row != change::no_row)
      line += " " + row(batch, x, x.row);
    result.push_back(line);
  }
  return result;
}

struct fixture {
  // Feeds a message and does what the reader does about the answer.
  verdict feed(pgoutput_decoder& decoder, const message& x) {
    auto result = decoder.decode(x.at, x.bytes);
    if (result == verdict::again || result == verdict::cut)
      collect(decoder);
    if (result == verdict::again)
      return feed(decoder, x);
    if (result == verdict::unknown)
      decoder.describe(description_of(*decoder.unknown()));
    return result;
  }

  void collect(pgoutput_decoder& decoder) {
    for (auto i : decoder.take_unchanged())
      unchanged.push_back(i + all.size());
    auto batch = decoder.take();
    if (!batch)
      return;
    auto more = lines(*batch);
    all.insert(all.end(), more.begin(), more.end());
    batches.push_back(batch);
  }

  void feed_first(pgoutput_decoder& decoder, size_t n) {
    for (size_t i = 0; i < n; ++i)
      feed(decoder, messages[i]);
  }

  std::vector<message> messages = session();
  std::vector<std::string> all;
  std::vector<size_t> unchanged;
  std::vector<change_batch_ptr> batches;
};

message begin_at(uint64_t commit) {
  message result{{commit}, "B"};
  for (auto shift = 56; shift >= 0; shift -= 8)
    result.bytes += static_cast<char>(commit >> shift);
  result.bytes.append(12, '\0');
  return result;
}

} // namespace

CAF_TEST_FIXTURE_SCOPE(pgoutput_tests, fixture)

CAF_TEST(a recorded session is read as it was) {
  pgoutput_decoder decoder;
  feed_first(decoder, messages.size());
  collect(decoder);
  std::vector<std::string> expected{
    "insert shop (1,one,sad,1.50)",
    "insert shop (2,-,-,-)",
    "update shop (1,eins,sad,1.50)",
    "update shop key(2,-,-,-) (3,-,-,-)",
    "delete shop key(3,-,-,-)",
    "insert toast (k*2100,b*2100,1)",
    "update toast (k*2100,?,2)",
    "update toast key(k*2100,-,-) (short,?,2)",
    "insert whole (1,w*2100,1)",
    "update whole old(1,w*2100,1) (1,w*2100,2)",
    "delete whole old(1,w*2100,2)",
    "insert bag (1,x)",
    "insert bag (1,x)",
    "update bag old(1,x) (1,y)",
    "update bag old(1,x) (1,y)",
    "delete bag old(1,y)",
    "delete bag old(1,y)",
    "insert log (1,l)",
    "insert log (2,-)",
    "insert pair (b,1,7)",
    "update pair (b,2,7)",
    "update pair key(b,-,7) (c,2,7)",
    "insert shop (9,nine,ok,9.00)",
    "truncate shop",
    "truncate log",
    "insert shop (10,ten,ok,10.00)",
    "insert shop (11,far,sad,0.00)",
    "insert shop (12,new,ok,1.00,5)",
  };
  CAF_CHECK_EQUAL(all, expected);
  CAF_CHECK_EQUAL(unchanged, (std::vector<size_t>{6, 7}));
  CAF_CHECK(!decoder.in_transaction());
}

CAF_TEST(versions are commit LSN and change LSN or ordinal of the table) {
  pgoutput_decoder decoder;
  feed_first(decoder, messages.size());
  collect(decoder);
  std::vector<version> versions;
  for (const auto& batch : batches)
    for (const auto& x : batch->changes)
      versions.push_back(batch->version_of(x));
  CAF_REQUIRE_EQUAL(versions.size(), 28u);
  CAF_CHECK_EQUAL(versions[0].major, uint64_t{0xCD73E50});
  CAF_CHECK_EQUAL(versions[0].minor, uint64_t{0xCD73CE0});
  CAF_CHECK_EQUAL(versions[1].minor, uint64_t{0xCD73DD0});
  // bag: six changes of one transaction; log counts for itself.
  for (size_t i = 0; i < 6; ++i)
    CAF_CHECK_EQUAL(versions[11 + i].minor, i + 1);
  CAF_CHECK_EQUAL(versions[17].minor, 1u);
  CAF_CHECK_EQUAL(versions[18].minor, 2u);
  CAF_CHECK_EQUAL(versions[17].major, versions[11].major);
  // Truncates of a table without key count too.
  CAF_CHECK_EQUAL(versions[24].minor, 1u);
  CAF_CHECK_EQUAL(batches.back()->transactions[0].committed_at,
                  int64_t{0x303c7256a29e7} + 946684800000000);
}

CAF_TEST(the position after the last whole transaction is known) {
  pgoutput_decoder decoder;
  feed_first(decoder, 6);
  CAF_CHECK_EQUAL(to_string(decoder.last_end()), "0/CD73E80");
  CAF_CHECK_EQUAL(to_string(decoder.received()), "0/CD73E50");
  CAF_CHECK(!decoder.in_transaction());
  feed(decoder, messages[6]);
  CAF_CHECK(decoder.in_transaction());
  CAF_CHECK_EQUAL(to_string(decoder.last_end()), "0/CD73E80");
  CAF_CHECK_EQUAL(to_string(decoder.received()), "0/CD73EE0");
}

CAF_TEST(every truncation of every message is refused) {
  for (size_t i = 0; i < messages.size(); ++i) {
    const auto& whole = messages[i].bytes;
    // Long values are cut in steps: what is inside them is alike.
    auto step = whole.size() > 400 ? 7 : 1;
    for (size_t n = 0; n < whole.size(); n += n < 60 ? 1 : step) {
      pgoutput_decoder decoder;
      feed_first(decoder, i);
      collect(decoder);
      // A copy of exact size, so that a sanitizer sees a read beyond its end.
      std::vector<char> part(whole.begin(), whole.begin() + n);
      auto result = decoder.decode(messages[i].at, {part.data(), n});
      if (result != verdict::malformed)
        CAF_ERROR("message " << i << " cut to " << n << " bytes is taken");
      if (decoder.error().code != ec::protocol_violation)
        CAF_ERROR("message " << i << ": wrong error");
    }
  }
}

CAF_TEST(a message with a byte too many is refused) {
  for (size_t i = 0; i < messages.size(); ++i) {
    pgoutput_decoder decoder;
    feed_first(decoder, i);
    collect(decoder);
    auto longer = messages[i].bytes + '\0';
    auto result = decoder.decode(messages[i].at, longer);
    if (result != verdict::malformed)
      CAF_ERROR("message " << i << " with a byte too many is taken");
  }
}

CAF_TEST(random damage is refused or read but never crashes) {
  std::mt19937 random{42};
  auto refused = 0;
  for (auto round = 0; round < 4000; ++round) {
    pgoutput_decoder decoder;
    auto i = random() % messages.size();
    feed_first(decoder, i);
    collect(decoder);
    std::vector<char> bytes(messages[i].bytes.begin(), messages[i].bytes.end());
    for (auto n = 1 + random() % 3; n > 0; --n)
      bytes[random() % std::min<size_t>(bytes.size(), 60)]
        = static_cast<char>(random());
    auto result = decoder.decode(messages[i].at, {bytes.data(), bytes.size()});
    refused += result == verdict::malformed ? 1 : 0;
    collect(decoder);
  }
  CAF_CHECK(refused > 1000);
}

CAF_TEST(an error names position and bytes and is final) {
  pgoutput_decoder decoder;
  CAF_CHECK(decoder.decode({0x1234}, "Zz") == verdict::malformed);
  CAF_CHECK(decoder.error().code == ec::protocol_violation);
  CAF_CHECK(decoder.error().text.find("0/1234") != std::string::npos);
  CAF_CHECK(decoder.error().text.find("5a7a") != std::string::npos);
  CAF_CHECK(decoder.decode(messages[0].at, messages[0].bytes)
            == verdict::malformed);
}

CAF_TEST(messages out of place are refused) {
  auto refused = [&](std::vector<message> xs) {
    pgoutput_decoder decoder;
    auto last = verdict::more;
    for (const auto& x : xs)
      last = feed(decoder, x);
    return last == verdict::malformed;
  };
  CAF_MESSAGE("begin in a transaction");
  CAF_CHECK(refused({messages[0], messages[0]}));
  CAF_MESSAGE("commit without a transaction");
  CAF_CHECK(refused({messages[5]}));
  CAF_MESSAGE("row outside of a transaction");
  CAF_CHECK(refused({messages[2], messages[3]}));
  CAF_MESSAGE("row of an unknown relation");
  CAF_CHECK(refused({messages[0], messages[3]}));
  CAF_MESSAGE("commit of another transaction");
  CAF_CHECK(refused({messages[0], messages[7 + 1]}));
  CAF_MESSAGE("the same in their place");
  CAF_CHECK(!refused({messages[0], messages[2], messages[3], messages[5]}));
}

CAF_TEST(nothing is decoded until an unknown relation is described) {
  pgoutput_decoder decoder;
  feed(decoder, messages[0]);
  CAF_CHECK(decoder.decode(messages[2].at, messages[2].bytes)
            == verdict::unknown);
  CAF_REQUIRE(decoder.unknown() != nullptr);
  CAF_CHECK_EQUAL(decoder.unknown()->name, "shop");
  CAF_CHECK_EQUAL(decoder.unknown()->columns.size(), 4u);
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes)
            == verdict::again);
  CAF_CHECK_EQUAL(decoder.rows(), 0u);
  decoder.describe(description_of(*decoder.unknown()));
  CAF_CHECK(decoder.unknown() == nullptr);
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes) == verdict::more);
  CAF_CHECK_EQUAL(decoder.rows(), 1u);
}

CAF_TEST(a description that does not fit is not used) {
  pgoutput_decoder decoder;
  feed(decoder, messages[0]);
  decoder.decode(messages[2].at, messages[2].bytes);
  auto wrong = *description_of(*decoder.unknown());
  wrong.columns.pop_back();
  decoder.describe(std::make_shared<const table_description>(wrong));
  CAF_REQUIRE(decoder.unknown() != nullptr);
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes)
            == verdict::again);
  decoder.describe(description_of(*decoder.unknown()));
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes) == verdict::more);
}

CAF_TEST(a relation message that comes again is asked for again) {
  pgoutput_decoder decoder;
  feed(decoder, messages[0]);
  feed(decoder, messages[2]);
  feed(decoder, messages[3]);
  CAF_CHECK(decoder.decode(messages[2].at, messages[2].bytes)
            == verdict::unknown);
  CAF_REQUIRE(decoder.unknown() != nullptr);
  auto now
    = std::make_shared<table_description>(*description_of(*decoder.unknown()));
  now->columns[1].nullable = false;
  decoder.describe(now);
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes) == verdict::more);
  auto batch = decoder.take();
  CAF_REQUIRE_EQUAL(batch->tables.size(), 2u);
  CAF_CHECK(batch->tables[0]->columns[1].nullable);
  CAF_CHECK(!batch->tables[1]->columns[1].nullable);
}

CAF_TEST(a relation is passed over up to a position) {
  pgoutput_decoder decoder;
  feed(decoder, messages[0]);
  decoder.decode(messages[2].at, messages[2].bytes);
  auto shop = *decoder.unknown();
  decoder.skip(shop.oid, lsn{decoder.received().value + 1});
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes) == verdict::more);
  CAF_CHECK_EQUAL(decoder.rows(), 0u);
  decoder.skip(shop.oid, decoder.received());
  CAF_MESSAGE("the commit at hand is no more before it");
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes)
            == verdict::again);
  CAF_REQUIRE(decoder.unknown() != nullptr);
  decoder.describe(description_of(*decoder.unknown()));
  CAF_CHECK(decoder.decode(messages[3].at, messages[3].bytes) == verdict::more);
  CAF_CHECK_EQUAL(decoder.rows(), 1u);
}

CAF_TEST(a description ahead of the stream waits for its relation message) {
  pgoutput_decoder decoder;
  std::vector<relation> shapes;
  for (const auto& x : messages) {
    auto result = decoder.decode(x.at, x.bytes);
    if (result == verdict::again) {
      collect(decoder);
      result = decoder.decode(x.at, x.bytes);
    }
    if (result == verdict::cut)
      collect(decoder);
    if (result == verdict::unknown) {
      shapes.push_back(*decoder.unknown());
      decoder.describe(description_of(shapes.back()));
    }
  }
  CAF_CHECK_EQUAL(shapes.back().name, "shop");
  CAF_CHECK_EQUAL(shapes.back().columns.size(), 5u);
  CAF_MESSAGE("the same with the last shape described early");
  pgoutput_decoder other;
  all.clear();
  batches.clear();
  feed_first(other, 10);
  auto early = description_of(shapes.back());
  other.describe(early);
  for (size_t i = 10; i < messages.size(); ++i)
    feed(other, messages[i]);
  collect(other);
  CAF_CHECK_EQUAL(all.back(), "insert shop (12,new,ok,1.00,5)");
  CAF_CHECK(batches.back()->tables.back() == early);
}

CAF_TEST(rows of a skipped relation are passed over until it changes) {
  pgoutput_decoder decoder;
  auto asked = 0;
  for (const auto& x : messages) {
    auto result = decoder.decode(x.at, x.bytes);
    if (result == verdict::again || result == verdict::cut)
      collect(decoder);
    if (result == verdict::again)
      result = decoder.decode(x.at, x.bytes);
    if (result != verdict::unknown)
      continue;
    if (decoder.unknown()->name == "shop") {
      ++asked;
      decoder.skip(decoder.unknown()->oid);
    } else {
      decoder.describe(description_of(*decoder.unknown()));
    }
  }
  collect(decoder);
  CAF_CHECK_EQUAL(asked, 2); // first seen, and after ADD COLUMN
  CAF_CHECK(decoder.error().code == ec::none);
  CAF_CHECK_EQUAL(all.size(), 28u - 10u);
  CAF_CHECK_EQUAL(all[15], "update pair (b,2,7)");
  CAF_CHECK_EQUAL(all.back(), "truncate log");
}

CAF_TEST(a truncate is alone in its batch) {
  pgoutput_decoder decoder;
  feed_first(decoder, messages.size());
  collect(decoder);
  CAF_REQUIRE_EQUAL(batches.size(), 3u);
  CAF_CHECK_EQUAL(lines(*batches[1]),
                  (std::vector<std::string>{"truncate shop", "truncate log"}));
}

CAF_TEST(a batch names only its own tables and transactions) {
  pgoutput_decoder decoder;
  feed_first(decoder, messages.size() - 5);
  collect(decoder);
  batches.clear();
  for (size_t i = messages.size() - 5; i < messages.size(); ++i)
    feed(decoder, messages[i]);
  collect(decoder);
  CAF_REQUIRE_EQUAL(batches.size(), 1u);
  CAF_CHECK_EQUAL(batches[0]->tables.size(), 1u);
  CAF_CHECK_EQUAL(batches[0]->tables[0]->columns.size(), 5u);
  CAF_CHECK_EQUAL(batches[0]->transactions.size(), 1u);
}

CAF_TEST(ordinals go on when a transaction is cut into batches) {
  pgoutput_decoder decoder;
  for (const auto& x : messages) {
    feed(decoder, x);
    collect(decoder);
  }
  std::vector<uint64_t> minors;
  for (const auto& batch : batches)
    for (const auto& x : batch->changes)
      if (batch->tables[x.table]->name == "bag")
        minors.push_back(x.minor);
  CAF_CHECK_EQUAL(minors, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6}));
}

CAF_TEST(a small batch after a large one does not hold its memory) {
  pgoutput_decoder decoder;
  for (const auto& x : {messages[0], messages[1], messages[2]})
    feed(decoder, x);
  for (auto i = 0; i < 10000; ++i)
    feed(decoder, messages[3]);
  auto large = decoder.take();
  feed(decoder, messages[3]);
  auto small = decoder.take();
  CAF_CHECK(large->bytes() > 500'000);
  CAF_CHECK(small->bytes() < 5'000);
}

CAF_TEST(a huge message is a batch of its own and is not copied) {
  pgoutput_decoder decoder;
  for (const auto& x : {messages[0], messages[1], messages[2], messages[3]})
    feed(decoder, x);
  // Type, relation, 'N' and the number of columns are those of an insert.
  auto bytes = "header" + messages[3].bytes.substr(0, 8);
  auto columns = static_cast<unsigned char>(bytes.back());
  for (auto i = 0; i < columns; ++i) {
    auto huge = i + 1 == columns;
    bytes += huge ? std::string("t\0\x20\0\0", 5) : std::string("t\0\0\0\1", 5);
    bytes += huge ? std::string(2 << 20, 'x') : "7";
  }
  text_buffer memory;
  memory = bytes;
  const auto* at = memory.data();
  auto message = std::string_view{memory}.substr(6);
  CAF_CHECK(decoder.decode(lsn{500}, message, &memory) == verdict::again);
  CAF_CHECK_EQUAL(memory.size(), bytes.size());
  collect(decoder);
  CAF_CHECK_EQUAL(batches.size(), 1u);
  CAF_CHECK(decoder.decode(lsn{500}, message, &memory) == verdict::more);
  CAF_CHECK(memory.empty());
  CAF_CHECK(decoder.bytes() > 2 << 20);
  collect(decoder);
  CAF_REQUIRE_EQUAL(batches.size(), 2u);
  CAF_CHECK(batches[1]->text.data() == at);
  CAF_CHECK(all.back().find("7,") != std::string::npos);
  CAF_CHECK(all.back().find("x*2097152)") != std::string::npos);
}

CAF_TEST(an update of a table without identity is refused) {
  pgoutput_decoder decoder;
  auto at_log = std::find_if(messages.begin(), messages.end(), [](auto& x) {
    return x.bytes.starts_with("R") && x.bytes.find("log") != x.bytes.npos;
  });
  CAF_REQUIRE(at_log != messages.end());
  feed(decoder, begin_at(1));
  feed(decoder, *at_log);
  auto update = at_log[1];
  update.bytes[0] = 'U';
  CAF_CHECK(feed(decoder, update) == verdict::malformed);
}

CAF_TEST_FIXTURE_SCOPE_END()
