#include "app/configuration.hpp"

#include "app/configuration_rules.hpp"
#include "app/configuration_text.hpp"
#include "app/section.hpp"
#include "app/suggest.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/settings.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace millrace {

namespace {

using namespace std::chrono_literals;

class reader {
public:
  reader(const std::string& path, secrets what,
         configuration_problems& problems)
    : folder_(std::filesystem::path{path}.parent_path()), secrets_(what),
      problems_(problems) {
    out_.file = path;
  }

  configuration run(const caf::settings& xs) {
    with("millrace", xs, [this](section& x) { read_millrace(x); });
    with("source", xs, [this](section& x) { read_source(x); });
    with("target", xs, [this](section& x) { read_target(x); });
    with("limits", xs, [this](section& x) { read_limits(x); });
    with("http", xs, [this](section& x) { read_http(x); });
    with("scheduler", xs, [this](section& x) { read_scheduler(x); });
    for (const auto& entry : xs)
      unknown_section({entry.first.begin(), entry.first.end()});
    return std::move(out_);
  }

private:
  template <class F>
  void with(const std::string& name, const caf::settings& xs, F f) {
    known_.push_back(name);
    static const caf::settings nothing;
    const auto* content = &nothing;
    if (auto i = xs.find(name); i != xs.end()) {
      content = caf::get_if<caf::settings>(&i->second);
      if (content == nullptr) {
        problems_.push_back(name + ": expected a section [" + name + "], got "
                            + i->second.type_name());
        return;
      }
    }
    section sub{name, *content, problems_};
    f(sub);
  }

