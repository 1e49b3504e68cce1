#include "messages/table_shape.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>

namespace millrace {

namespace {

using column = table_shape::column;

std::string in_quotes(const std::string& x) {
  return '"' + x + '"';
}

template <class T>
const T* by_oid(const std::vector<T>& xs, uint32_t oid) {
  auto i = std::find_if(xs.begin(), xs.end(),
                        [oid](const auto& x) { return x.oid == oid; });
  return i != xs.end() ? &*i : nullptr;
}

const column* by_number(const table_shape& x, uint32_t number) {
  auto i = std::find_if(x.columns.begin(), x.columns.end(),
                        [=](const auto& y) { return y.number == number; });
  return i != x.columns.end() ? &*i : nullptr;
}

bool has_column(const table_shape& x, const std::string& name) {
  return std::any_of(x.columns.begin(), x.columns.end(),
                     [&](const auto& y) { return y.name == name; });
}

bool was_there(const table_shape& before, const std::string& name) {
  return has_column(before, name)
         || std::find(before.left.begin(), before.left.end(), name)
              != before.left.end();
}

// TRUNCATE, VACUUM FULL and CLUSTER do it too.
bool was_rewritten(const table_shape& before, const table_shape& now) {
  return std::any_of(now.heaps.begin(), now.heaps.end(), [&](const auto& x) {
    const auto* old = by_oid(before.heaps, x.oid);
    return old != nullptr && old->filenode != x.filenode;
  });
}

// One to the other neither changes a value nor the text that shows it.
bool is_plain_text(uint32_t type) {
  constexpr uint32_t text = 25;
  constexpr uint32_t varchar = 1043;
  return type == text || type == varchar;
}

std::string why_column_outdated(const column& x, const table_shape& before,
                                bool rewritten) {
  auto subject = "column " + in_quotes(x.name);
  const auto* old = by_number(before, x.number);
  if (old == nullptr) {
    if (x.generated)
      return {};
    if (was_there(before, x.name))
      return subject + " has been dropped and added again";
    if (x.missing || rewritten)
      return subject + " has been added with a value for rows from before";
    return {};
  }
  if (old->name != x.name)
    return "column " + in_quotes(old->name) + " has been renamed to "
           + in_quotes(x.name) + "; the target's column " + in_quotes(old->name)
           + " stays and is not written any more";
  if (old->generated != x.generated)
    return subject + " is generated no more, or was not before";
  if (old->type != x.type
      && !(is_plain_text(old->type) && is_plain_text(x.type) && !rewritten))
    return subject + " has another type";
  if (rewritten && old->modifier != x.modifier)
    return subject + " has another type";
  // ALTER COLUMN ... TYPE ... USING may leave the type as it is.
  if (rewritten && old->changed != x.changed)
    return subject + " has been altered and the table rewritten";
  return {};
}

std::string
why_heaps_outdated(const table_shape& before, const table_shape& now) {
  for (const auto& x : before.heaps)
    if (by_oid(now.heaps, x.oid) == nullptr)
      return "a partition has been detached or dropped";
  return {};
}

} // namespace

std::string why_outdated(const table_shape& before, const table_shape& now) {
  if (!before.is_known() || !now.is_known())
    return {};
  auto rewritten = was_rewritten(before, now);
  for (const auto& x : now.columns)
    if (auto why = why_column_outdated(x, before, rewritten); !why.empty())
      return why;
  for (const auto& x : now.labels) {
    const auto* old = by_oid(before.labels, x.oid);
    if (old != nullptr && (old->text != x.text || old->changed != x.changed))
      return "the enum label '" + old->text + "' has been renamed to '" + x.text
             + "'";
  }
  if (before.membership != now.membership)
    return "the publication lists it anew, changes in between are not in the "
           "stream";
  return why_heaps_outdated(before, now);
}

std::vector<uint32_t>
added_heaps(const table_shape& before, const table_shape& now) {
  std::vector<uint32_t> result;
  if (!before.is_known())
    return result;
  for (const auto& x : now.heaps)
    if (by_oid(before.heaps, x.oid) == nullptr)
      result.push_back(x.oid);
  return result;
}

std::string columns_stamp(const table_shape& x) {
  std::string result;
  for (const auto& c : x.columns)
    result += (result.empty() ? "" : ",") + std::to_string(c.number) + ':'
              + std::to_string(c.changed);
  return result;
}

table_shape successor(const table_shape& before, table_shape now) {
  now.left = before.left;
  for (const auto& x : before.columns)
    now.left.push_back(x.name);
  std::sort(now.left.begin(), now.left.end());
  now.left.erase(std::unique(now.left.begin(), now.left.end()), now.left.end());
  std::erase_if(now.left,
                [&](const auto& name) { return has_column(now, name); });
  return now;
}

boost::json::object to_object(const table_shape& x) {
  boost::json::array columns;
  for (const auto& c : x.columns)
    columns.push_back(boost::json::array{c.number, c.name, c.type, c.modifier,
                                         c.changed, c.generated, c.missing});
  boost::json::array left;
  for (const auto& name : x.left)
    left.push_back(boost::json::value(name));
  boost::json::array labels;
  for (const auto& l : x.labels)
    labels.push_back(boost::json::array{l.oid, l.changed, l.text});
  boost::json::array heaps;
  for (const auto& h : x.heaps)
    heaps.push_back(boost::json::array{h.oid, h.filenode});
  return {{"columns", std::move(columns)}, {"left", std::move(left)},
          {"labels", std::move(labels)},   {"heaps", std::move(heaps)},
          {"membership", x.membership},    {"edits", x.edits}};
}

table_shape shape_of(const boost::json::object& x) {
  auto text = [](const boost::json::value& y) {
    return std::string{std::string_view{y.as_string()}};
  };
  auto number
    = [](const boost::json::value& y) { return y.to_number<uint32_t>(); };
  table_shape result;
  for (const auto& y : x.at("columns").as_array()) {
    const auto& c = y.as_array();
    result.columns.push_back({number(c.at(0)), text(c.at(1)), number(c.at(2)),
                              c.at(3).to_number<int32_t>(), number(c.at(4)),
                              c.at(5).as_bool(), c.at(6).as_bool()});
  }
  for (const auto& y : x.at("left").as_array())
    result.left.push_back(text(y));
  for (const auto& y : x.at("labels").as_array()) {
    const auto& l = y.as_array();
    result.labels.push_back({number(l.at(0)), number(l.at(1)), text(l.at(2))});
  }
  for (const auto& y : x.at("heaps").as_array())
    result.heaps.push_back(
      {number(y.as_array().at(0)), number(y.as_array().at(1)), false});
  result.membership = text(x.at("membership"));
  result.edits = x.at("edits").to_number<uint64_t>();
  return result;
}

} // namespace millrace
