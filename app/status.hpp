#pragma once

#include "app/configuration.hpp"
#include "messages/ec.hpp"

#include <iosfwd>
#include <string>
#include <string_view>

namespace millrace {

/// /status of the node that listens at `address`.
result<std::string> fetch_status(const listen_address& address);

/// A status object as text for people. Failure: it is not what a node says.
result<std::string> render_status(std::string_view json);

/// The command `status`: exit code 0 healthy, 1 not or no answer.
int status(const configuration& config, bool json, std::ostream& out,
           std::ostream& err);

} // namespace millrace
