#define CAF_SUITE inserter

#include "actors/inserter.hpp"
#include "clickhouse/target_admin.hpp"
#include "test/unit/fake_actors.hpp"
#include "test/unit/fake_tables.hpp"

#include <deque>

using namespace millrace;

namespace {

// A server that answers by script; without one, well.
struct fake_server {
  std::vector<std::string> log;
  std::vector<std::string> ids;
  std::deque<result<void>> inserts;
  std::deque<result<void>> kills;
  std::deque<result<void>> probes;
};

class fake_writer : public block_writer {
public:
  explicit fake_writer(std::shared_ptr<fake_server> server)
    : server_(std::move(server)) {
    // nop
  }

  result<void> insert(const insert_job& job, const std::string& id) override {
    server_->log.push_back("insert " + std::to_string(job.rows));
    server_->ids.push_back(id);
    return next(server_->inserts);
  }

  result<void> probe(const target_table& table) override {
    server_->log.push_back("probe " + table.name);
    return next(server_->probes);
  }

  result<void> kill(const std::string& id) override {
    server_->log.push_back("kill");
    server_->ids.push_back(id);
    return next(server_->kills);
  }

private:
  static result<void> next(std::deque<result<void>>& answers) {
    if (answers.empty())
      return {};
    auto x = answers.front();
    answers.pop_front();
    return x;
  }

  std::shared_ptr<fake_server> server_;
};

using log_type = std::vector<std::string>;

struct fixture : test::peers_fixture {
  fixture() : server(std::make_shared<fake_server>()) {
    context.nap = [this](auto time) {
      slept += time;
      if (on_nap)
        on_nap();
    };
    hdl = own(
      sys.spawn(inserter, context, std::make_unique<fake_writer>(server)));
  }

  std::string insert(uint64_t rows) {
    auto block = std::make_shared<row_block>();
    block->table = test::make_target("t", {{"id", "Int32"}}, 1);
    auto job = std::make_shared<insert_job>();
    job->blocks.push_back(block);
    job->rows = rows;
    std::string outcome = "none";
    auto asked = self->request(hdl, caf::infinite, insert_job_ptr{job});
    consume_messages();
    asked.receive([&](atom::ack) { outcome = "ack"; },
                  [&](const caf::error& err) { outcome = render(err); });
    return outcome;
  }

  bool waits() {
    return context.numbers->look(0).waits.count("target") != 0;
  }

  std::shared_ptr<fake_server> server;
  std::chrono::milliseconds slept{0};
  std::function<void()> on_nap;
  inserter_actor hdl;
};

} // namespace

CAF_TEST_FIXTURE_SCOPE(inserter_tests, fixture)

CAF_TEST(answers when the server has confirmed) {
  CAF_CHECK_EQUAL(insert(3), "ack");
  CAF_CHECK_EQUAL(server->log, log_type{"insert 3"});
  CAF_CHECK_EQUAL(slept.count(), 0);
}

CAF_TEST(each query has an ID of its own that names the pipeline) {
  insert(1);
  insert(1);
  CAF_REQUIRE_EQUAL(server->ids.size(), 2u);
  CAF_CHECK_NOT_EQUAL(server->ids[0], server->ids[1]);
  CAF_CHECK(server->ids[0].starts_with(
    clickhouse::target_admin::insert_prefix("test")));
}

CAF_TEST(tries again visibly what may succeed later) {
  server->inserts = {fail(ec::target_failed, "too many parts"),
                     fail(ec::target_failed, "too many parts")};
  on_nap = [this] { CAF_CHECK(waits()); };
  CAF_CHECK_EQUAL(insert(2), "ack");
  CAF_CHECK_EQUAL(server->log, (log_type{"insert 2", "insert 2", "insert 2"}));
  CAF_CHECK_EQUAL(slept.count(), 300);
  CAF_CHECK(!waits());
  CAF_CHECK_EQUAL(context.numbers->table("public.t")->insert_retries.value(),
                  2u);
}

CAF_TEST(ends an insert whose answer was lost before it repeats it) {
  server->inserts = {fail(ec::target_unavailable, "connection lost")};
  server->kills = {fail(ec::target_unavailable, "connection refused")};
  CAF_CHECK_EQUAL(insert(2), "ack");
  CAF_CHECK_EQUAL(server->log,
                  (log_type{"insert 2", "kill", "kill", "insert 2"}));
  CAF_CHECK_EQUAL(server->ids[0], server->ids[1]);
  CAF_CHECK_EQUAL(server->ids[0], server->ids[2]);
  CAF_CHECK_NOT_EQUAL(server->ids[0], server->ids[3]);
}

CAF_TEST(reports what will not succeed) {
  server->inserts = {fail(ec::target_refused, "read-only")};
  CAF_CHECK_EQUAL(insert(1), "target_refused: read-only");
  CAF_CHECK_EQUAL(server->log.size(), 1u);
}

CAF_TEST(does not repeat an insert that it was not allowed to end) {
  server->inserts = {fail(ec::target_unavailable, "connection lost")};
  server->kills = {fail(ec::target_refused, "no privilege")};
  CAF_CHECK_EQUAL(insert(1), "target_refused: no privilege");
  CAF_CHECK_EQUAL(server->log, (log_type{"insert 1", "kill"}));
}

CAF_TEST(rows are refused only where the table takes inserts) {
  server->inserts = {fail(ec::rows_refused, "constraint")};
  CAF_CHECK_EQUAL(insert(1), "rows_refused: constraint");
  CAF_CHECK_EQUAL(server->log, (log_type{"insert 1", "probe t"}));
  server->inserts = {fail(ec::rows_refused, "odd")};
  server->probes
    = {fail(ec::target_failed, "busy"), fail(ec::rows_refused, "nothing goes")};
  CAF_CHECK_EQUAL(insert(1), "table_unsuitable: nothing goes");
  server->inserts = {fail(ec::rows_refused, "odd")};
  server->probes = {fail(ec::target_refused, "no privilege")};
  CAF_CHECK_EQUAL(insert(1), "target_refused: no privilege");
}

CAF_TEST(gives up when the unit stops) {
  for (int i = 0; i < 1000; ++i)
    server->inserts.push_back(fail(ec::target_failed, "away"));
  on_nap = [this] {
    if (slept >= std::chrono::seconds{25})
      context.stop->store(true);
  };
  CAF_CHECK_EQUAL(insert(1), "target_failed: away");
  // No try after the stop, and waits grow to 10 s.
  CAF_CHECK_LESS_OR_EQUAL(slept.count(), 25'100);
  CAF_CHECK_LESS(server->log.size(), 12u);
}

CAF_TEST_FIXTURE_SCOPE_END()
