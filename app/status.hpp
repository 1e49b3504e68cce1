#pragma once

#include "app/configuration.hpp"
#include "messages/ec.hpp"

#include <iosfwd>
#include <string>
#include <string_view>

namespace millrace {

/// /status of the node that listens at `address`.
result<std::string> fetch_status(const listen_address& address);

/// Asks the node that listens at `address` to take a table again. The failure
/// says why it will not.
result<void>
ask_for_snapshot(const listen_address& address, const std::string& table);

/// A status object as text for people. Failure: it is not what a node says.
result<std::string> render_status(std::string_view json);

/// The command `status`: exit code 0 healthy, 1 not or no answer.
int status(const configuration& config, bool json, std::ostream& out,
           std::ostream& err);

/// The command `snapshot`: exit code 0 when the node will take the table again.
int take_again(const configuration& config, const std::string& table,
               std::ostream& out, std::ostream& err);

} // namespace millrace
