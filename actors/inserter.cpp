#include "actors/inserter.hpp"

#include "actors/patience.hpp"
#include "actors/setup.hpp"
#include "clickhouse/ddl.hpp"
#include "clickhouse/server_error.hpp"
#include "clickhouse/target_admin.hpp"
#include "messages/failure_point.hpp"

#include <fmt/format.h>

namespace millrace {

namespace {

class http_writer : public block_writer {
public:
  http_writer(clickhouse::target_options options,
              std::shared_ptr<std::atomic<bool>> stop)
    : client_(std::move(options), std::move(stop)) {
    // nop
  }

  result<void>
  insert(const insert_job& job, const std::string& query_id) override {
    std::vector<std::string_view> bodies;
    bodies.reserve(job.blocks.size());
    for (const auto& block : job.blocks)
      for (auto piece : block->native.pieces())
        bodies.push_back(piece);
    return insert(*job.blocks.front()->table, query_id, bodies);
  }

  result<void> probe(const target_table& table) override {
    return insert(table, {}, {});
  }

  result<void> kill(const std::string& query_id) override {
    return client_.kill(query_id);
  }

private:
  result<void> insert(const target_table& table, const std::string& query_id,
                      const std::vector<std::string_view>& bodies) {
    auto statement
      = clickhouse::ddl::insert_statement(client_.options(), table);
    auto done = client_.insert(statement, query_id, bodies);
    if (!done && done.error().code == ec::target_unsuitable)
      done.error().code = clickhouse::blame_insert(client_.server_code());
    return done;
  }

  clickhouse::client client_;
};

std::string random_hex() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

// The answer may have been lost after the server took the rows.
result<void> try_insert(inserter_state& st, const insert_job& job) {
  auto id = st.query_prefix + std::to_string(++st.queries);
  auto done = failure_point("insert_sent.before", ec::target_unavailable);
  if (done)
    done = st.writer->insert(job, id);
  if (done)
    done = failure_point("insert_sent.after", ec::target_unavailable);
  if (done || done.error().code != ec::target_unavailable)
    return done;
  auto ended
    = patiently(st.context, "target", [&] { return st.writer->kill(id); });
  return ended ? done : ended;
}

// Whether it is the rows: else no part of them would be taken, and all of a
// stream would be put aside.
result<void> confirm_refusal(inserter_state& st, const insert_job& job,
                             result<void> refused) {
  const auto& table = *job.blocks.front()->table;
  auto probed
    = patiently(st.context, "target", [&] { return st.writer->probe(table); });
  if (probed)
    return refused;
  if (probed.error().code == ec::rows_refused)
    probed.error().code = ec::table_unsuitable;
  return probed;
}

} // namespace

block_writer_ptr make_block_writer(clickhouse::target_options options,
                                   std::shared_ptr<std::atomic<bool>> stop) {
  return std::make_unique<http_writer>(std::move(options), std::move(stop));
}

inserter_actor::behavior_type
inserter(inserter_actor::stateful_pointer<inserter_state> self, unit context,
         block_writer_ptr writer) {
  set_default_handlers(self);
  auto& st = self->state;
  st.query_prefix = clickhouse::target_admin::insert_prefix(context.pipeline)
                    + random_hex() + "-";
  st.context = std::move(context);
  st.writer = std::move(writer);
  return {
    [self](const insert_job_ptr& job) -> caf::result<atom::ack> {
      auto& st = self->state;
      auto tries = 0;
      auto done = patiently(st.context, "target", [&] {
        if (tries++ > 0)
          st.context.numbers
            ->table(job->blocks.front()->table->source->full_name())
            ->insert_retries.add();
        return try_insert(st, *job);
      });
      if (!done && done.error().code == ec::rows_refused)
        done = confirm_refusal(st, *job, std::move(done));
      if (!done)
        return to_error(done.error());
      return atom::ack_v;
    },
  };
}

} // namespace millrace
