#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace millrace {

/// Where an HTTP server listens.
struct listen_address {
  std::string host = "127.0.0.1";
  uint16_t port = 9470;
};

/// `host:port`, `[::1]:port`; nothing when it is anything else.
std::optional<listen_address> parse_listen_address(const std::string& text);

/// @relates listen_address
std::string to_string(const listen_address& x);

/// What is wrong with a connection string for libpq; empty when nothing is. A
/// password in it is wrong. Never repeats the text: it may hold one.
std::string objection_to_source_uri(const std::string& text);

/// What is wrong with ClickHouse's address; empty when nothing is.
std::string objection_to_target_url(const std::string& text);

} // namespace millrace
