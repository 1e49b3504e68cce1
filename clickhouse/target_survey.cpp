#include "clickhouse/ddl.hpp"
#include "clickhouse/names.hpp"
#include "clickhouse/settings.hpp"
#include "clickhouse/target_admin_impl.hpp"

#include <charconv>

namespace millrace::clickhouse {

namespace {

/// Privileges on the database's tables that millrace uses.
constexpr const char* privileges[] = {
  "SELECT", "INSERT", "CREATE TABLE", "ALTER ADD COLUMN", "ALTER MODIFY COLUMN",
};

bool is_at_least(const std::string& version, int major, int minor) {
  int numbers[2] = {0, 0};
  auto at = version.data();
  auto end = version.data() + version.size();
  for (auto& x : numbers) {
    auto [rest, error] = std::from_chars(at, end, x);
    if (error != std::errc{})
      return false;
    at = rest == end ? end : rest + 1;
  }
  return numbers[0] > major || (numbers[0] == major && numbers[1] >= minor);
}

class surveyor {
public:
  surveyor(target_admin::impl& x, const std::vector<target_table_ptr>& tables,
           std::vector<std::string>& plan)
    : x_(x), tables_(tables), plan_(plan) {
    // nop
  }

  result<std::vector<problem>> run() {
    for (auto step : {&surveyor::check_version, &surveyor::check_settings,
                      &surveyor::check_database, &surveyor::check_privileges,
                      &surveyor::check_own_tables, &surveyor::check_tables}) {
      auto done = (this->*step)();
      if (!done)
        return tl::unexpected(std::move(done.error()));
    }
    check_engine();
    return std::move(out_);
  }

private:
  void add(ec code, std::string subject, std::string text, std::string remedy,
           bool warning = false) {
    out_.push_back(
      {code, std::move(subject), std::move(text), std::move(remedy), warning});
  }

  std::string user() const {
    return "user \"" + x_.options.user + '"';
  }

  std::string database() const {
    return "database \"" + x_.options.database + '"';
  }

  /// The first question: what it fails with is for the caller.
  result<void> check_version() {
    auto body = x_.http.query("SELECT version() FORMAT TabSeparated", {},
                              {"use ClickHouse", {}});
    if (!body)
      return tl::unexpected(std::move(body.error()));
    auto rows = parse_tab_separated(*body);
    auto version = rows.empty() ? std::string{} : rows[0][0];
    if (!is_at_least(version, 23, 2))
      add(ec::target_unsuitable, "ClickHouse",
          "its version is " + one_line(version, 40) + ", needed is 23.2",
          "upgrade the server");
    return {};
  }

  void add_read_only() {
    add(ec::target_refused, user(), "it may only read",
        "give it a profile with readonly = 0");
  }

  /// Tries each setting that millrace sends, by sending it.
  result<void> check_settings() {
    auto read_only_mode = x_.http.query(
      "SELECT toString(getSetting('readonly')) FORMAT TabSeparated", {},
      {"ask for the setting readonly", {}});
    if (!read_only_mode)
      return tl::unexpected(std::move(read_only_mode.error()));
    auto rows = parse_tab_separated(*read_only_mode);
    if (!rows.empty() && rows[0][0] != "0") {
      add_read_only();
      return {};
    }
    auto tried
      = x_.http.query("SELECT 1 FORMAT TabSeparated", insert_settings(),
                      {"set the settings of inserts", {}});
    if (tried)
      return {};
    if (is_retriable(tried.error().code))
      return tl::unexpected(std::move(tried.error()));
    constexpr int read_only = 164;
    if (x_.http.server_code() == read_only)
      add_read_only();
    else
      add(tried.error().code, "settings", tried.error().text,
          "the user's profile must let inserts fix this setting");
    return {};
  }

  result<void> check_database() {
    auto exists = x_.database_exists();
    if (!exists)
      return tl::unexpected(std::move(exists.error()));
    has_database_ = *exists;
    if (has_database_)
      return {};
    plan_.push_back(ddl::create_database(x_.options));
    auto granted = has_grant("CREATE DATABASE");
    if (!granted)
      return tl::unexpected(std::move(granted.error()));
    if (!*granted)
      add(ec::target_refused, database(),
          "it is missing, and user \"" + x_.options.user
            + "\" may not create it",
          "create it, or: GRANT CREATE DATABASE ON "
            + quote_name(x_.options.database) + ".* TO "
            + quote_name(x_.options.user));
    return {};
  }

  /// Servers that cannot be asked (before 24.10) count as if it were granted:
  /// the first statement will tell.
  result<bool> has_grant(const std::string& privilege) {
    return has_grant(privilege, quote_name(x_.options.database));
  }

