#pragma once

#include "postgres/catalogue.hpp"
#include "postgres/source_admin.hpp"

#include <map>
#include <string>
#include <vector>

namespace millrace::postgres {

/// What a publication publishes, by OID: the columns that it names, none where
/// it has no list (15+).
using publication_members = std::map<uint32_t, std::vector<std::string>>;

/// A publication as it is now.
struct publication_state {
  std::string name;
  bool exists = false;
  bool all_tables = false;
  bool inserts = false;
  bool updates = false;
  bool deletes = false;
  bool truncates = false;
  bool owned = false;

  publication_members members;

  /// What it says of a table that it lists (15+: column list, row filter).
  struct listing {
    bool has_column_list = false;
    /// Columns that the row filter reads; only without column list.
    std::vector<std::string> filter_columns;
  };

  /// Tables that it lists, whether or not something of them is published.
  std::map<uint32_t, listing> listed;
};

struct slot_row {
  bool exists = false;
  std::string plugin;
  std::string database;
  std::string active_pid;
  std::string wal_status;
  lsn confirmed;
  uint64_t lag = 0;

  /// From where the log is read for it; zero: nothing is kept.
  lsn restart;
};

/// Everything about the source that set-up depends on.
struct inspection {
  int version = 0;
  bool in_recovery = false;
  bool may_create = false;
  std::string role;
  std::string database;
  std::string wal_level;
  int64_t slots_used = 0;
  int64_t slots_max = 0;
  publication_state main;
  publication_state inserts;
  slot_row slot;
  std::vector<catalogue_table> tables;

  /// Of `tables`: what the configuration asks for and can be followed.
  std::vector<const catalogue_table*> candidates;

  std::vector<std::string> missing;
  std::vector<problem> problems;

  /// Statements that would make the publications complete.
  std::vector<std::string> statements;

  /// In place of those that make publications: the same without tables.
  std::vector<std::string> without_tables;
};

/// Looks at everything; changes nothing.
result<inspection> inspect(PGconn* conn, const source_options& options);

/// Whether the configuration asks for the table or for one that it is part of.
bool is_followed(const source_options& options, const catalogue_table& x,
                 const std::vector<catalogue_table>& all);

/// Descriptions of the tables that are published and asked for.
std::vector<table_description_ptr>
followed(const inspection& x, const source_options& options);

/// The same, and behind them those that set-up would have to publish first.
std::vector<table_description_ptr>
to_follow(const inspection& x, const source_options& options);

/// Whether updates and deletes of the table can be published: whether they
/// would not be refused by the server.
bool has_identity(const catalogue_table& x);

/// Locks none of the tables.
result<publication_members>
read_members(PGconn* conn, const std::string& publication);

/// The slot as it is now.
result<slot_row> read_slot(PGconn* conn, const std::string& name);

/// Finds what is wrong and what is to be done; part of `inspect`.
void find_problems(const source_options& options, inspection& x);

} // namespace millrace::postgres
