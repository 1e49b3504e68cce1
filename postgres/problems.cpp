#include "postgres/advice.hpp"
#include "postgres/inspection.hpp"
#include "postgres/patterns.hpp"

#include <algorithm>

namespace millrace::postgres {

namespace {

// PostgreSQL cuts longer names off.
constexpr size_t max_name = 63;

/// Finds what is wrong, in the order in which a user would mend it.
class finder {
public:
  finder(const source_options& options, inspection& x)
    : options_(options), x_(x) {
    // nop
  }

  void run() {
    if (!server())
      return;
    slot();
    for (const auto& table : x_.tables)
      left_out(table);
    for (const auto* table : x_.candidates)
      candidate(*table);
    // One that appears while others are followed must not stop those.
    std::erase_if(x_.candidates, [this](const auto* table) {
      return is_newcomer(*table)
             && (table->row_security || has_generated_key(*table));
    });
    main_publication();
    inserts_publication();
  }

private:
  void add(std::string subject, std::string text, std::string remedy,
           bool warning = false, ec code = ec::source_unsuitable) {
    x_.problems.push_back(
      {code, std::move(subject), std::move(text), std::move(remedy), warning});
  }

  bool server() {
    if (x_.version < 140000) {
      add("server",
          "PostgreSQL " + std::to_string(x_.version / 10000) + " is too old",
          "PostgreSQL 14 or later is needed");
      return false;
    }
    if (x_.in_recovery) {
      add("server", "it is a standby",
          "connect to the primary (target_session_attrs=read-write in "
          "source.uri)");
      return false;
    }
    if (x_.wal_level != "logical")
      add("wal_level", "it is '" + x_.wal_level + "', not 'logical'",
          "ALTER SYSTEM SET wal_level = 'logical', then restart the server");
    return true;
  }

  void slot() {
    const auto& s = x_.slot;
    auto subject = "slot \"" + options_.slot + "\"";
    if (!s.exists) {
      // Noticed by the server only after the publications have been made.
      auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
      };
      if (options_.slot.empty() || options_.slot.size() > max_name
          || !std::all_of(options_.slot.begin(), options_.slot.end(), good))
        add(subject, "it is not a name for a slot",
            "use at most 63 lower case letters, digits and underscores "
            "(source.slot)",
            false, ec::invalid_configuration);
      if (x_.slots_used >= x_.slots_max)
        add("max_replication_slots",
            "all " + std::to_string(x_.slots_max)
              + " replication slots are in use",
            "drop one that is not needed (see pg_replication_slots), or raise "
            "max_replication_slots and restart the server");
      return;
    }
    if (s.plugin != "pgoutput")
      add(subject,
          s.plugin.empty() ? "it is a physical slot"
                           : "it is a slot of plugin \"" + s.plugin + "\"",
          "millrace needs pgoutput: give it a slot of its own (source.slot)",
          false, ec::slot_lost);
    else if (s.database != x_.database)
      add(subject, "it belongs to database \"" + s.database + "\"",
          "give millrace a slot of its own (source.slot)");
    else if (s.wal_status == "lost")
      add(subject,
          "it was invalidated: the WAL it needs is gone, changes are "
          "lost",
          take_all_again(options_.slot)
            + "; a larger max_slot_wal_keep_size avoids it",
          false, ec::slot_lost);
    else if (!s.active_pid.empty())
      add(subject, "it is in use by process " + s.active_pid,
          "another node may be running: stop it, or name another slot", false,
          ec::slot_busy);
    if (s.wal_status == "unreserved")
      add(subject, "the WAL it needs may be removed at any time",
          "let millrace catch up, or raise max_slot_wal_keep_size", true);
  }

  /// What is asked for and cannot be followed at all.
  void left_out(const catalogue_table& table) {
    const auto& d = table.description;
    if (!is_wanted(options_, d.schema, d.name))
      return;
    auto named = is_named(options_, d.schema, d.name);
    const char* what = nullptr;
    if (table.kind == 'f')
      what = "it is a foreign table, whose changes are not in the log";
    else if (table.persistence == 'u')
      what = "it is unlogged, so its changes are not in the log";
    else if (named && (table.kind == 'v' || table.kind == 'm'))
      what = "it is a view, whose changes are not in the log";
    else if ((table.kind == 'r' || table.kind == 'p') && d.columns.empty())
      what = "it has no column that the change stream carries";
    if (what != nullptr)
      add(d.full_name(), std::string{what} + ": left out",
          table.persistence == 'u'
            ? "ALTER TABLE " + quote_name(d.schema, d.name) + " SET LOGGED"
          : table.kind == 'r' || table.kind == 'p'
            ? "it is taken in when it gets one; or exclude it (source.exclude)"
            : "follow the tables behind it, or exclude it (source.exclude)",
          true);
  }

  bool is_newcomer(const catalogue_table& table) const {
    const auto& d = table.description;
    return x_.slot.exists && !is_named(options_, d.schema, d.name)
           && !covers(x_.main, table) && !covers(x_.inserts, table);
  }

