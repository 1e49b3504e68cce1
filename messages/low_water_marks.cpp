#include "messages/low_water_marks.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace millrace {

bool low_water_marks::add(lsn position, int64_t now,
                          std::chrono::microseconds age) {
  constexpr auto marks_per_age = 16;
  if (position.value == 0)
    return false;
  // What was taken for lasting was not: the server went back behind it.
  auto lost = std::erase_if(marks_, [&](const mark& x) {
    return x.position > position;
  });
  auto known
    = !marks_.empty()
      && (marks_.back().position == position
          || (marks_.back().at <= now
              && now - marks_.back().at < age.count() / marks_per_age));
  if (known)
    return lost != 0;
  marks_.push_back({position, now});
  // Of those that are old enough the highest will do.
  while (marks_.size() > 1 && marks_[1].at <= now - age.count())
    marks_.erase(marks_.begin());
  return true;
}

lsn low_water_marks::settled(int64_t now, std::chrono::microseconds age) const {
  lsn result;
  for (const auto& x : marks_)
    if (x.at <= now - age.count())
      result = std::max(result, x.position);
  return result;
}

std::string to_json(const low_water_marks& x) {
  boost::json::array marks;
  for (const auto& mark : x.all())
    marks.push_back(boost::json::object{{"position", to_string(mark.position)},
                                        {"at", mark.at}});
  return boost::json::serialize(
    boost::json::object{{"marks", std::move(marks)}});
}

result<low_water_marks> parse_low_water_marks(const std::string& json) {
  try {
    low_water_marks result;
    auto value = boost::json::parse(json);
    for (const auto& x : value.as_object().at("marks").as_array()) {
      auto position
        = parse_lsn(std::string_view{x.as_object().at("position").as_string()});
      if (!position
          || (!result.marks_.empty()
              && *position <= result.marks_.back().position))
        return fail(ec::target_unsuitable, "unreadable positions: " + json);
      result.marks_.push_back(
        {*position, x.as_object().at("at").to_number<int64_t>()});
    }
    return result;
  } catch (const std::exception& e) {
    return fail(ec::target_unsuitable,
                "unreadable positions: " + json + ": " + e.what());
  }
}

} // namespace millrace
