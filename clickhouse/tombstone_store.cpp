#include "clickhouse/tombstone_store.hpp"

#include "clickhouse/ddl.hpp"
#include "clickhouse/letter_statements.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/row_binary.hpp"
#include "clickhouse/target_admin_impl.hpp"
#include "messages/failure_point.hpp"

#include <map>

namespace millrace::clickhouse {

namespace {

class http_store : public tombstone_store {
public:
  http_store(target_options options, std::string pipeline,
             std::shared_ptr<std::atomic<bool>> stop)
    : x_(std::move(options), std::move(pipeline), std::move(stop)) {
    // nop
  }

  result<old_tombstones>
  look(const target_table& table, version below) override {
    old_tombstones out;
    out.below = below;
    auto oldest = oldest_letter(table);
    if (!oldest)
      return tl::unexpected(std::move(oldest.error()));
    if (*oldest && **oldest < below) {
      out.below = **oldest;
      out.held_by_letter = true;
    }
    auto old = count_rows(table, " WHERE " + ddl::old_tombstones(out.below));
    if (!old)
      return tl::unexpected(std::move(old.error()));
    if (old->empty())
      return out;
    auto all = count_rows(table, "");
    if (!all)
      return tl::unexpected(std::move(all.error()));
    for (auto& [id, tombstones] : *old)
      out.partitions.push_back({id, (*all)[id], tombstones});
    return out;
  }

  result<uint64_t>
  remove(const target_table& table, const std::string& partition,
         version below) override {
    auto name = '"' + table.name + '"';
    // A merge takes as long as it takes, and its answer says that it is done.
    const parameters settings{{"max_execution_time", "0"},
                              {"mutations_sync", "1"}};
    auto done = result<void>{};
    if (x_.options.is_replicated())
      done = x_.run(ddl::sync_statement(x_.options, table),
                    "wait for the other replicas of " + name, settings);
    if (done)
      done = x_.run(ddl::merge_statement(x_.options, table, partition),
                    "merge " + name, settings);
    if (done)
      done = failure_point("tombstones_merged.after", ec::target_unavailable);
    if (!done)
      return tl::unexpected(std::move(done.error()));
    auto left = count_rows(table, " WHERE " + ddl::old_tombstones(below)
                                    + " AND _partition_id = "
                                    + quote_literal(partition));
    if (!left)
      return tl::unexpected(std::move(left.error()));
    done = x_.run(ddl::remove_statement(x_.options, table, partition, below),
                  "remove old tombstones from " + name, settings);
    if (!done)
      return tl::unexpected(std::move(done.error()));
    return (*left)[partition];
  }

private:
  using counts = std::map<std::string, uint64_t>;

  result<std::optional<version>> oldest_letter(const target_table& table) {
    auto source = table.source->full_name();
    auto body = x_.row_binary(
      "SELECT count(), min(version) FROM "
        + quote_name(x_.options.database, ddl::dead_letter_table)
        + " FINAL WHERE " + letters_of(x_.pipeline, source),
      {}, {"look for dead letters of " + source, {}});
    if (!body)
      return tl::unexpected(std::move(body.error()));
    row_binary_reader in{*body};
    auto count = in.integer(8);
    version at;
    at.minor = in.integer(8);
    at.major = in.integer(8);
    if (in.failed())
      return fail(ec::target_failed, "cannot look for dead letters of " + source
                                       + ": the answer is cut short");
    return count == 0 ? std::nullopt : std::optional{at};
  }

  /// Rows by partition.
  result<counts>
  count_rows(const target_table& table, const std::string& condition) {
    auto found = x_.rows("SELECT _partition_id, count() FROM "
                           + quote_name(x_.options.database, table.name)
                           + condition + " GROUP BY _partition_id",
                         "count tombstones of \"" + table.name + '"');
    if (!found)
      return tl::unexpected(std::move(found.error()));
    counts out;
    for (auto& row : *found)
      out[row[0]] = std::stoull(row.at(1));
    return out;
  }

  target_admin::impl x_;
};

} // namespace

tombstone_store::~tombstone_store() = default;

tombstone_store_ptr
make_tombstone_store(target_options options, std::string pipeline,
                     std::shared_ptr<std::atomic<bool>> stop) {
  return std::make_unique<http_store>(std::move(options), std::move(pipeline),
                                      std::move(stop));
}

} // namespace millrace::clickhouse
