#include "messages/table_state.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include <algorithm>

namespace millrace {

namespace {

constexpr const char* phases[] = {"fresh", "snapshot", "streaming", "dropped"};

} // namespace

bool table_state::is_done(uint64_t chunk) const {
  return std::any_of(done.begin(), done.end(), [=](const auto& x) {
    return x.first <= chunk && chunk < x.second;
  });
}

void table_state::set_done(uint64_t chunk) {
  if (is_done(chunk))
    return;
  auto next = std::find_if(done.begin(), done.end(),
                           [=](const auto& x) { return x.first > chunk; });
  auto joins_next = next != done.end() && next->first == chunk + 1;
  auto joins_last = next != done.begin() && std::prev(next)->second == chunk;
  if (joins_next && joins_last) {
    std::prev(next)->second = next->second;
    done.erase(next);
  } else if (joins_next) {
    next->first = chunk;
  } else if (joins_last) {
    std::prev(next)->second = chunk + 1;
  } else {
    done.insert(next, {chunk, chunk + 1});
  }
}

uint64_t table_state::count_done() const {
  uint64_t result = 0;
  for (const auto& x : done)
    result += x.second - x.first;
  return result;
}

uint64_t table_state::count_chunks() const {
  uint64_t result = 0;
  for (const auto& x : parts)
    result += x.chunks;
  return result;
}

std::string to_json(const table_state& x) {
  boost::json::array parts;
  for (const auto& p : x.parts)
    parts.push_back(
      boost::json::array{p.partition, p.filenode, p.pages_per_chunk, p.chunks});
  boost::json::array done;
  for (const auto& [first, last] : x.done)
    done.push_back(boost::json::array{first, last});
  boost::json::object result{
    {"phase", phases[static_cast<size_t>(x.at)]},
    {"oid", x.oid},
    {"label", to_string(x.label)},
    {"fill_until", to_string(x.fill_until)},
    {"retake", x.retake},
    {"committed_at", x.committed_at},
    {"row_estimate", x.row_estimate},
    {"parts", std::move(parts)},
    {"done", std::move(done)},
  };
  if (!x.only.empty())
    result["only"] = boost::json::array(x.only.begin(), x.only.end());
  if (x.shape.is_known())
    result["shape"] = to_object(x.shape);
  return boost::json::serialize(result);
}

result<table_state> parse_table_state(const std::string& json) {
  table_state result;
  try {
    auto value = boost::json::parse(json);
    const auto& x = value.as_object();
    auto phase = std::find(std::begin(phases), std::end(phases),
                           std::string_view{x.at("phase").as_string()});
    auto label = parse_lsn(std::string_view{x.at("label").as_string()});
    auto until = parse_lsn(std::string_view{x.at("fill_until").as_string()});
    if (phase == std::end(phases) || !label || !until)
      return fail(ec::target_unsuitable, "unreadable table state: " + json);
    result.at = static_cast<table_state::phase>(phase - std::begin(phases));
    // States of an earlier version do not have it.
    if (const auto* oid = x.if_contains("oid"))
      result.oid = oid->to_number<uint32_t>();
    if (const auto* only = x.if_contains("only"))
      for (const auto& oid : only->as_array())
        result.only.push_back(oid.to_number<uint32_t>());
    if (const auto* shape = x.if_contains("shape"))
      result.shape = shape_of(shape->as_object());
    result.label = *label;
    result.fill_until = *until;
    result.retake = x.at("retake").as_bool();
    result.committed_at = x.at("committed_at").to_number<int64_t>();
    for (const auto& p : x.at("parts").as_array())
      result.parts.push_back({p.as_array().at(0).to_number<uint32_t>(),
                              p.as_array().at(1).to_number<uint32_t>(),
                              p.as_array().at(2).to_number<uint32_t>(),
                              p.as_array().at(3).to_number<uint64_t>()});
    result.row_estimate = x.at("row_estimate").to_number<uint64_t>();
    for (const auto& range : x.at("done").as_array())
      result.done.emplace_back(range.as_array().at(0).to_number<uint64_t>(),
                               range.as_array().at(1).to_number<uint64_t>());
  } catch (const std::exception& e) {
    return fail(ec::target_unsuitable,
                "unreadable table state: " + json + ": " + e.what());
  }
  return result;
}

} // namespace millrace