  static bool has_generated_key(const catalogue_table& table) {
    return std::any_of(table.generated.begin(), table.generated.end(),
                       [](const auto& x) { return x.key_position >= 0; });
  }

  void candidate(const catalogue_table& table) {
    const auto& d = table.description;
    auto subject = d.full_name();
    auto quoted = quote_name(d.schema, d.name);
    auto role = quote_name(x_.role);
    auto newcomer = is_newcomer(table);
    if (!table.readable)
      add(subject, "role " + x_.role + " may not read it",
          "GRANT USAGE ON SCHEMA " + quote_name(d.schema) + " TO " + role
            + "; GRANT SELECT ON " + quoted + " TO " + role,
          newcomer, ec::source_refused);
    if (table.row_security)
      add(subject,
          "row-level security hides rows from role " + x_.role
            + " that the change stream would bring",
          "ALTER ROLE " + role + " BYPASSRLS", newcomer);
    if (!table.generated.empty()) {
      std::string names;
      for (const auto& column : table.generated)
        names += (names.empty() ? "" : ", ") + column.name;
      if (has_generated_key(table))
        add(subject,
            "its key has a generated column (" + names
              + "), which the change stream does not carry",
            "ALTER TABLE " + quoted
              + " REPLICA IDENTITY USING INDEX another_unique_index, or "
                "exclude it (source.exclude)",
            newcomer);
      else
        add(subject,
            "generated columns are not in the change stream: left out (" + names
              + ")",
            "compute them in the target, by a view or a MATERIALIZED column",
            true);
    }
    // In a publication that publishes its updates it is worse than that.
    if (!has_identity(table) && !covers(x_.main, table))
      add(subject,
          std::string{table.deferrable_key ? "its primary key is deferrable, "
                                             "which is no identity"
                      : table.partition_without_identity
                        ? "a partition of it has no key"
                        : "it has no key"}
            + ": inserts only; updates and deletes will be missing",
          std::string{table.deferrable_key ? "a primary key that is not "
                                             "deferrable"
                                           : "a primary key"}
            + ", or a unique index over NOT NULL columns and ALTER TABLE "
            + quoted + " REPLICA IDENTITY USING INDEX ...",
          true);
  }

  static std::string list(const std::vector<const catalogue_table*>& tables) {
    std::string result;
    for (const auto* x : tables) {
      result += result.empty() ? "" : ", ";
      // Of a partitioned table all is meant anyway.
      if (x->kind == 'r')
        result += "ONLY ";
      result += quote_name(x->description.schema, x->description.name);
    }
    return result;
  }

  static bool covers(const publication_state& p, const catalogue_table& x) {
    auto has = [&](auto oid) {
      return p.members.count(oid) != 0 || p.listed.count(oid) != 0;
    };
    return p.all_tables || has(x.description.oid)
           || std::any_of(x.ancestors.begin(), x.ancestors.end(), has);
  }

  /// Candidates with or without identity that neither publication has.
  std::vector<const catalogue_table*> uncovered(bool identity) const {
    std::vector<const catalogue_table*> result;
    for (const auto* table : x_.candidates)
      if (has_identity(*table) == identity && !covers(x_.main, *table)
          && (identity || !covers(x_.inserts, *table)))
        result.push_back(table);
    return result;
  }

  static bool all_owned(const std::vector<const catalogue_table*>& tables) {
    return std::all_of(tables.begin(), tables.end(),
                       [](const auto* x) { return x->owned; });
  }

  static std::string create(const std::string& name,
                            const std::vector<const catalogue_table*>& tables,
                            const char* publish) {
    return "CREATE PUBLICATION " + quote_name(name)
           + (tables.empty() ? "" : " FOR TABLE " + list(tables))
           + " WITH (publish = '" + publish
           + "', publish_via_partition_root = true)";
  }

  void make(std::string sql, std::string without_tables) {
    x_.statements.push_back(std::move(sql));
    x_.without_tables.push_back(std::move(without_tables));
  }

  /// Adds the tables, or says who can.
  void extend(const publication_state& p,
              const std::vector<const catalogue_table*>& tables) {
    for (const auto* table : tables) {
      const auto& d = table->description;
      auto sql = "ALTER PUBLICATION " + quote_name(p.name) + " ADD TABLE "
                 + list({table});
      if (p.owned && table->owned)
        x_.statements.push_back(std::move(sql));
      else
        add(d.full_name(),
            "publication \"" + p.name + "\" does not have it, and role "
              + x_.role + " may not add it: not followed",
            "as owner of both: " + sql, !is_named(options_, d.schema, d.name));
    }
  }

