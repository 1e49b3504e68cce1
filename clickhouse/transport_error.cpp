#include "clickhouse/transport_error.hpp"

namespace millrace::clickhouse {

ec classify_transport(CURLcode x) {
  switch (x) {
    case CURLE_UNSUPPORTED_PROTOCOL: // HTTP/0.9: not an HTTP server
    case CURLE_URL_MALFORMAT:
    case CURLE_WEIRD_SERVER_REPLY:
      return ec::target_unsuitable;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return ec::target_refused;
    default:
      return ec::target_unavailable;
  }
}

std::string_view transport_remedy(CURLcode x) {
  switch (x) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
      return "is [target] url ClickHouse's HTTP port (8123 or 8443)?";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return "check [target] ca-file and the host name of the URL";
    case CURLE_COULDNT_CONNECT:
      return "is the server running there?";
    case CURLE_SSL_CONNECT_ERROR:
      return "is the port one for https?";
    default:
      return "";
  }
}

} // namespace millrace::clickhouse
