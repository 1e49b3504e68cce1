#define CAF_SUITE ddl

#include "clickhouse/ddl.hpp"
#include "clickhouse/names.hpp"
#include "fake_tables.hpp"
#include "has.hpp"

#include <caf/test/dsl.hpp>

using namespace millrace;
using namespace millrace::clickhouse;
using test::has;
using test::make_target;

namespace {

target_options plain() {
  target_options out;
  out.database = "shop";
  return out;
}

} // namespace

CAF_TEST(a table is made with the columns of source and millrace) {
  auto source = make_target("orders",
                            {{"id", "Int64"},
                             {"note", "Nullable(String)"},
                             {"state", "LowCardinality(String)"}},
                            1);
  auto table = *source;
  table.columns[1].comment = "it's a \\ note";
  auto description = *table.source;
  description.comment = "all orders";
  table.source = std::make_shared<table_description>(description);
  CAF_CHECK_EQUAL(
    ddl::create_table(plain(), table),
    "CREATE TABLE IF NOT EXISTS `shop`.`orders`\n"
    "(\n"
    "  `id` Int64,\n"
    "  `note` Nullable(String) COMMENT 'it\\'s a \\\\ note',\n"
    "  `state` LowCardinality(String),\n"
    "  `_version` UInt128 COMMENT 'commit LSN << 64 | LSN of the change; the "
    "largest counts',\n"
    "  `_deleted` UInt8 COMMENT '1: the row has been deleted',\n"
    "  `_committed_at` DateTime64(6, 'UTC') COMMENT 'when the source "
    "committed',\n"
    "  `_lsn` UInt64 ALIAS toUInt64(bitShiftRight(_version, 64)) COMMENT "
    "'commit LSN as a number'\n"
    ")\n"
    "ENGINE = ReplacingMergeTree(_version, _deleted)\n"
    "ORDER BY (`id`) SETTINGS fsync_after_insert = 1, fsync_part_directory = "
    "1, min_rows_to_fsync_after_merge = 1 COMMENT 'all orders'");
}

CAF_TEST(names keep every byte) {
  CAF_CHECK_EQUAL(quote_name("a`b\\c\"d'e.f"), "`a\\`b\\\\c\"d'e.f`");
  CAF_CHECK_EQUAL(quote_literal(std::string_view("a'\\\0b", 5)),
                  "'a\\'\\\\\\0b'");
  auto table = make_target("t`", {{"k`", "Int64"}}, 1);
  CAF_CHECK_EQUAL(ddl::insert_statement(plain(), *table),
                  "INSERT INTO `shop`.`t\\`` (`k\\``, `_version`, `_deleted`, "
                  "`_committed_at`) FORMAT Native");
}

CAF_TEST(the order of the key is the order of the table) {
  auto table = *make_target("t", {{"a", "Int64"}, {"b", "String"}}, 2);
  table.order_by = {1, 0};
  CAF_CHECK(has(ddl::create_table(plain(), table), "ORDER BY (`b`, `a`)"));
}

CAF_TEST(durability of a process costs no fsync) {
  auto options = plain();
  options.fsync = false;
  auto table = make_target("t", {{"a", "Int64"}}, 1);
  auto sql = ddl::create_table(options, *table);
  CAF_CHECK(sql.find("fsync") == std::string::npos);
  CAF_CHECK(sql.find("SETTINGS") == std::string::npos);
}

CAF_TEST(array keys need a setting) {
  auto table = make_target("t", {{"a", "Array(Nullable(Int32))"}}, 1);
  CAF_CHECK(has(ddl::create_table(plain(), *table), "allow_nullable_key = 1"));
}

CAF_TEST(tables without key are ordered by what millrace adds) {
  auto appended
    = make_target("t", {{"a", "Int64"}}, 0, table_identity::append_only);
  CAF_CHECK(
    has(ddl::create_table(plain(), *appended), "ORDER BY (`_version`)"));
  auto rows = make_target("t", {{"a", "Int64"}}, 0, table_identity::full_row);
  auto sql = ddl::create_table(plain(), *rows);
  CAF_CHECK(has(sql, "`_row_hash` UInt128"));
  CAF_CHECK(has(sql, "ORDER BY (`_row_hash`, `_row_number`)"));
}

