#pragma once

#include "messages/ec.hpp"

#include <string_view>

#include <curl/curl.h>

namespace millrace::clickhouse {

/// Whether a later try may help after libcurl's error.
ec classify_transport(CURLcode x);

/// What the user can do about it; may be empty.
std::string_view transport_remedy(CURLcode x);

} // namespace millrace::clickhouse