  void unknown_section(const std::string& name) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end())
      return;
    if (name == "kafka")
      problems_.push_back(
        "kafka: this version of millrace has no Kafka buffer; "
        "remove the section");
    else if (name == "views")
      problems_.push_back(
        "views: this version of millrace has no views; remove "
        "the section");
    else
      problems_.push_back(name + ": unknown section" + suggest(name, known_));
  }

  void read_millrace(section& x) {
    x.require("pipeline", out_.pipeline);
    std::vector<std::string> roles{"capture", "transform"};
    x.read("roles", roles);
    std::sort(roles.begin(), roles.end());
    if (roles != std::vector<std::string>{"capture", "transform"})
      x.report("roles", "expected [\"capture\", \"transform\"]: with buffer = "
                        "\"direct\" one node has both");
    size_t buffer = 0;
    x.read("buffer", {"direct", "kafka"}, buffer);
    if (buffer != 0)
      x.report("buffer", "this version of millrace has no Kafka buffer, "
                         "expected \"direct\"");
    static const char* levels[]
      = {"trace", "debug", "info", "warning", "error"};
    size_t level = 2;
    x.read("log-level", {"trace", "debug", "info", "warning", "error"}, level);
    out_.log.level = levels[level];
    x.read("log-file", out_.log.file);
    make_absolute(out_.log.file);
    size_t format = 0;
    x.read("log-format", {"text", "json"}, format);
    out_.log.json = format == 1;
  }

  void read_source(section& x) {
    auto& to = out_.source;
    to.publication = to.slot = "millrace_" + out_.pipeline;
    x.require("uri", to.uri);
    to.password = password(x, "MILLRACE_SOURCE_PASSWORD");
    x.read("tables", to.tables);
    x.read("exclude", to.exclude);
    x.read("publication", to.publication);
    x.read("slot", to.slot);
    size_t snapshot = 0;
    x.read("snapshot", {"initial", "never"}, snapshot);
    out_.snapshot = snapshot == 0;
    x.read("snapshot-connections", out_.snapshot_connections, 1u, 64u);
    x.read("silence", to.silence, 1s, 1h);
    x.read("status-interval", to.status_interval, 100ms, 1h);
  }

  void read_target(section& x) {
    auto& to = out_.target;
    x.read("url", to.url);
    x.read("user", to.user);
    to.password = password(x, "MILLRACE_TARGET_PASSWORD");
    x.read("database", to.database);
    out_.mapping.database = to.database;
    x.read("ca-file", to.ca_file);
    make_absolute(to.ca_file);
    size_t durability = 0;
    x.read("durability", {"fsync", "process"}, durability);
    to.fsync = durability == 0;
    x.read("cluster", to.cluster);
    x.read("engine", to.engine);
    read_tombstones(x);
    x.read("transformer-shards", out_.transformer_shards, 1u, 64u);
    read_mapping(x);
  }

  void read_tombstones(section& x) {
    constexpr std::chrono::hours year{24 * 366};
    auto& to = out_.target;
    x.read("tombstone-age", to.tombstone_age, 0s, 10 * year);
    x.read("tombstone-interval", to.tombstone_interval, 1s, year);
    x.read("tombstone-percent", to.tombstone_percent, 0u, 100u);
  }

  void read_mapping(section& x) {
    auto& to = out_.mapping;
    size_t nulls = 0;
    x.read("nulls", {"nullable", "defaults"}, nulls);
    to.null_as_default = nulls == 1;
    size_t range = 0;
    x.read("out-of-range", {"saturate", "dead-letter"}, range);
    to.refuse_out_of_range = range == 1;
    x.each("names", [&to](section& entry) {
      std::string table;
      std::string name;
      entry.require("table", table);
      entry.require("name", name);
      if (!to.table_names.emplace(table, name).second)
        entry.report("table", "\"" + table + "\" is named twice");
    });
    x.each("table-nulls", [&to](section& entry) {
      std::string table;
      size_t choice = 0;
      entry.require("table", table);
      entry.read("nulls", {"nullable", "defaults"}, choice);
      if (!to.null_as_default_of.emplace(table, choice == 1).second)
        entry.report("table", "\"" + table + "\" is named twice");
    });
    x.each("columns", [&to](section& entry) {
      std::string column;
      transform::mapping_options::column_choice choice;
      entry.require("column", column);
      entry.read("type", choice.type);
      entry.read("name", choice.name);
      if (choice.type.empty() && choice.name.empty())
        entry.report("column", "names a column without saying its type or "
                               "name");
      if (!to.columns.emplace(column, choice).second)
        entry.report("column", "\"" + column + "\" is named twice");
    });
  }

  void read_limits(section& x) {
    constexpr uint64_t mib = 1 << 20;
    constexpr uint64_t gib = 1 << 30;
    auto& to = out_.limits;
    x.read("window-bytes", to.window_bytes, mib, 64 * gib);
    x.read("snapshot-window-bytes", to.snapshot_window_bytes, mib, 64 * gib);
    x.read("snapshot-chunk-bytes", to.snapshot_chunk_bytes, uint64_t{8'192},
           64 * gib);
    x.read("batch-rows", to.batch_rows, 1u, 1'000'000u);
    x.read("batch-bytes", to.batch_bytes, uint64_t{1'024}, gib);
    x.read("insert-rows", to.insert_rows, 1u, 10'000'000u);
    x.read("insert-bytes", to.insert_bytes, uint64_t{1'024}, 4 * gib);
    x.read("flush-wait", to.flush_wait, 0s, 60s);
    x.read("inserts-per-second", to.inserts_per_second, 1u, 100'000u);
    x.read("max-dead-letters", to.max_dead_letters, uint64_t{0},
           uint64_t{1'000'000'000});
    size_t quarantine = 0;
    x.read("quarantine", {"skip", "hold"}, quarantine);
    to.hold = quarantine == 1;
    x.read("ready-lag", to.ready_lag, 1s, std::chrono::hours{24 * 365});
  }

  void read_http(section& x) {
    auto text = to_string(out_.http);
    x.read("listen", text);
    if (auto address = parse_listen_address(text))
      out_.http = *address;
    else
      x.report("listen", "expected \"host:port\" with a port from 1 to 65535, "
                         "got \""
                           + text + "\"");
  }

  void read_scheduler(section& x) {
    auto& to = out_.scheduler;
    x.read_atom("policy", {"sharing", "stealing"}, to.policy);
    x.read("max-threads", to.max_threads, 0u, 1'024u);
  }

  /// The environment goes first, so that a file can be tried with other rights.
  std::string password(section& x, const char* variable) {
    x.refuse("password", std::string{"passwords do not belong into this file: "
                                     "use password-file, or the environment "
                                     "variable "}
                           + variable);
    std::string path;
    x.read("password-file", path);
    if (secrets_ == secrets::skip)
      return {};
    if (auto* value = std::getenv(variable))
      return value;
    if (path.empty()) {
      if (x.has("password-file"))
        x.report("password-file", "expected the name of a file");
      return {};
    }
    make_absolute(path);
    auto text = read_text(path);
    if (!text) {
      x.report("password-file", path + " " + text.error());
      return {};
    }
    while (!text->empty() && (text->back() == '\n' || text->back() == '\r'))
      text->pop_back();
    if (text->empty())
      x.report("password-file", path + " is empty");
    if (text->find_first_of(std::string_view{"\n\0", 2}) != std::string::npos)
      x.report("password-file", path + " has more than one line");
    return *text;
  }

  void make_absolute(std::string& path) const {
    if (!path.empty() && path.front() != '/')
      path = (folder_ / path).lexically_normal().string();
  }

  std::filesystem::path folder_;
  secrets secrets_;
  configuration_problems& problems_;
  configuration out_;
  std::vector<std::string> known_;
};

} // namespace

tl::expected<configuration, configuration_problems>
read_configuration(const std::string& path, secrets what) {
  auto text = read_text(path);
  if (!text)
    return tl::unexpected{configuration_problems{path + ": " + text.error()}};
  return parse_configuration(*text, path, what);
}

tl::expected<configuration, configuration_problems>
parse_configuration(std::string_view text, const std::string& path,
                    secrets what) {
  configuration_problems problems;
  configuration result;
  if (auto parsed = parse_config_text(text, problems)) {
    result = reader{path, what, problems}.run(*parsed);
    check_rules(result, problems);
  }
  if (problems.empty())
    return result;
  for (auto& x : problems)
    x.insert(0, path + ": ");
  return tl::unexpected{std::move(problems)};
}

void apply(const scheduler_options& x, caf::actor_system_config& cfg) {
  cfg.set("scheduler.policy", caf::atom_from_string(x.policy));
  if (x.max_threads != 0)
    cfg.set("scheduler.max-threads", size_t{x.max_threads});
}

} // namespace millrace
