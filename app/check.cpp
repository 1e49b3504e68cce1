#include "app/check.hpp"

#include "app/status.hpp"
#include "clickhouse/client.hpp"
#include "clickhouse/target_admin.hpp"
#include "postgres/source_admin.hpp"
#include "transform/mapping.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace millrace {

namespace {

/// `150004` is 15.4.
std::string postgres_version(int x) {
  return std::to_string(x / 10000) + "." + std::to_string(x % 10000);
}

class look {
public:
  explicit look(const configuration& config) : config_(config) {
    // nop
  }

  preflight run() {
    look_at_source();
    map_tables();
    look_at_target();
    return std::move(out_);
  }

private:
  template <class Problem>
  void add(const std::vector<Problem>& xs) {
    for (const auto& x : xs)
      out_.findings.push_back({x.code, x.warning, x.subject, x.text, x.remedy});
  }

  void add(const std::string& subject, const failure& x) {
    out_.findings.push_back({x.code, false, subject, x.text, {}});
  }

  void look_at_source() {
    postgres::source_admin admin{config_.source};
    auto x = admin.survey();
    if (!x) {
      add("source", x.error());
      return;
    }
    out_.source_answers = true;
    const auto& who = x->identity;
    out_.facts.push_back("source: PostgreSQL "
                         + postgres_version(who.server_version) + ", database "
                         + who.database
                         // Unknown to a role that may not replicate.
                         + (who.system_identifier.empty()
                              ? std::string{}
                              : ", system " + who.system_identifier
                                  + ", timeline " + std::to_string(who.timeline)
                                  + ", position " + to_string(who.position)));
    if (x->slot_exists)
      out_.facts.push_back("slot: " + config_.source.slot
                           + " exists, confirmed "
                           + to_string(x->slot_confirmed) + ", holds back "
                           + std::to_string(x->slot_lag) + " bytes of log");
    add(x->problems);
    excuse_running_node();
    for (const auto& name : x->missing)
      out_.findings.push_back({ec::none, true, name,
                               "does not exist yet, and would be waited for",
                               "create it, or take it out of source.tables"});
    for (const auto& line : x->plan)
      out_.plan.push_back("source: " + line);
    if (x->tables.empty() && x->missing.empty())
      out_.findings.push_back({ec::source_unsuitable, false, "source.tables",
                               "no table matches",
                               "change the patterns, or create the tables"});
    sources_ = std::move(x->tables);
  }

  /// A slot that the node of this very configuration uses is as it should be.
  void excuse_running_node() {
    for (auto& x : out_.findings)
      if (x.code == ec::slot_busy && running_pipeline() == config_.pipeline) {
        x.warning = true;
        x.text += ", the node that runs with this configuration";
        x.remedy.clear();
      }
  }

  std::string running_pipeline() const {
    auto text = fetch_status(config_.http);
    boost::json::error_code err;
    auto value = text ? boost::json::parse(*text, err) : boost::json::value{};
    if (!err && value.is_object())
      if (const auto* x = value.get_object().if_contains("pipeline");
          x != nullptr && x->is_string())
        return std::string{x->get_string()};
    return {};
  }

  void map_tables() {
    for (auto& source : sources_) {
      auto name = source->full_name();
      if (auto x = transform::map_table(std::move(source), config_.mapping))
        out_.tables.push_back(*x);
      else
        add(name, x.error());
    }
    for (const auto& line : transform::name_clashes(out_.tables))
      out_.findings.push_back(
        {ec::target_unsuitable, false, "target.names", line, {}});
    // Without the tables everything would seem unused.
    if (out_.source_answers)
      for (const auto& line :
           transform::unused_choices(out_.tables, config_.mapping))
        out_.findings.push_back({ec::invalid_configuration, true,
                                 "configuration", line,
                                 "correct the name, or take the entry out"});
  }

  void look_at_target() {
    const auto& options = config_.target;
    clickhouse::client client{options};
    if (auto x = client.query("SELECT version()")) {
      auto version = x->substr(0, x->find('\n'));
      out_.facts.push_back("target: ClickHouse " + version + " at "
                           + options.url + ", database " + options.database);
    }
    clickhouse::target_admin admin{options, config_.pipeline};
    std::vector<std::string> plan;
    auto x = admin.survey(out_.tables, plan);
    if (!x) {
      add("target", x.error());
      return;
    }
    out_.target_answers = true;
    add(*x);
    for (const auto& line : plan)
      out_.plan.push_back("target: " + line);
    auto limits = admin.limits();
    if (!limits) {
      add("target", limits.error());
      return;
    }
    for (const auto& table : out_.tables)
      out_.remarks.push_back(transform::remarks(*table, *limits));
  }

  const configuration& config_;
  preflight out_;
  std::vector<table_description_ptr> sources_;
};

} // namespace

preflight look_before_start(const configuration& config) {
  return look{config}.run();
}

int check(const configuration& config, std::ostream& out) {
  auto x = look_before_start(config);
  print(out, config, x);
  return x.errors() == 0 ? 0 : 1;
}

} // namespace millrace
