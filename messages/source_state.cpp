#include "messages/source_state.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace millrace {

std::string to_json(const source_state& x) {
  return boost::json::serialize(boost::json::object{
    {"system_identifier", x.system_identifier},
    {"timeline", x.timeline},
    {"database", x.database},
    {"received", to_string(x.received)},
    {"confirmable", to_string(x.confirmable)},
  });
}

result<source_state> parse_source_state(const std::string& json) {
  try {
    auto value = boost::json::parse(json);
    const auto& x = value.as_object();
    source_state result;
    result.system_identifier = x.at("system_identifier").as_string();
    result.timeline = x.at("timeline").to_number<uint32_t>();
    result.database = x.at("database").as_string();
    auto position = [&](const char* name, lsn& to) {
      auto pos = parse_lsn(std::string_view{x.at(name).as_string()});
      to = pos.value_or(lsn{});
      return pos.has_value();
    };
    if (!position("received", result.received)
        || (x.contains("confirmable")
            && !position("confirmable", result.confirmable)))
      return fail(ec::target_unsuitable, "unreadable source state: " + json);
    return result;
  } catch (const std::exception& e) {
    return fail(ec::target_unsuitable,
                "unreadable source state: " + json + ": " + e.what());
  }
}

} // namespace millrace
