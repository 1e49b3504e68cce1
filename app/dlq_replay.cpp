#include "app/dlq_replay.hpp"

#include "clickhouse/client.hpp"
#include "clickhouse/ddl.hpp"
#include "clickhouse/target_admin.hpp"
#include "postgres/source_admin.hpp"
#include "transform/event_batch.hpp"
#include "transform/unchanged.hpp"

#include <map>
#include <memory>

namespace millrace {

namespace {

using clickhouse::stored_letter;

constexpr uint32_t only[] = {0};

class player {
public:
  player(const configuration& config, replay_outcome& to)
    : config_(config), client_(config.target),
      admin_(config.target, config.pipeline), to_(to) {
    // nop
  }

  result<void> run(const std::vector<stored_letter>& letters) {
    auto limits = admin_.limits();
    if (!limits)
      return tl::unexpected(std::move(limits.error()));
    limits_ = *limits;
    postgres::source_admin source{config_.source};
    auto tables = source.tables();
    if (!tables)
      return tl::unexpected(std::move(tables.error()));
    for (auto& x : *tables)
      sources_.emplace(x->full_name(), x);
    for (const auto& letter : letters) {
      auto done = play(letter);
      if (!done)
        return done;
    }
    return {};
  }

private:
  struct route {
    table_description_ptr source;
    target_table_ptr target;
    std::unique_ptr<transform::row_encoder> encoder;

    /// Why there is none.
    std::string problem;
  };

  route& route_of(const std::string& table) {
    auto [i, fresh] = routes_.try_emplace(table);
    auto& x = i->second;
    if (!fresh)
      return x;
    auto source = sources_.find(table);
    if (source == sources_.end()) {
      x.problem
        = "the source has no such table, or source.tables leaves it out";
      return x;
    }
    x.source = source->second;
    auto target = transform::map_table(x.source, config_.mapping);
    if (!target) {
      x.problem = target.error().text;
      return x;
    }
    x.target = *target;
    x.encoder = std::make_unique<transform::row_encoder>(x.target, limits_);
    return x;
  }

  result<void> leave(const stored_letter& letter, std::string why) {
    to_.left.emplace_back(letter, std::move(why));
    return {};
  }

  /// Ends the replay, unless it is this letter's own fault.
  result<void> leave(const stored_letter& letter, failure why) {
    if (is_retriable(why.code) || why.code == ec::target_refused)
      return tl::unexpected(std::move(why));
    return leave(letter, std::move(why.text));
  }

  result<void> play(const stored_letter& letter) {
    auto& to = route_of(letter.letter.table);
    if (!to.encoder)
      return leave(letter, to.problem);
    auto made = transform::to_batch(to.source, letter.letter);
    if (!made)
      return leave(letter, std::move(made.error()));
    const auto& batch = *made;
    const auto& x = batch.changes.front();
    auto has_row = x.row != change::no_row;
    auto key
      = to.encoder->key_of(batch, &batch.cells[has_row ? x.row : x.old_row_at]);
    if (!key)
      return leave(letter, std::move(key.error()));
    transform::unchanged_values xs{batch, only, *to.target, *to.encoder};
    auto stored = admin_.read(*to.target, {*key}, xs.columns());
    if (!stored)
      return leave(letter, std::move(stored.error()));
    auto row = stored->find(*key);
    // A changed key takes its old row away, whatever became of the new one.
    auto moves = has_row && x.old != old_row::none;
    if (row != stored->end() && row->second.at > letter.letter.at && !moves) {
      to_.superseded.push_back(letter);
      return {};
    }
    if (!xs.keys().empty()) {
      auto refused = admin_.refused(*to.target, xs.key_texts());
      if (!refused)
        return tl::unexpected(std::move(refused.error()));
      transform::known_row known;
      const auto& others = (*refused)[xs.key_texts().front()];
      if (row != stored->end())
        known
          = {row->second.at, row->second.deleted, &row->second.values, &others};
      xs.complete([&](const std::string&) {
        return row != stored->end() ? &known : nullptr;
      });
    }
    if (!xs.rejects().empty())
      return leave(letter, xs.rejects().front().error);
    auto out
      = to.encoder->encode(batch, xs.changes(), xs.cells(), xs.patches());
    if (!out.rejects.empty())
      return leave(letter, out.rejects.front().error);
    if (out.block) {
      auto written = client_.insert(
        clickhouse::ddl::insert_statement(config_.target, *to.target), {},
        out.block->native.pieces());
      if (!written)
        return leave(letter, std::move(written.error()));
    }
    to_.replayed.push_back(letter);
    return {};
  }

  const configuration& config_;
  clickhouse::client client_;
  clickhouse::target_admin admin_;
  replay_outcome& to_;
  transform::server_limits limits_;
  std::map<std::string, table_description_ptr> sources_;
  std::map<std::string, route> routes_;
};

} // namespace

result<void>
replay(const configuration& config, const std::vector<stored_letter>& letters,
       replay_outcome& to) {
  if (letters.empty())
    return {};
  return player{config, to}.run(letters);
}

} // namespace millrace
