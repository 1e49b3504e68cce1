#include "app/check.hpp"

#include "app/version.hpp"
#include "clickhouse/client.hpp"
#include "clickhouse/target_admin.hpp"
#include "postgres/source_admin.hpp"
#include "transform/mapping.hpp"

#include <algorithm>
#include <ostream>

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
    asked_source_ = true;
    const auto& who = x->identity;
    out_.facts.push_back("source: PostgreSQL "
                         + postgres_version(who.server_version) + ", database "
                         + who.database + ", system " + who.system_identifier
                         + ", timeline " + std::to_string(who.timeline)
                         + ", position " + to_string(who.position));
    if (x->slot_exists)
      out_.facts.push_back("slot: " + config_.source.slot
                           + " exists, confirmed "
                           + to_string(x->slot_confirmed) + ", holds back "
                           + std::to_string(x->slot_lag) + " bytes of log");
    add(x->problems);
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

  void map_tables() {
    for (auto& source : sources_) {
      auto name = source->full_name();
      if (auto x = transform::map_table(std::move(source), config_.mapping))
        out_.tables.push_back(*x);
      else
        add(name, x.error());
    }
    for (const auto& line : transform::name_clashes(out_.tables))
      out_.findings.push_back({ec::target_unsuitable, false, "target.names",
                               line, "name one of them in target.names"});
    // Without the tables everything would seem unused.
    if (asked_source_)
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
  bool asked_source_ = false;
};

std::string count_of(size_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

void print_table(std::ostream& out, const configuration& config,
                 const target_table& x, const std::vector<std::string>& notes) {
  out << "  " << x.source->full_name() << " -> " << config.target.database
      << "." << x.name << ", key ";
  if (x.order_by.empty())
    out << "none: " << to_string(x.source->identity);
  for (size_t i = 0; i < x.order_by.size(); ++i)
    out << (i == 0 ? "" : ", ") << x.columns[x.order_by[i]].name;
  out << "\n";
  size_t width = 0;
  for (const auto& column : x.columns)
    width = std::max(width, column.name.size());
  for (const auto& column : x.columns) {
    const auto& from = x.source->columns[column.source];
    out << "    " << column.name
        << std::string(width - column.name.size() + 2, ' ') << from.type.name
        << (from.nullable ? "" : " not null") << " -> " << column.type;
    if (from.name != column.name)
      out << " (source column \"" << from.name << "\")";
    out << "\n";
  }
  for (const auto& note : notes)
    out << "    note: " << note << "\n";
}

} // namespace

size_t preflight::errors() const {
  return findings.size() - warnings();
}

size_t preflight::warnings() const {
  return static_cast<size_t>(
    std::count_if(findings.begin(), findings.end(),
                  [](const finding& x) { return x.warning; }));
}

preflight look_before_start(const configuration& config) {
  return look{config}.run();
}

void print(std::ostream& out, const configuration& config, const preflight& x) {
  out << "millrace " << version_text() << ", pipeline " << config.pipeline
      << ", " << config.file << "\n";
  for (const auto& fact : x.facts)
    out << fact << "\n";
  out << "\n" << count_of(x.tables.size(), "table") << "\n";
  for (size_t i = 0; i < x.tables.size(); ++i)
    print_table(out, config, *x.tables[i],
                i < x.remarks.size() ? x.remarks[i]
                                     : std::vector<std::string>{});
  out << "\nplan of millrace run\n";
  if (x.plan.empty())
    out << "  everything is there\n";
  for (const auto& line : x.plan)
    out << "  " << line << "\n";
  if (!x.findings.empty())
    out << "\nproblems\n";
  for (auto warning : {false, true})
    for (const auto& f : x.findings)
      if (f.warning == warning) {
        out << "  " << (warning ? "warning" : "error") << ": " << f.subject
            << ": " << f.text << "\n";
        if (!f.remedy.empty())
          out << "    do: " << f.remedy << "\n";
      }
  out << "\n";
  if (x.errors() == 0)
    out << "ready";
  else
    out << "not ready: " << count_of(x.errors(), "error");
  if (x.warnings() != 0)
    out << ", " << count_of(x.warnings(), "warning");
  out << "\n";
}

int check(const configuration& config, std::ostream& out) {
  auto x = look_before_start(config);
  print(out, config, x);
  return x.errors() == 0 ? 0 : 1;
}

} // namespace millrace
