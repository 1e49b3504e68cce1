#include "app/check.hpp"

#include "actors/state_marks.hpp"
#include "app/status.hpp"
#include "clickhouse/client.hpp"
#include "clickhouse/target_admin.hpp"
#include "postgres/known_source.hpp"
#include "postgres/source_admin.hpp"
#include "transform/mapping.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <optional>

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
    compare_with_state();
    return std::move(out_);
  }

private:
  template <class Problem>
  void add(const std::vector<Problem>& xs) {
    for (const auto& x : xs) {
      // Such a table is let go.
      auto alone = x.code == ec::table_unsuitable && !x.warning;
      out_.findings.push_back({x.code, x.warning || alone, x.subject,
                               (alone ? quarantined : "") + x.text, x.remedy});
    }
  }

  void add_unsuitable(const std::string& subject, const std::string& text) {
    out_.findings.push_back(
      {ec::table_unsuitable, true, subject, quarantined + text, {}});
  }

  void add(const std::string& subject, const failure& x) {
    out_.findings.push_back({x.code, false, subject, x.text, {}});
  }

  void look_at_source() {
    auto x = source_.survey();
    if (!x) {
      add("source", x.error());
      return;
    }
    out_.source_answers = true;
    survey_ = *x;
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
      out_.findings.push_back({ec::none, true, "source.tables",
                               "no table matches yet; those that come would be "
                               "taken in",
                               "create the tables, or change the patterns"});
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
    for (const auto& source : survey_.tables) {
      if (auto x = transform::map_table(source, config_.mapping))
        out_.tables.push_back(*x);
      else
        add_unsuitable(source->full_name(), x.error().text);
    }
    for (const auto& line : transform::name_clashes(out_.tables))
      add_unsuitable("target.names", line);
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
    std::vector<std::string> plan;
    auto x = target_.survey(out_.tables, plan);
    if (!x) {
      add("target", x.error());
      return;
    }
    out_.target_answers = true;
    add(*x);
    for (const auto& line : plan)
      out_.plan.push_back("target: " + line);
    auto limits = target_.limits();
    if (!limits) {
      add("target", limits.error());
      return;
    }
    for (const auto& table : out_.tables)
      out_.remarks.push_back(transform::remarks(*table, *limits));
  }

  /// What `run` compares before it makes anything: it must be the source that
  /// the target was filled from, and the slot where it was left.
  void compare_with_state() {
    // Unknown to a role that may not replicate.
    if (!out_.target_answers || survey_.identity.system_identifier.empty())
      return;
    auto known = known_source();
    if (!known) {
      add("state of the pipeline", known.error());
      return;
    }
    if (!*known)
      return;
    out_.facts.push_back("state: known, commits up to "
                         + to_string((*known)->received) + " received");
    auto judged = judge(**known);
    if (judged)
      return;
    // Another source gets no advice, and nothing is made.
    if (judged.error().code == ec::source_changed)
      std::erase_if(out_.findings, [](const finding& x) {
        return x.code != ec::table_unsuitable && is_about_source(x.subject);
      });
    out_.plan.clear();
    add("source", judged.error());
  }

  static bool is_about_source(const std::string& subject) {
    return subject.starts_with("slot ") || subject.starts_with("publication ");
  }

  /// Nothing when the pipeline has not run.
  result<std::optional<source_state>> known_source() {
    auto saved = target_.load_state();
    if (!saved)
      return tl::unexpected{std::move(saved.error())};
    auto i = saved->find(state_marks::source);
    if (i == saved->end() || i->second.empty())
      return std::optional<source_state>{};
    auto known = parse_source_state(i->second);
    if (!known)
      return tl::unexpected{std::move(known.error())};
    return std::optional{std::move(*known)};
  }

  result<void> judge(const source_state& known) {
    const auto& now = survey_.identity;
    if (auto same = postgres::judge_identity(known, now); !same)
      return same;
    // Which it says itself.
    if (now.in_recovery)
      return {};
    auto highest = known.received;
    for (const auto& table : out_.tables) {
      auto stored = target_.highest_version(*table);
      if (!stored)
        return tl::unexpected{std::move(stored.error())};
      highest = std::max(highest, *stored);
    }
    if (auto reached = postgres::judge_log_end(now, highest); !reached)
      return reached;
    if (now.timeline != known.timeline) {
      auto end = source_.end_of_timeline(known.timeline);
      if (!end)
        return tl::unexpected{std::move(end.error())};
      if (auto left = postgres::judge_switch_point(
            known, now, end->value_or(lsn{}), highest);
          !left)
        return left;
    }
    return postgres::judge_slot(config_.source.slot, survey_.slot_exists,
                                survey_.slot_confirmed,
                                postgres::highest_start(known));
  }

  static inline const std::string quarantined
    = "would be quarantined, the others are followed: ";

  const configuration& config_;
  preflight out_;
  postgres::source_admin source_{config_.source};
  clickhouse::target_admin target_{config_.target, config_.pipeline};
  postgres::source_survey survey_;
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
