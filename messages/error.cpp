#include "messages/error.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/message.hpp>

#include <iterator>

namespace millrace {

namespace {

constexpr const char* names[] = {
  "none",
  "invalid_configuration",
  "unhandled_exception",
  "source_unavailable",
  "source_failed",
  "source_refused",
  "source_unsuitable",
  "slot_lost",
  "slot_busy",
  "source_changed",
  "protocol_violation",
  "target_unavailable",
  "target_failed",
  "target_refused",
  "target_unsuitable",
  "table_unsuitable",
  "local_failure",
  "rows_refused",
};

static_assert(ec{std::size(names)} == ec::ec_count,
              "each error code needs a name");

} // namespace

bool is_ours(const caf::error& err) {
  return err.category() == caf::atom("millrace");
}

const char* to_string(ec x) {
  auto index = static_cast<size_t>(x);
  return index < std::size(names) ? names[index] : "unknown";
}

bool is_retriable(ec x) {
  switch (x) {
    case ec::unhandled_exception:
    case ec::source_unavailable:
    case ec::source_failed:
    case ec::slot_busy:
    case ec::target_unavailable:
    case ec::target_failed:
      return true;
    default:
      return false;
  }
}

bool is_fatal(ec x) {
  return x != ec::none && x != ec::table_unsuitable && !is_retriable(x);
}

std::string render(const caf::error& err) {
  if (!err)
    return "none";
  if (!is_ours(err))
    return caf::actor_system_config::render(err);
  std::string result = to_string(static_cast<ec>(err.code()));
  const auto& ctx = err.context();
  for (size_t i = 0; i < ctx.size(); ++i) {
    result += i == 0 ? ": " : " ";
    result += ctx.match_element<std::string>(i) ? ctx.get_as<std::string>(i)
                                                : ctx.stringify(i);
  }
  return result;
}

std::string text_of(const caf::error& err) {
  if (!is_ours(err) || err.context().empty()
      || !err.context().match_element<std::string>(0))
    return render(err);
  return err.context().get_as<std::string>(0);
}

caf::error to_error(const failure& x) {
  return caf::make_error(x.code, x.text);
}

bool is_retriable(const caf::error& err) {
  return !is_ours(err) || is_retriable(static_cast<ec>(err.code()));
}

} // namespace millrace
