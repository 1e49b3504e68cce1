#include "app/configuration_rules.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace millrace {

namespace {

constexpr size_t max_postgres_name = 63;

bool only(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

constexpr std::string_view slot_letters
  = "abcdefghijklmnopqrstuvwxyz0123456789_";

/// Patterns are `schema.table`; a name may hold more dots than that.
bool is_table_pattern(const std::string& x) {
  auto dot = x.find('.');
  return dot != std::string::npos && dot > 0 && dot + 1 < x.size();
}

class rules {
public:
  rules(const configuration& x, configuration_problems& problems)
    : x_(x), problems_(problems) {
    // nop
  }

  void run() {
    check_names();
    check_tables();
    check_addresses();
    check_mapping();
    check_limits();
  }

private:
  void report(const std::string& entry, const std::string& what) {
    problems_.push_back(entry + ": " + what);
  }

  void check_names() {
    if (!only(x_.pipeline, slot_letters))
      report("millrace.pipeline",
             "expected letters a-z, digits and _, got \"" + x_.pipeline + "\"");
    // Names that come from the pipeline's are to blame on the pipeline.
    auto derived = "millrace_" + x_.pipeline;
    const auto& slot = x_.source.slot;
    auto slot_entry = slot == derived ? "millrace.pipeline" : "source.slot";
    if (slot.empty())
      report("source.slot", "must not be empty");
    else if (slot != derived && !only(slot, slot_letters))
      report("source.slot",
             "expected letters a-z, digits and _, got \"" + slot + "\"");
    if (slot.size() > max_postgres_name)
      report(slot_entry, "the slot's name \"" + slot
                           + "\" is longer than PostgreSQL's 63 bytes");
    const auto& publication = x_.source.publication;
    auto entry
      = publication == derived ? "millrace.pipeline" : "source.publication";
    if (publication.empty())
      report("source.publication", "must not be empty");
    auto longest = publication + "_inserts";
    if (longest.size() > max_postgres_name)
      report(entry, "the publication's name \"" + longest
                      + "\" is longer than PostgreSQL's 63 bytes");
  }

  void check_tables() {
    if (x_.source.tables.empty())
      report("source.tables", "names no table");
    for (const auto& pattern : x_.source.tables) {
      if (!is_table_pattern(pattern))
        report("source.tables",
               "expected \"schema.table\", got \"" + pattern + "\"");
      const auto& exclude = x_.source.exclude;
      if (std::find(exclude.begin(), exclude.end(), pattern) != exclude.end())
        report("source.exclude",
               "excludes \"" + pattern + "\", which source.tables names");
    }
    for (const auto& pattern : x_.source.exclude)
      if (!is_table_pattern(pattern))
        report("source.exclude",
               "expected \"schema.table\", got \"" + pattern + "\"");
    if (x_.source.status_interval >= x_.source.silence)
      report("source.silence", "must be longer than source.status-interval: "
                               "only an answer to a status shows that an idle "
                               "server lives");
  }

  void check_addresses() {
    if (!x_.source.uri.empty())
      if (auto what = objection_to_source_uri(x_.source.uri); !what.empty())
        report("source.uri", what);
    if (auto what = objection_to_target_url(x_.target.url); !what.empty())
      report("target.url", what);
    if (!x_.target.ca_file.empty() && x_.target.url.rfind("https:", 0) != 0)
      report("target.ca-file", "contradicts target.url, which is not https");
    if (x_.target.database.empty())
      report("target.database", "must not be empty");
    if (x_.target.user.empty())
      report("target.user", "must not be empty");
    const auto& engine = x_.target.engine;
    auto name = engine.substr(0, engine.find('('));
    if (name != "ReplacingMergeTree" && name != "ReplicatedReplacingMergeTree")
      report("target.engine", "expected \"ReplacingMergeTree\" or "
                              "\"ReplicatedReplacingMergeTree(...)\", got \""
                                + engine + "\"");
    else if (!x_.target.cluster.empty() && name == "ReplacingMergeTree")
      report("target.engine", "\"ReplacingMergeTree\" contradicts "
                              "target.cluster: its servers would not share "
                              "rows; expected "
                              "\"ReplicatedReplacingMergeTree(...)\"");
  }

  void check_mapping() {
    std::map<std::string, std::string> owners;
    for (const auto& [table, name] : x_.mapping.table_names) {
      check_table("target.names", table);
      if (auto [i, added] = owners.emplace(name, table); !added)
        report("target.names", "\"" + i->second + "\" and \"" + table
                                 + "\" would share the table \"" + name + "\"");
    }
    for (const auto& entry : x_.mapping.null_as_default_of)
      check_table("target.table-nulls", entry.first);
    std::set<std::string> names;
    for (const auto& [column, choice] : x_.mapping.columns) {
      auto dot = column.rfind('.');
      if (dot == std::string::npos || dot + 1 == column.size()
          || !is_table_pattern(column.substr(0, dot))) {
        report("target.columns",
               "expected \"schema.table.column\", got \"" + column + "\"");
        continue;
      }
      auto target = column.substr(0, dot + 1) + choice.name;
      if (!choice.name.empty() && !names.insert(target).second)
        report("target.columns", "two columns of \"" + column.substr(0, dot)
                                   + "\" would be named \"" + choice.name
                                   + "\"");
    }
  }

  void check_table(const std::string& entry, const std::string& table) {
    if (!table.empty() && !is_table_pattern(table))
      report(entry, "expected \"schema.table\", got \"" + table + "\"");
  }

  void check_limits() {
    const auto& limits = x_.limits;
    auto at_most
      = [this](const char* small, uint64_t a, const char* large, uint64_t b) {
          if (a > b)
            report(std::string{"limits."} + small,
                   std::to_string(a) + " contradicts " + large + " = "
                     + std::to_string(b) + ", which must be at least as much");
        };
    at_most("batch-bytes", limits.batch_bytes, "window-bytes",
            limits.window_bytes);
    at_most("batch-bytes", limits.batch_bytes, "snapshot-window-bytes",
            limits.snapshot_window_bytes);
    at_most("batch-rows", limits.batch_rows, "insert-rows", limits.insert_rows);
  }

  const configuration& x_;
  configuration_problems& problems_;
};

} // namespace

void check_rules(const configuration& x, configuration_problems& problems) {
  rules{x, problems}.run();
}

} // namespace millrace