  result<bool>
  has_grant(const std::string& privilege, const std::string& where) {
    auto sql = "CHECK GRANT " + privilege + " ON " + where + ".*";
    auto found = x_.rows(sql, "ask for privileges");
    if (found)
      return found->empty() || found->front()[0] != "0";
    if (is_retriable(found.error().code))
      return tl::unexpected(std::move(found.error()));
    return true;
  }

  result<void> check_privileges() {
    std::string missing;
    auto writes = false;
    for (std::string privilege : privileges) {
      auto granted = has_grant(privilege);
      if (!granted)
        return tl::unexpected(std::move(granted.error()));
      if (!*granted)
        missing += (missing.empty() ? "" : ", ") + privilege;
      writes = writes || (*granted && privilege != "SELECT");
    }
    // The table function format() asks for it, on everything.
    auto temporary = has_grant("CREATE TEMPORARY TABLE", "*");
    if (!temporary)
      return tl::unexpected(std::move(temporary.error()));
    if (!*temporary)
      add(ec::target_refused, user(),
          "it lacks the privilege CREATE TEMPORARY TABLE, without which rows "
          "cannot be looked up by key",
          "GRANT CREATE TEMPORARY TABLE ON *.* TO "
            + quote_name(x_.options.user));
    if (!missing.empty())
      add(ec::target_refused, user(),
          (writes ? "it lacks privileges on "
                  : "it may only read: it lacks privileges on ")
            + database() + ": " + missing,
          "GRANT " + missing + " ON " + quote_name(x_.options.database)
            + ".* TO " + quote_name(x_.options.user));
    return check_clean_up();
  }

  /// Without them the rows are right, and more and more.
  result<void> check_clean_up() {
    if (x_.options.tombstone_age.count() == 0)
      return {};
    std::string missing;
    for (std::string privilege : {"OPTIMIZE", "ALTER DELETE"}) {
      auto granted = has_grant(privilege);
      if (!granted)
        return tl::unexpected(std::move(granted.error()));
      if (!*granted)
        missing += (missing.empty() ? "" : ", ") + privilege;
    }
    if (!missing.empty())
      add(ec::target_refused, user(),
          "it lacks privileges on " + database() + ": " + missing
            + "; old tombstones stay",
          "GRANT " + missing + " ON " + quote_name(x_.options.database)
            + ".* TO " + quote_name(x_.options.user)
            + "; or tombstone-age = 0s",
          true);
    return {};
  }

  result<void> check_own_tables() {
    std::pair<std::string_view, std::string> own[] = {
      {ddl::state_table, ddl::create_state_table(x_.options)},
      {ddl::dead_letter_table, ddl::create_dead_letter_table(x_.options)},
    };
    for (auto& [name, statement] : own) {
      auto exists = has_database_ ? x_.table_exists(name) : result<bool>{false};
      if (!exists)
        return tl::unexpected(std::move(exists.error()));
      if (!*exists)
        plan_.push_back(statement);
    }
    return {};
  }

  result<void> check_tables() {
    for (auto& table : tables_) {
      auto subject = "table \"" + table->name + '"';
      auto found = has_database_
                     ? x_.describe(table->name)
                     : result<std::optional<existing_table>>{std::nullopt};
      if (!found)
        return tl::unexpected(std::move(found.error()));
      if (!*found) {
        plan_.push_back(ddl::create_table(x_.options, *table));
        continue;
      }
      auto difference = fit(x_.options, *table, **found);
      for (auto& text : difference.problems)
        add(ec::table_unsuitable, subject, text,
            "rename it, or name another target table by [target] names");
      for (auto& statement : difference.statements)
        plan_.push_back(statement);
    }
    return {};
  }

  void check_engine() {
    std::string_view engine = x_.options.engine;
    auto arguments = engine.find('(');
    auto name = engine.substr(0, arguments);
    if (name != "ReplacingMergeTree" && name != "ReplicatedReplacingMergeTree"
        && name != "SharedReplacingMergeTree")
      add(ec::target_unsuitable, "[target] engine",
          "\"" + x_.options.engine + "\" is no replacing engine",
          "ReplacingMergeTree or ReplicatedReplacingMergeTree");
    // One text makes all tables: two on one path would be one.
    auto path = arguments != std::string_view::npos
                && engine.find('/') != std::string_view::npos;
    if (path && engine.find("{table}") == std::string_view::npos
        && engine.find("{uuid}") == std::string_view::npos)
      add(ec::target_unsuitable, "[target] engine",
          "its path is the same for all tables",
          "put {table} or {uuid} into it");
  }

  target_admin::impl& x_;
  const std::vector<target_table_ptr>& tables_;
  std::vector<std::string>& plan_;
  std::vector<problem> out_;
  bool has_database_ = false;
};

} // namespace

result<std::vector<problem>>
target_admin::survey(const std::vector<target_table_ptr>& tables,
                     std::vector<std::string>& plan) {
  return surveyor{*impl_, tables, plan}.run();
}

} // namespace millrace::clickhouse