  void main_publication() {
    constexpr const char* all = "insert, update, delete, truncate";
    const auto& p = x_.main;
    auto subject = "publication \"" + options_.publication + "\"";
    auto tables = uncovered(true);
    if (x_.inserts.name.size() > max_name)
      add(subject, "the name is too long",
          "use at most 55 bytes (source.publication)", false,
          ec::invalid_configuration);
    if (!p.exists) {
      auto sql = create(options_.publication, tables, all);
      if (x_.slot.exists && x_.slot.plugin == "pgoutput")
        add(subject,
            "it does not exist, but slot \"" + options_.slot
              + "\" does: changes of before cannot be read with a publication "
                "of now",
            sql + "; then " + take_all_again(options_.slot));
      else if (!x_.may_create || !all_owned(tables))
        add(subject,
            "it does not exist, and role " + x_.role + " may not create it",
            "as a superuser, or as owner of the tables: " + sql, false,
            ec::source_refused);
      else
        make(std::move(sql), create(options_.publication, {}, all));
      return;
    }
    if (!p.inserts || !p.updates || !p.deletes || !p.truncates) {
      std::string lacking;
      for (auto [has, name] :
           {std::pair{p.inserts, "inserts"}, std::pair{p.updates, "updates"},
            std::pair{p.deletes, "deletes"},
            std::pair{p.truncates, "truncates"}})
        if (!has)
          lacking += (lacking.empty() ? "" : ", ") + std::string{name};
      add(subject, "it does not publish " + lacking,
          "ALTER PUBLICATION " + quote_name(p.name) + " SET (publish = '" + all
            + "')",
          lacking == "truncates");
    }
    if (p.updates || p.deletes)
      refused_writes(p);
    extend(p, tables);
  }

  /// PostgreSQL refuses updates and deletes of published tables that it could
  /// not describe: the application's own.
  void refused_writes(const publication_state& p) {
    for (const auto& table : x_.tables) {
      const auto& d = table.description;
      if (p.members.count(d.oid) == 0)
        continue;
      auto quoted = quote_name(d.schema, d.name);
      if (!has_identity(table))
        refused(p, table, "it has no identity",
                "ALTER TABLE " + quoted + " ADD PRIMARY KEY (...)"
                  + (p.all_tables
                       ? std::string{}
                       : ", or ALTER PUBLICATION " + quote_name(p.name)
                           + " DROP TABLE " + quoted));
      else if (p.listed.count(d.oid) != 0)
        hidden_identity(p, table);
    }
  }

  /// Column lists must have the whole identity, row filters nothing else.
  void
  hidden_identity(const publication_state& p, const catalogue_table& table) {
    const auto& d = table.description;
    const auto& listing = p.listed.at(d.oid);
    const auto& published = p.members.at(d.oid);
    auto has = [](const auto& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const auto& column : d.columns) {
      auto in_identity = d.full_old_rows || column.key_position >= 0;
      if (in_identity && listing.has_column_list
          && !has(published, column.name))
        refused(p, table,
                "its column list lacks \"" + column.name
                  + "\" of the replica identity",
                "add the column to the list (ALTER PUBLICATION "
                  + quote_name(p.name) + " SET TABLE ...)");
      if (!in_identity && has(listing.filter_columns, column.name))
        refused(p, table,
                "its row filter reads \"" + column.name
                  + "\", which is not in the replica identity",
                "ALTER TABLE " + quote_name(d.schema, d.name)
                  + " REPLICA IDENTITY FULL");
    }
  }

  void refused(const publication_state& p, const catalogue_table& table,
               const std::string& why, std::string remedy) {
    add(table.description.full_name(),
        "publication \"" + p.name + "\" publishes its updates and deletes, but "
          + why + ": PostgreSQL refuses the application's UPDATE and DELETE",
        std::move(remedy), !is_followed(options_, table, x_.tables));
  }

  void inserts_publication() {
    const auto& p = x_.inserts;
    auto tables = uncovered(false);
    if (p.exists) {
      if (p.updates || p.deletes) {
        add("publication \"" + p.name + "\"",
            "it publishes updates or deletes of tables without identity",
            "ALTER PUBLICATION " + quote_name(p.name)
              + " SET (publish = 'insert, truncate')");
        return;
      }
      extend(p, tables);
      return;
    }
    // It must be older than the slot: it is made with it, even if it is empty.
    auto sql = create(p.name, tables, "insert, truncate");
    if (x_.main.all_tables)
      return;
    if (!x_.slot.exists && x_.may_create && all_owned(tables))
      make(std::move(sql), create(p.name, {}, "insert, truncate"));
    else if (!tables.empty())
      add("publication \"" + p.name + "\"",
          "it does not exist, so tables without key are not followed: "
            + list(tables),
          x_.slot.exists ? "give them a key; or " + sql + ", and "
                             + take_all_again(options_.slot)
                         : "as a superuser, or as owner of the tables: " + sql,
          true);
  }

  const source_options& options_;
  inspection& x_;
};

} // namespace

void find_problems(const source_options& options, inspection& x) {
  finder{options, x}.run();
}

} // namespace millrace::postgres
