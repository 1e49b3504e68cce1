#include "clickhouse/table_fit.hpp"

#include "clickhouse/ddl.hpp"
#include "clickhouse/table_text.hpp"
#include "transform/clickhouse_type.hpp"

#include <algorithm>
#include <string_view>

namespace millrace::clickhouse {

namespace {

using names = identifier_set;

std::string in_quotes(std::string_view x) {
  return '"' + std::string{x} + '"';
}

class comparison {
public:
  comparison(const target_options& options, const target_table& wanted,
             const existing_table& found)
    : options_(options), wanted_(wanted), found_(found) {
    for (auto& name : ddl::key_names(wanted))
      key_.insert(name);
  }

  table_fit run() {
    check_engine();
    check_keys();
    check_ttl();
    check_row_policies();
    std::string before;
    for (auto& column : wanted_.columns) {
      check_column(column, before);
      before = column.name;
    }
    for (auto& column : ddl::added_columns(wanted_))
      check_added(column);
    if (!out_.problems.empty())
      out_.statements.clear();
    return std::move(out_);
  }

private:
  void problem(std::string text) {
    out_.problems.push_back(std::move(text));
  }

  const existing_table::column* find(std::string_view name) const {
    auto i = std::find_if(found_.columns.begin(), found_.columns.end(),
                          [name](auto& x) { return x.name == name; });
    return i != found_.columns.end() ? &*i : nullptr;
  }

  void check_engine() {
    constexpr std::string_view engine = "ReplacingMergeTree";
    std::string_view name = found_.engine;
    auto known = name == engine || name == "Replicated" + std::string{engine}
                 || name == "Shared" + std::string{engine};
    if (!known || !has_version_arguments(found_.engine_full))
      problem("its engine is " + found_.engine_full.substr(0, 80)
              + ", wanted is ReplacingMergeTree(_version, _deleted)");
  }

  void check_keys() {
    names sorted;
    for (auto& x : elements(found_.sorting_key))
      sorted.insert(unquote(x));
    for (auto& name : key_)
      if (sorted.find(name) == sorted.end())
        problem("its ORDER BY (" + found_.sorting_key
                + ") lacks the key column " + in_quotes(name)
                + ": rows would replace each other");
    for (auto& x : found_.columns) {
      if (key_.find(x.name) != key_.end())
        continue;
      if (x.in_sorting_key)
        problem("its ORDER BY uses column " + in_quotes(x.name)
                + ", which is not in the key");
      if (x.in_partition_key)
        problem("its PARTITION BY uses column " + in_quotes(x.name)
                + ", which is not in the key: deleted rows would come back");
    }
  }

  void check_ttl() {
    auto used = identifiers(ttl_of(found_.engine_full));
    for (auto& x : found_.columns)
      if (key_.find(x.name) == key_.end() && used.find(x.name) != used.end())
        problem("its TTL uses column " + in_quotes(x.name)
                + ", which is not in the key: deleted rows would come back");
  }

  void check_row_policies() {
    for (auto& name : found_.row_policies)
      problem("the row policy " + in_quotes(name)
              + " hides rows of it: values and versions are looked up in it");
  }

  /// An expired value becomes a default, of the version and the mark of
  /// deleted rows too.
  void check_column_ttl(const existing_table::column& x) {
    if (!x.ttl.empty())
      problem("column " + in_quotes(x.name) + " has TTL " + x.ttl
              + ": its values would become defaults");
  }

  void check_column(const target_column& x, const std::string& before) {
    auto old = find(x.name);
    if (old == nullptr) {
      if (!x.key)
        out_.statements.push_back(
          ddl::add_column(options_, wanted_, x, before));
      else
        problem("it has no column " + in_quotes(x.name) + ' ' + x.type
                + ", which is in the key");
      return;
    }
    check_column_ttl(*old);
    if (!check_writable(*old))
      return;
    auto have = transform::parse_type(old->type);
    auto want = transform::parse_type(x.type);
    if (have && want && transform::fits(*have, *want))
      return;
    // What could be NULL once stays so.
    auto wanted = x;
    if (have && want && is_nullable(*have) && !is_nullable(*want)) {
      want = transform::make_nullable(*want);
      wanted.type = to_string(*want);
    }
    // ClickHouse cannot change the type of a column of ORDER BY.
    if (have && want && transform::widens(*have, *want) && !x.key) {
      out_.statements.push_back(ddl::modify_column(options_, wanted_, wanted));
      return;
    }
    problem("column " + in_quotes(x.name) + " is " + old->type + ", wanted is "
            + x.type);
  }

  void check_added(const ddl::added_column& x) {
    auto old = find(x.name);
    if (old == nullptr) {
      if (x.name == "_committed_at" || x.name == "_lsn")
        out_.statements.push_back(ddl::add_column(options_, wanted_, x));
      else
        problem("it has no column " + in_quotes(x.name) + ' ' + x.type);
      return;
    }
    check_column_ttl(*old);
    if (x.name == "_lsn" || !check_writable(*old))
      return;
    if (old->type != x.type)
      problem("column " + in_quotes(x.name) + " is " + old->type
              + ", wanted is " + x.type);
  }

  bool check_writable(const existing_table::column& x) {
    if (x.default_kind.empty() || x.default_kind == "DEFAULT")
      return true;
    problem("column " + in_quotes(x.name) + " is " + x.default_kind
            + " and cannot be written");
    return false;
  }

  const target_options& options_;
  const target_table& wanted_;
  const existing_table& found_;
  names key_;
  table_fit out_;
};

} // namespace

table_fit fit(const target_options& options, const target_table& wanted,
              const existing_table& found) {
  return comparison{options, wanted, found}.run();
}

} // namespace millrace::clickhouse
