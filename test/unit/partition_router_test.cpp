#define CAF_SUITE partition_router

#include "actors/partition_router.hpp"
#include "test/unit/fake_actors.hpp"
#include "test/unit/table_fixture.hpp"

#include <set>

using namespace millrace;
using namespace millrace::test;

namespace {

using part_inbox = inbox_ptr<row_part_ptr, atom::ack>;
using fake_transformer = fake<transformer_actor>;
using indexes = std::vector<uint32_t>;

fake_transformer::behavior_type
transformer_of(fake_transformer::stateful_pointer<fake_state> self,
               part_inbox box) {
  return {
    [=](const row_part_ptr& part) {
      return keep<row_part_ptr, atom::ack>(self, box, part);
    },
    run_errands(),
  };
}

table_description_ptr keyed(const std::string& name) {
  return table(name, {column("id", value_kind::int8, false, 0),
                      column("note", value_kind::text)});
}

struct fixture : peers_fixture {
  fixture() {
    auto start
      = [this](router_actor::pointer parent, const table_description_ptr& x) {
          started.push_back(x->full_name());
          std::vector<transformer_actor> result;
          for (size_t i = 0; i < shards; ++i) {
            auto box = make_inbox<row_part_ptr, atom::ack>();
            auto hdl = own(parent->spawn<caf::linked>(transformer_of, box));
            result.push_back(hdl);
            boxes[x->name].push_back(box);
            transformers[x->name].push_back(hdl);
          }
          return result;
        };
    router = own(sys.spawn(partition_router, context, start));
    end = watch_end(router);
  }

  asked_ptr<atom::ack> send(change_batch x) {
    return ask<atom::ack>(
      router, change_batch_ptr{std::make_shared<change_batch>(std::move(x))});
  }

  asked_ptr<atom::ack> send_rows(const std::string& name, int rows = 1) {
    batch_builder b{keyed(name)};
    for (int i = 0; i < rows; ++i)
      b.insert({std::to_string(i), "x"});
    return send(b.batch);
  }

  asked_ptr<atom::ack> send_truncate(const std::string& name) {
    batch_builder b{keyed(name)};
    b.add(operation::truncate);
    return send(b.batch);
  }

  part_inbox parts(const std::string& name, size_t shard = 0) {
    auto i = boxes.find(name);
    return i != boxes.end() ? i->second.at(shard)
                            : make_inbox<row_part_ptr, atom::ack>();
  }

  void make_durable(const std::string& name, size_t part, size_t shard = 0) {
    answer(transformers[name].at(shard), parts(name, shard), part, atom::ack_v);
  }

