#include "transform/mapping.hpp"

#include "transform/names.hpp"
#include "transform/type_choice.hpp"

#include <algorithm>
#include <set>

namespace millrace::transform {

namespace {

std::string in_quotes(std::string_view x) {
  return "\"" + std::string{x} + "\"";
}

/// `[target] columns` entry that the user could write.
std::string
column_remedy(const std::string& source, const char* entry, const char* value) {
  return "[target] columns = [ { column = " + in_quotes(source) + ", " + entry
         + " = " + in_quotes(value) + " } ]";
}

/// Maps one table; collects everything that cannot be.
class mapper {
public:
  mapper(table_description_ptr table, const mapping_options& options)
    : source_(std::move(table)), options_(options),
      full_name_(source_->full_name()) {
    auto own = options.null_as_default_of.find(full_name_);
    null_as_default_ = own != options.null_as_default_of.end()
                         ? own->second
                         : options.null_as_default;
  }

  result<target_table_ptr> run() {
    result_->source = source_;
    map_name();
    for (uint32_t i = 0; i < source_->columns.size(); ++i)
      map_column(i);
    map_key();
    if (problems_.empty())
      return target_table_ptr{std::move(result_)};
    std::string text = "table " + full_name_ + " cannot be mapped: ";
    for (const auto& problem : problems_)
      text += (&problem == problems_.data() ? "" : "; ") + problem;
    return fail(ec::table_unsuitable, std::move(text));
  }

private:
  void map_name() {
    auto users = options_.table_names.find(full_name_);
    auto& name = result_->name;
    name = users != options_.table_names.end()
             ? users->second
             : default_table_name(source_->schema, source_->name);
    auto remedy = ": name the target table by [target] names = [ { table = "
                  + in_quotes(full_name_) + ", name = \"...\" } ]";
    if (name.empty())
      problem("the name of the target table is empty" + remedy);
    else if (is_own_table(name))
      problem("target table " + in_quotes(name) + " would be one of millrace's"
              + remedy);
    else if (escaped_size(name) > max_table_name(options_.database))
      problem("target table " + in_quotes(name) + " has "
              + std::to_string(escaped_size(name))
              + " bytes as a file name, database "
              + in_quotes(options_.database) + " allows "
              + std::to_string(max_table_name(options_.database)) + remedy);
  }

  void map_column(uint32_t index) {
    const auto& column = source_->columns[index];
    auto source = full_name_ + "." + column.name;
    mapping_options::column_choice choice;
    if (auto i = options_.columns.find(source); i != options_.columns.end())
      choice = i->second;
    target_column target;
    target.source = index;
    target.key
      = column.key_position >= 0 && source_->identity == table_identity::key;
    target.refuse_out_of_range = options_.refuse_out_of_range;
    target.comment = column.comment;
    target.name
      = choice.name.empty() ? default_column_name(column.name) : choice.name;
    check_name(target.name, source);
    bool nullable = column.nullable && !null_as_default_ && !target.key;
    auto type = choose_type(column.type, choice.type, nullable);
    if (!type)
      problem("column " + in_quotes(column.name) + ": " + type.error().text);
    else if (target.key)
      check_key_type(*type, source);
    if (type)
      target.type = to_string(*type);
    result_->columns.push_back(std::move(target));
  }

  void check_name(const std::string& name, const std::string& source) {
    auto remedy = ": name it by " + column_remedy(source, "name", "...");
    if (is_added_column(name))
      problem("column " + in_quotes(name) + " has a name that millrace uses"
              + remedy);
    else if (is_virtual_column(name))
      problem("column " + in_quotes(name) + " has a name that ClickHouse uses"
              + remedy);
    else if (name.find('.') != std::string::npos)
      problem("column " + in_quotes(name)
              + " has a dot, which ClickHouse takes for Nested" + remedy);
    // File names of columns have up to 30 bytes around the column's name.
    else if (escaped_size(name) > 220)
      problem("column " + in_quotes(name) + " is too long as a file name"
              + remedy);
    else if (!names_.insert(name).second)
      problem("two columns would be named " + in_quotes(name) + remedy);
  }

  void check_key_type(const clickhouse_type& type, const std::string& source) {
    if (is_nullable(type))
      problem("key column " + in_quotes(source) + " cannot be "
              + to_string(type) + ": name the type without Nullable");
    else if (bare(type).family == type_family::json)
      problem("key column " + in_quotes(source) + " cannot be "
              + to_string(type) + ": "
              + column_remedy(source, "type", "String"));
  }

  void map_key() {
    switch (source_->identity) {
      case table_identity::append_only:
        return;
      case table_identity::full_row:
        problem("it has no key and REPLICA IDENTITY FULL, which this version "
                "cannot follow: give it a primary key, or a unique index over "
                "NOT NULL columns with ALTER TABLE ... REPLICA IDENTITY USING "
                "INDEX, or leave it out");
        return;
      case table_identity::key:
        break;
    }
    result_->order_by = source_->key_columns();
    if (result_->order_by.empty())
      problem("none of the columns that the stream carries is in the key: "
              "publish the key columns");
  }

  void problem(std::string text) {
    problems_.push_back(std::move(text));
  }

  table_description_ptr source_;
  const mapping_options& options_;
  std::string full_name_;
  bool null_as_default_ = false;
  std::shared_ptr<target_table> result_ = std::make_shared<target_table>();
  std::set<std::string> names_;
  std::vector<std::string> problems_;
};

} // namespace

result<target_table_ptr>
map_table(table_description_ptr table, const mapping_options& options) {
  return mapper{std::move(table), options}.run();
}

std::vector<std::string>
name_clashes(const std::vector<target_table_ptr>& tables) {
  std::map<std::string, std::vector<std::string>> sources;
  for (const auto& table : tables)
    sources[table->name].push_back(table->source->full_name());
  std::vector<std::string> result;
  for (const auto& [name, names] : sources) {
    if (names.size() < 2)
      continue;
    std::string line;
    for (const auto& x : names)
      line += (line.empty() ? "" : " and ") + x;
    result.push_back(line + " would meet in target table " + in_quotes(name)
                     + ": give one of them another by [target] names = [ { "
                       "table = "
                     + in_quotes(names.back()) + ", name = \"...\" } ]");
  }
  return result;
}

std::vector<std::string>
unused_choices(const std::vector<target_table_ptr>& tables,
               const mapping_options& options) {
  std::set<std::string> table_names;
  std::set<std::string> column_names;
  for (const auto& table : tables) {
    auto name = table->source->full_name();
    for (const auto& column : table->source->columns)
      column_names.insert(name + "." + column.name);
    table_names.insert(std::move(name));
  }
  std::vector<std::string> result;
  for (const auto& [name, _] : options.table_names)
    if (table_names.count(name) == 0)
      result.push_back("[target] names: there is no table " + in_quotes(name));
  for (const auto& [name, _] : options.null_as_default_of)
    if (table_names.count(name) == 0)
      result.push_back("[target] table-nulls: there is no table "
                       + in_quotes(name));
  for (const auto& [name, _] : options.columns)
    if (column_names.count(name) == 0)
      result.push_back("[target] columns: there is no column "
                       + in_quotes(name));
  return result;
}

} // namespace millrace::transform
