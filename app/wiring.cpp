#include "app/wiring.hpp"

#include "actors/batching_sink.hpp"
#include "actors/capture.hpp"
#include "actors/cleaner.hpp"
#include "actors/insert_pool.hpp"
#include "actors/inserter.hpp"
#include "actors/partition_router.hpp"
#include "actors/snapshot_reader.hpp"
#include "actors/snapshotter.hpp"
#include "actors/source_agent.hpp"
#include "actors/table_transformer.hpp"
#include "actors/target_agent.hpp"

namespace millrace {

namespace {

// Inserts of different tables at the same time. An insert keeps one core of
// the server busy, so more of them only make parts smaller.
constexpr size_t inserters_per_node = 4;

sink_limits sink_limits_of(const limit_options& x) {
  sink_limits result;
  result.rows = x.insert_rows;
  result.bytes = x.insert_bytes;
  result.flush_wait = x.flush_wait;
  result.inserts_per_second = x.inserts_per_second;
  return result;
}

cleaner_options cleaner_options_of(const clickhouse::target_options& x) {
  cleaner_options result;
  result.age = x.tombstone_age;
  result.interval = x.tombstone_interval;
  result.percent = x.tombstone_percent;
  return result;
}

inserter_actor
start_inserters(caf::event_based_actor* self, const configuration& cfg,
                const unit& context, std::vector<caf::actor>& workers) {
  std::vector<inserter_actor> inserters;
  for (size_t i = 0; i < inserters_per_node; ++i) {
    inserters.push_back(self->spawn<caf::detached>(
      inserter, context, make_block_writer(cfg.target, context.stop)));
    workers.push_back(caf::actor_cast<caf::actor>(inserters.back()));
  }
  return self->spawn(insert_pool, std::move(inserters));
}

// The sink and the transformers of a table, when its first batch comes.
transformer_factory start_table(const configuration& cfg, const unit& context,
                                inserter_actor pool, target_agent_actor admin,
                                target_agent_actor reader, limits_ptr limits) {
  auto active = std::make_shared<std::atomic<int>>(0);
  return [=, mapping = cfg.mapping, shards = cfg.transformer_shards,
          sink_limits = sink_limits_of(cfg.limits)](
           router_actor::pointer self, const table_description_ptr& table) {
    auto name = table->full_name();
    auto sink = self->spawn<caf::linked>(batching_sink, context, name, pool,
                                         sink_limits, active);
    std::vector<transformer_actor> result;
    for (uint32_t i = 0; i < shards; ++i)
      result.push_back(self->spawn<caf::linked>(
        table_transformer, context, name,
        transformer_targets{sink, admin, reader}, mapping, limits));
    return result;
  };
}

std::vector<snapshot_reader_actor>
start_snapshot_readers(caf::event_based_actor* self, const configuration& cfg,
                       const unit& context,
                       const postgres::source_options& source,
                       const router_actor& router,
                       std::vector<caf::actor>& workers) {
  snapshot_limits limits;
  context.numbers->snapshot_window_bytes.set(
    static_cast<int64_t>(cfg.limits.snapshot_window_bytes));
  limits.window_bytes
    = cfg.limits.snapshot_window_bytes / cfg.snapshot_connections;
  std::vector<snapshot_reader_actor> result;
  for (uint32_t i = 0; i < cfg.snapshot_connections; ++i) {
    result.push_back(self->spawn<caf::detached>(
      snapshot_reader, context, make_chunk_source(source), router, limits));
    workers.push_back(caf::actor_cast<caf::actor>(result.back()));
  }
  return result;
}

pipeline start(caf::event_based_actor* self, const configuration& cfg,
               const std::shared_ptr<metrics>& numbers) {
  unit context;
  context.pipeline = cfg.pipeline;
  context.numbers = numbers;
  pipeline result;
  result.stop = context.stop;
  auto& workers = result.workers;
  auto own = [&workers](auto hdl) {
    workers.push_back(caf::actor_cast<caf::actor>(hdl));
    return hdl;
  };
  auto source_options = cfg.source;
  source_options.stop = context.stop;
  auto limits = std::make_shared<transform::server_limits>();
  auto admin = own(self->spawn<caf::detached>(target_agent, context, cfg.target,
                                              cfg.mapping, limits,
                                              cfg.limits.max_dead_letters));
  auto reader = own(self->spawn<caf::detached>(
    target_agent, context, cfg.target, cfg.mapping,
    std::make_shared<transform::server_limits>(), cfg.limits.max_dead_letters));
  auto pool = own(start_inserters(self, cfg, context, workers));
  auto router
    = own(self->spawn(partition_router, context,
                      start_table(cfg, context, pool, admin, reader, limits)));
  auto start_agent = [&] {
    return own(self->spawn<caf::detached>(source_agent, context, source_options,
                                          cfg.limits.snapshot_chunk_bytes));
  };
  auto source = start_agent();
  auto surveyor = start_agent();
  auto store = caf::actor_cast<state_store_actor>(admin);
  auto readers = start_snapshot_readers(self, cfg, context, source_options,
                                        router, workers);
  auto snapshots = own(self->spawn(snapshotter, context, surveyor, store,
                                   router, std::move(readers)));
  capture_options options;
  options.window_bytes = cfg.limits.window_bytes;
  options.hold = cfg.limits.hold;
  options.batch = {cfg.limits.batch_rows, cfg.limits.batch_bytes};
  options.snapshot = cfg.snapshot;
  auto head = own(
    self->spawn(capture, context, options,
                capture_peers{source, surveyor, store, router, snapshots}));
  result.head = caf::actor_cast<caf::actor>(head);
  if (cfg.target.tombstone_age.count() != 0)
    own(self->spawn<caf::detached>(
      cleaner, context, cleaner_options_of(cfg.target),
      cleaner_peers{surveyor, caf::actor_cast<table_states_actor>(head), router,
                    store},
      cfg.mapping,
      clickhouse::make_tombstone_store(cfg.target, cfg.pipeline,
                                       context.stop)));
  return result;
}

} // namespace

pipeline_factory
make_pipeline(const configuration& cfg, std::shared_ptr<metrics> numbers) {
  return [cfg, numbers = std::move(numbers)](caf::event_based_actor* self) {
    return start(self, cfg, numbers);
  };
}

} // namespace millrace