  size_t shards = 1;
  std::vector<std::string> started;
  std::map<std::string, std::vector<part_inbox>> boxes;
  std::map<std::string, std::vector<fake_transformer>> transformers;
  router_actor router;
  std::shared_ptr<std::string> end;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(partition_router_tests, fixture)

CAF_TEST(a batch is split by table and keeps the order of each) {
  batch_builder b{keyed("a")};
  b.batch.tables.push_back(keyed("b"));
  for (int i = 0; i < 5; ++i) {
    b.insert({std::to_string(i), "x"});
    b.batch.changes.back().table = i % 2;
  }
  auto done = send(b.batch);
  CAF_REQUIRE_EQUAL(parts("a")->size(), 1u);
  CAF_REQUIRE_EQUAL(parts("b")->size(), 1u);
  CAF_CHECK_EQUAL(parts("a")->back()->changes, (indexes{0, 2, 4}));
  CAF_CHECK_EQUAL(parts("b")->back()->changes, (indexes{1, 3}));
  CAF_CHECK_EQUAL(parts("b")->back()->table, 1u);
  CAF_CHECK(done->pending());
}

CAF_TEST(a batch is durable when all its parts are) {
  batch_builder b{keyed("a")};
  b.batch.tables.push_back(keyed("b"));
  b.insert({"1", "x"});
  b.insert({"2", "x"});
  b.batch.changes.back().table = 1;
  auto done = send(b.batch);
  make_durable("b", 0);
  CAF_CHECK(done->pending());
  make_durable("a", 0);
  CAF_CHECK(done->answered());
}

CAF_TEST(a later batch may be durable first) {
  auto first = send_rows("a");
  auto second = send_rows("b");
  make_durable("b", 0);
  CAF_CHECK(second->answered());
  CAF_CHECK(first->pending());
}

CAF_TEST(a table is started once and by its name) {
  send_rows("a");
  send_rows("a");
  auto wider = std::make_shared<table_description>(*keyed("a"));
  wider->columns.push_back(column("more", value_kind::text));
  batch_builder b{wider};
  b.insert({"1", "x", "y"});
  send(b.batch);
  CAF_CHECK_EQUAL(started, std::vector<std::string>{"public.a"});
  CAF_REQUIRE_EQUAL(parts("a")->size(), 3u);
  const auto& last = *parts("a")->back();
  CAF_CHECK(*last.batch->tables[last.table] == *wider);
}

CAF_TEST(two shapes of a table in one batch keep their order) {
  auto wider = std::make_shared<table_description>(*keyed("a"));
  wider->columns.push_back(column("more", value_kind::text));
  batch_builder b{keyed("a")};
  b.batch.tables.push_back(wider);
  b.insert({"1", "x"});
  b.insert({"1", "x", "y"});
  b.batch.changes.back().table = 1;
  send(b.batch);
  CAF_REQUIRE_EQUAL(parts("a")->size(), 2u);
  CAF_CHECK_EQUAL((*parts("a"))[0]->changes, indexes{0});
  CAF_CHECK_EQUAL((*parts("a"))[1]->changes, indexes{1});
}

CAF_TEST(an announcement reaches every table and shard) {
  shards = 2;
  change_batch b;
  b.tables = {keyed("a"), keyed("b")};
  auto done = send(b);
  for (auto name : {"a", "b"})
    for (size_t shard : {0, 1}) {
      CAF_REQUIRE_EQUAL(parts(name, shard)->size(), 1u);
      CAF_CHECK(parts(name, shard)->back()->changes.empty());
      CAF_CHECK(done->pending());
      make_durable(name, 0, shard);
    }
  CAF_CHECK(done->answered());
}

CAF_TEST(an announcement of nothing is answered) {
  CAF_CHECK(send({})->answered());
}

CAF_TEST(all changes of a key go to one shard) {
  shards = 4;
  batch_builder b{keyed("a")};
  for (int i = 0; i < 40; ++i) {
    auto id = std::to_string(i);
    b.insert({id, "x"});
    b.update({id, "y"});
    b.remove(old_row::key, {id, std::nullopt});
  }
  send(b.batch);
  std::set<uint32_t> seen;
  for (size_t shard = 0; shard < shards; ++shard) {
    CAF_REQUIRE_EQUAL(parts("a", shard)->size(), 1u);
    const auto& changes = parts("a", shard)->back()->changes;
    CAF_REQUIRE_EQUAL(changes.size() % 3, 0u);
    for (size_t i = 0; i < changes.size(); i += 3) {
      CAF_CHECK_EQUAL(changes[i] % 3, 0u);
      CAF_CHECK_EQUAL(changes[i + 1], changes[i] + 1);
      CAF_CHECK_EQUAL(changes[i + 2], changes[i] + 2);
    }
    seen.insert(changes.begin(), changes.end());
  }
  CAF_CHECK_EQUAL(seen.size(), 120u);
}

CAF_TEST(a row that moves goes where its new key lives) {
  shards = 4;
  batch_builder b{keyed("a")};
  b.insert({"7", "x"});
  b.update(old_row::key, {"1", std::nullopt}, {"7", "x"});
  b.update(old_row::key, {"2", std::nullopt}, {"7", "x"});
  send(b.batch);
  size_t used = 0;
  for (size_t shard = 0; shard < shards; ++shard)
    if (parts("a", shard)->size() == 1) {
      ++used;
      CAF_CHECK_EQUAL(parts("a", shard)->back()->changes.size(), 3u);
    }
  CAF_CHECK_EQUAL(used, 1u);
}

CAF_TEST(a truncate waits until all before it is durable) {
  send_rows("a");
  send_rows("b");
  send_truncate("a");
  CAF_CHECK_EQUAL(parts("a")->size(), 1u);
  make_durable("a", 0);
  CAF_CHECK_EQUAL(parts("a")->size(), 1u);
  make_durable("b", 0);
  CAF_CHECK_EQUAL(parts("a")->size(), 2u);
}

CAF_TEST(what comes after a truncate waits until it is durable) {
  auto truncate = send_truncate("a");
  auto later = send_rows("a");
  send_rows("b");
  CAF_CHECK_EQUAL(parts("a")->size(), 1u);
  CAF_CHECK_EQUAL(parts("b")->size(), 0u);
  make_durable("a", 0);
  CAF_CHECK(truncate->answered());
  CAF_CHECK_EQUAL(parts("a")->size(), 2u);
  CAF_CHECK_EQUAL(parts("b")->size(), 1u);
  CAF_CHECK(later->pending());
}

CAF_TEST(truncates and rows take turns) {
  send_truncate("a");
  send_truncate("b");
  send_rows("a");
  send_truncate("a");
  CAF_CHECK_EQUAL(parts("b")->size(), 0u);
  make_durable("a", 0);
  CAF_CHECK_EQUAL(parts("b")->size(), 1u);
  CAF_CHECK_EQUAL(parts("a")->size(), 1u);
  make_durable("b", 0);
  CAF_CHECK_EQUAL(parts("a")->size(), 2u); // the rows
  make_durable("a", 1);
  CAF_CHECK_EQUAL(parts("a")->size(), 3u); // the last truncate
}

CAF_TEST(a silent transformer holds up nothing but its own answers) {
  std::vector<asked_ptr<atom::ack>> done;
  for (int i = 0; i < 10; ++i)
    done.push_back(send_rows("a"));
  auto other = send_rows("b");
  make_durable("b", 0);
  CAF_CHECK(other->answered());
  for (const auto& x : done)
    CAF_CHECK(x->pending());
  CAF_CHECK_EQUAL(parts("a")->size(), 10u);
}

CAF_TEST(ends with the reason when a part cannot be written) {
  auto done = send_rows("a");
  refuse(transformers["a"][0], parts("a"), 0, ec::target_refused);
  CAF_CHECK_EQUAL(*end, "target_refused: refused");
  CAF_CHECK(!done->answered());
}

CAF_TEST(ends with a transformer that dies) {
  send_rows("a");
  caf::anon_send_exit(transformers["a"][0], caf::exit_reason::kill);
  consume_messages();
  CAF_CHECK_NOT_EQUAL(*end, "");
}

CAF_TEST(stops in the middle and takes its transformers along) {
  auto done = send_rows("a");
  send_truncate("a");
  auto child = watch_end(transformers["a"][0]);
  stop(router);
  CAF_CHECK_EQUAL(*end, stopped);
  CAF_CHECK_EQUAL(*child, stopped);
  CAF_CHECK(!done->answered());
}

CAF_TEST(events are counted by operation) {
  batch_builder b{keyed("a")};
  b.insert({"1", "x"});
  b.insert({"2", "x"});
  b.update({"1", "y"});
  b.remove(old_row::key, {"2", std::nullopt});
  send(b.batch);
  auto numbers = context.numbers->table("public.a");
  auto count = [&](operation x) { return numbers->events[size_t(x)].value(); };
  CAF_CHECK_EQUAL(count(operation::insert), 2u);
  CAF_CHECK_EQUAL(count(operation::update), 1u);
  CAF_CHECK_EQUAL(count(operation::remove), 1u);
  CAF_CHECK_EQUAL(count(operation::truncate), 0u);
}

CAF_TEST(who asks for a flush waits for what is on its way and no more) {
  auto flush = [this](const std::string& name) {
    return ask<atom::ack>(router, atom::flush_v, name);
  };
  CAF_CHECK(flush("public.a")->answered());
  send_rows("a");
  send_rows("a");
  send_rows("b");
  auto early = flush("public.a");
  send_rows("a");
  auto late = flush("public.a");
  make_durable("a", 2);
  make_durable("a", 1);
  CAF_CHECK(early->pending());
  make_durable("a", 0);
  CAF_CHECK(early->answered());
  CAF_CHECK(late->answered());
  CAF_CHECK(flush("public.a")->answered());
  auto other = flush("public.b");
  CAF_CHECK(other->pending());
  send_rows("a");
  make_durable("b", 0);
  CAF_CHECK(other->answered());
  auto last = flush("public.a");
  send_rows("a");
  CAF_CHECK(last->pending());
  make_durable("a", 3);
  CAF_CHECK(last->answered());
}

CAF_TEST_FIXTURE_SCOPE_END()