CAF_TEST(replicated tables are made on the cluster) {
  auto options = plain();
  options.cluster = "main";
  options.engine = "ReplicatedReplacingMergeTree";
  auto table = make_target("t", {{"a", "Int64"}, {"b", "String"}}, 1);
  auto sql = ddl::create_table(options, *table);
  CAF_CHECK(has(sql, "EXISTS `shop`.`t` ON CLUSTER `main`\n("));
  CAF_CHECK(
    has(sql, "ENGINE = ReplicatedReplacingMergeTree(_version, _deleted)"));
  CAF_CHECK(has(sql, "replicated_deduplication_window = 0"));
  options.engine = "ReplicatedReplacingMergeTree('/t/{shard}/{table}', '{r}')";
  CAF_CHECK(has(ddl::create_table(options, *table),
                "ReplicatedReplacingMergeTree('/t/{shard}/{table}', '{r}', "
                "_version, _deleted)"));
  options.engine = "ReplicatedReplacingMergeTree()";
  CAF_CHECK(has(ddl::create_state_table(options),
                "ReplicatedReplacingMergeTree(version)"));
  CAF_CHECK_EQUAL(ddl::create_database(options),
                  "CREATE DATABASE IF NOT EXISTS `shop` ON CLUSTER `main`");
  CAF_CHECK_EQUAL(
    ddl::add_column(options, *table, table->columns[1], "a"),
    "ALTER TABLE `shop`.`t` ON CLUSTER `main` ADD COLUMN IF NOT EXISTS `b` "
    "String AFTER `a`");
  CAF_CHECK_EQUAL(ddl::modify_column(options, *table, table->columns[1]),
                  "ALTER TABLE `shop`.`t` ON CLUSTER `main` MODIFY COLUMN `b` "
                  "String");
}

CAF_TEST(all that is made is made on the cluster) {
  auto options = plain();
  options.cluster = "main";
  options.engine = "ReplicatedReplacingMergeTree('/t/{shard}/{table}', '{r}')";
  auto table = make_target("t", {{"a", "Int64"}, {"b", "String"}}, 1);
  auto letters = ddl::create_dead_letter_table(options);
  CAF_CHECK(has(letters, "EXISTS `shop`.`_dead_letters` ON CLUSTER `main`\n("));
  CAF_CHECK(has(letters, "ReplicatedReplacingMergeTree('/t/{shard}/{table}', "
                         "'{r}', revision, resolved)"));
  auto state = ddl::create_state_table(options);
  CAF_CHECK(has(state, "EXISTS `shop`.`_millrace_state` ON CLUSTER `main`\n("));
  CAF_CHECK(has(state, "ReplicatedReplacingMergeTree('/t/{shard}/{table}', "
                       "'{r}', version)"));
  for (const auto& sql : {letters, state})
    CAF_CHECK(has(sql, "replicated_deduplication_window = 0"));
  CAF_CHECK_EQUAL(
    ddl::add_column(options, *table, ddl::added_columns(*table)[1]),
    "ALTER TABLE `shop`.`t` ON CLUSTER `main` ADD COLUMN IF NOT EXISTS "
    "`_deleted` UInt8 COMMENT '1: the row has been deleted'");
}

CAF_TEST(what changes rows runs on one server) {
  // A replicated table tells its replicas itself; ON CLUSTER would have each
  // of them do it again, within the time that such statements have.
  auto options = plain();
  options.cluster = "main";
  options.engine = "ReplicatedReplacingMergeTree('/t/{shard}/{table}', '{r}')";
  auto table = make_target("t`", {{"a", "Int64"}, {"b", "String"}}, 1);
  CAF_CHECK_EQUAL(ddl::insert_statement(options, *table),
                  "INSERT INTO `shop`.`t\\`` (`a`, `b`, `_version`, "
                  "`_deleted`, `_committed_at`) FORMAT Native");
  CAF_CHECK_EQUAL(
    ddl::clear_statement(options, *table, {9, 1}, {8, 2}, 77),
    "INSERT INTO `shop`.`t\\`` (`a`, _version, _deleted, _committed_at) SELECT "
    "`a`, bitOr(bitShiftLeft(toUInt128(8), 64), toUInt128(2)), 1, "
    "fromUnixTimestamp64Micro(toInt64(77), 'UTC') FROM `shop`.`t\\`` FINAL "
    "WHERE _version < bitOr(bitShiftLeft(toUInt128(9), 64), toUInt128(1))");
  CAF_CHECK_EQUAL(ddl::sync_statement(options, *table),
                  "SYSTEM SYNC REPLICA `shop`.`t\\``");
  CAF_CHECK_EQUAL(ddl::merge_statement(options, *table, "2'6"),
                  "OPTIMIZE TABLE `shop`.`t\\`` PARTITION ID '2\\'6' FINAL "
                  "SETTINGS optimize_throw_if_noop = 1");
  CAF_CHECK_EQUAL(
    ddl::remove_statement(options, *table, "all", {9, 0}),
    "ALTER TABLE `shop`.`t\\`` DELETE IN PARTITION ID 'all' WHERE _deleted AND "
    "_version < bitOr(bitShiftLeft(toUInt128(9), 64), toUInt128(0))");
}

CAF_TEST(rows whose version is their key are cleared under it) {
  auto table
    = make_target("t", {{"a", "Int64"}}, 0, table_identity::append_only);
  CAF_CHECK(has(ddl::clear_statement(plain(), *table, {9, 1}, {9, 1}, 77),
                "(_version, _deleted, _committed_at) SELECT _version, 1, "));
}
