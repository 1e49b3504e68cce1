#include "clickhouse/ddl.hpp"

#include "clickhouse/names.hpp"

namespace millrace::clickhouse::ddl {

namespace {

std::string on_cluster(const target_options& options) {
  return options.cluster.empty() ? ""
                                 : " ON CLUSTER " + quote_name(options.cluster);
}

std::string comment_clause(std::string_view text) {
  return text.empty() ? "" : " COMMENT " + quote_literal(text);
}

/// The user's engine with the columns of ours as its last arguments.
std::string
engine_clause(const target_options& options, std::string_view columns) {
  std::string out = "ENGINE = " + options.engine;
  while (!out.empty() && out.back() == ' ')
    out.pop_back();
  if (out.back() != ')')
    return out + '(' + std::string{columns} + ')';
  out.pop_back();
  if (out.back() != '(')
    out += ", ";
  return out + std::string{columns} + ')';
}

std::string settings_clause(const target_options& options, bool array_key) {
  std::string out;
  auto add = [&out](const char* x) {
    out += out.empty() ? " SETTINGS " : ", ";
    out += x;
  };
  if (options.fsync) {
    add("fsync_after_insert = 1");
    add("fsync_part_directory = 1");
    add("min_rows_to_fsync_after_merge = 1");
  }
  if (array_key)
    add("allow_nullable_key = 1");
  // Equal blocks are different changes; newer servers have a setting of their
  // own for it, which wins over insert_deduplicate.
  if (options.is_replicated())
    add("replicated_deduplication_window = 0");
  return out;
}

std::string table_name(const target_options& options, std::string_view name) {
  return quote_name(options.database, name) + on_cluster(options);
}

std::string definition(const target_column& x) {
  return quote_name(x.name) + ' ' + x.type + comment_clause(x.comment);
}

std::string definition(const added_column& x) {
  auto out = quote_name(x.name) + ' ' + x.type;
  if (!x.expression.empty())
    out += ' ' + x.expression;
  return out + comment_clause(x.comment);
}

std::string
create(const target_options& options, std::string_view name,
       const std::string& columns, std::string_view engine,
       const std::string& order_by, bool array_key, std::string_view comment) {
  return "CREATE TABLE IF NOT EXISTS " + table_name(options, name) + "\n("
         + columns + "\n)\n" + engine_clause(options, engine) + "\nORDER BY ("
         + order_by + ')' + settings_clause(options, array_key)
         + comment_clause(comment);
}

} // namespace

std::vector<added_column> added_columns(const target_table& x) {
  std::vector<added_column> out;
  if (x.source->identity == table_identity::full_row) {
    out.push_back({"_row_hash", "UInt128", "", "hash of the row's text"});
    out.push_back({"_row_number", "UInt64", "", "the n-th of equal rows"});
  }
  out.push_back({"_version", "UInt128", "",
                 "commit LSN << 64 | LSN of the change; the largest counts"});
  out.push_back({"_deleted", "UInt8", "", "1: the row has been deleted"});
  out.push_back(
    {"_committed_at", "DateTime64(6, 'UTC')", "", "when the source committed"});
  out.push_back({"_lsn", "UInt64",
                 "ALIAS toUInt64(bitShiftRight(_version, 64))",
                 "commit LSN as a number"});
  return out;
}

std::vector<target_column> key_columns(const target_table& x) {
  std::vector<target_column> out;
  if (x.source->identity == table_identity::key) {
    for (auto i : x.order_by)
      out.push_back(x.columns[i]);
    return out;
  }
  auto add = [&out](const char* name, const char* type) {
    target_column column;
    column.name = name;
    column.type = type;
    column.key = true;
    out.push_back(std::move(column));
  };
  if (x.source->identity == table_identity::full_row) {
    add("_row_hash", "UInt128");
    add("_row_number", "UInt64");
  } else {
    add("_version", "UInt128");
  }
  return out;
}

std::vector<std::string> key_names(const target_table& x) {
  std::vector<std::string> out;
  for (auto& column : key_columns(x))
    out.push_back(column.name);
  return out;
}

std::string create_database(const target_options& options) {
  return "CREATE DATABASE IF NOT EXISTS " + quote_name(options.database)
         + on_cluster(options);
}

std::string create_table(const target_options& options, const target_table& x) {
  std::string columns;
  auto add = [&columns](const std::string& text) {
    columns += columns.empty() ? "\n  " : ",\n  ";
    columns += text;
  };
  for (auto& column : x.columns)
    add(definition(column));
  for (auto& column : added_columns(x))
    add(definition(column));
  std::string order_by;
  auto array_key = false;
  for (auto& column : key_columns(x)) {
    order_by += order_by.empty() ? "" : ", ";
    order_by += quote_name(column.name);
    array_key = array_key || column.type.substr(0, 6) == "Array(";
  }
  return create(options, x.name, columns, "_version, _deleted", order_by,
                array_key, x.source->comment);
}

std::string create_state_table(const target_options& options) {
  return create(options, state_table,
                "\n  pipeline String,\n  kind String,\n  name String,"
                "\n  value String,\n  version UInt64",
                "version", "pipeline, kind, name", false,
                "what millrace knows of its pipelines");
}

std::string create_dead_letter_table(const target_options& options) {
  // A letter that comes again has revision 0 too; one that was replayed or
  // dropped by the user has a higher one and stays so.
  return create(options, dead_letter_table,
                "\n  pipeline String,"
                "\n  `table` String COMMENT 'in the source',"
                "\n  op LowCardinality(String),"
                "\n  position String COMMENT 'commit LSN',"
                "\n  version UInt128,"
                "\n  committed_at DateTime64(6, 'UTC'),"
                "\n  key String COMMENT 'as JSON',"
                "\n  event String COMMENT 'as JSON, values as text',"
                "\n  error String,"
                "\n  time DateTime64(6, 'UTC') COMMENT 'when it was refused',"
                "\n  resolution LowCardinality(String),"
                "\n  revision UInt64,"
                "\n  resolved UInt8",
                "revision, resolved", "pipeline, `table`, version, key", false,
                "changes that could not be written");
}

std::string add_column(const target_options& options, const target_table& table,
                       const target_column& x, std::string_view after) {
  auto out = "ALTER TABLE " + table_name(options, table.name)
             + " ADD COLUMN IF NOT EXISTS " + definition(x);
  if (!after.empty())
    out += " AFTER " + quote_name(after);
  return out;
}

std::string add_column(const target_options& options, const target_table& table,
                       const added_column& x) {
  return "ALTER TABLE " + table_name(options, table.name)
         + " ADD COLUMN IF NOT EXISTS " + definition(x);
}

std::string modify_column(const target_options& options,
                          const target_table& table, const target_column& x) {
  return "ALTER TABLE " + table_name(options, table.name) + " MODIFY COLUMN "
         + quote_name(x.name) + ' ' + x.type;
}

std::string
clear_statement(const target_options& options, const target_table& x,
                version below, version at, int64_t committed_at) {
  auto by_version = x.source->identity == table_identity::append_only;
  std::string names;
  for (auto& name : key_names(x))
    if (name != "_version")
      names += quote_name(name) + ", ";
  auto from = quote_name(options.database, x.name);
  // Where the version is the key, a row's tombstone has the row's version; of
  // equal versions the later insert counts.
  return "INSERT INTO " + from + " (" + names
         + "_version, _deleted, _committed_at) SELECT " + names
         + (by_version ? "_version" : version_literal(at))
         + ", 1, fromUnixTimestamp64Micro(toInt64("
         + std::to_string(committed_at) + "), 'UTC') FROM " + from
         + " FINAL WHERE _version < " + version_literal(below);
}

std::string version_literal(const version& x) {
  return "bitOr(bitShiftLeft(toUInt128(" + std::to_string(x.major)
         + "), 64), toUInt128(" + std::to_string(x.minor) + "))";
}

std::string
sync_statement(const target_options& options, const target_table& x) {
  return "SYSTEM SYNC REPLICA " + quote_name(options.database, x.name);
}

std::string merge_statement(const target_options& options,
                            const target_table& x, std::string_view partition) {
  return "OPTIMIZE TABLE " + quote_name(options.database, x.name)
         + " PARTITION ID " + quote_literal(partition)
         + " FINAL SETTINGS optimize_throw_if_noop = 1";
}

std::string old_tombstones(version below) {
  return "_deleted AND _version < " + version_literal(below);
}

std::string
remove_statement(const target_options& options, const target_table& x,
                 std::string_view partition, version below) {
  return "ALTER TABLE " + quote_name(options.database, x.name)
         + " DELETE IN PARTITION ID " + quote_literal(partition) + " WHERE "
         + old_tombstones(below);
}

std::string
insert_statement(const target_options& options, const target_table& x) {
  auto out = "INSERT INTO " + quote_name(options.database, x.name) + " (";
  for (auto& column : x.columns)
    out += quote_name(column.name) + ", ";
  if (x.source->identity == table_identity::full_row)
    out += "`_row_hash`, `_row_number`, ";
  return out + "`_version`, `_deleted`, `_committed_at`) FORMAT Native";
}

} // namespace millrace::clickhouse::ddl
