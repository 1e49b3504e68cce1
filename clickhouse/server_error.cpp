#include "clickhouse/server_error.hpp"

#include "clickhouse/names.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace millrace::clickhouse {

namespace {

struct rule {
  int code;
  ec meaning;
  std::string_view remedy;
};

constexpr auto passes = ec::target_failed;
constexpr auto refused = ec::target_refused;
constexpr std::string_view credentials
  = "check [target] user and the password: MILLRACE_TARGET_PASSWORD, else "
    "[target] password-file";
constexpr std::string_view look_at_disk = "look at the server's disk";
constexpr std::string_view free_disk = "free disk space on the server";

/// What is not here is `target_unsuitable`.
constexpr std::array rules{
  rule{3, passes, ""},            // UNEXPECTED_END_OF_FILE
  rule{23, passes, ""},           // CANNOT_READ_FROM_ISTREAM
  rule{24, passes, ""},           // CANNOT_WRITE_TO_OSTREAM
  rule{74, passes, look_at_disk}, // CANNOT_READ_FROM_FILE_DESCRIPTOR
  rule{75, passes, look_at_disk}, // CANNOT_WRITE_TO_FILE_DESCRIPTOR
  rule{76, passes, look_at_disk}, // CANNOT_OPEN_FILE
  rule{77, passes, look_at_disk}, // CANNOT_CLOSE_FILE
  rule{95, passes, ""},           // CANNOT_READ_FROM_SOCKET
  rule{96, passes, ""},           // CANNOT_WRITE_TO_SOCKET
  rule{159, passes, "see the profile's max_execution_time"}, // TIMEOUT_EXCEEDED
  rule{160, passes, "see the profile's min_execution_speed"},     // TOO_SLOW
  rule{164, refused, "give the user a profile without readonly"}, // READONLY
  rule{172, passes, look_at_disk},                  // CANNOT_CREATE_DIRECTORY
  rule{173, passes, "give the server more memory"}, // CANNOT_ALLOCATE_MEMORY
  rule{192, refused, credentials},                  // UNKNOWN_USER
  rule{193, refused, credentials},                  // WRONG_PASSWORD
  rule{194, refused, credentials},                  // REQUIRED_PASSWORD
  rule{195, refused, "allow the user this machine's address"},
  rule{198, passes, ""},                           // DNS_ERROR
  rule{201, passes, "see the user's quota"},       // QUOTA_EXCEEDED
  rule{202, passes, "see max_concurrent_queries"}, // TOO_MANY_SIMULTANEOUS...
  rule{203, passes, ""},                           // NO_FREE_CONNECTION
  rule{204, passes, look_at_disk},                 // CANNOT_FSYNC
  rule{209, passes, ""},                           // SOCKET_TIMEOUT
  rule{210, passes, ""},                           // NETWORK_ERROR
  rule{214, passes, look_at_disk},                 // CANNOT_STATVFS
  // QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: a repeated request; the first one
  // has to be ended as if its answer had been lost.
  rule{216, ec::target_unavailable, "the same request still runs"},
  rule{218, passes, ""},                        // TABLE_IS_DROPPED
  rule{225, passes, "see the server's Keeper"}, // NO_ZOOKEEPER
  rule{236, passes, ""},                        // ABORTED
  rule{241, passes, "give the server more memory, or make inserts smaller"},
  rule{242, passes, "the replica must reach its Keeper again"},
  rule{243, passes, free_disk},                 // NOT_ENOUGH_SPACE
  rule{244, passes, "see the server's Keeper"}, // UNEXPECTED_ZOOKEEPER_ERROR
  // CORRUPTED_DATA: of the server's own files, as after a full disk. It puts
  // such parts aside when it is restarted.
  rule{246, passes, "look at the server's log; restart it"},
  rule{252, passes, "merges do not keep up: it goes on when they have"},
  rule{254, passes, ""}, // NO_ACTIVE_REPLICAS
  rule{265, passes, ""}, // NO_AVAILABLE_REPLICA
  rule{279, passes, ""}, // ALL_CONNECTION_TRIES_FAILED
  rule{285, passes, ""}, // TOO_FEW_LIVE_REPLICAS
  rule{286, passes, ""}, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
  rule{289, passes, ""}, // REPLICA_IS_NOT_IN_QUORUM
  rule{290, passes, ""}, // LIMIT_EXCEEDED
  rule{291, refused, "allow the user the database"}, // DATABASE_ACCESS_DENIED
  rule{294, passes, look_at_disk},                   // CANNOT_WRITE_TO_FILE
  rule{305, passes, ""},                             // TABLE_WAS_NOT_DROPPED
  rule{319, passes, ""},                             // UNKNOWN_STATUS_OF_INSERT
  rule{341, passes, ""},                             // UNFINISHED
  rule{364, passes, ""}, // RECEIVED_ERROR_TOO_MANY_REQUESTS
  rule{369, passes, ""}, // ALL_REPLICAS_ARE_STALE
  rule{373, passes, ""}, // SESSION_IS_LOCKED
  rule{384, passes, ""}, // PART_IS_TEMPORARILY_LOCKED
  rule{394, passes, ""}, // QUERY_WAS_CANCELLED
  rule{410, passes, ""}, // EXTERNAL_SERVER_IS_NOT_RESPONDING
  rule{416, passes, ""}, // REPLICA_STATUS_CHANGED
  rule{425, passes, ""}, // SYSTEM_ERROR
  rule{439, passes, ""}, // CANNOT_SCHEDULE_TASK
  rule{452, refused, "the user's profile must let the setting be changed"},
  rule{472, refused, "the user's profile must let the setting be changed"},
  rule{473, passes, ""},                                // DEADLOCK_AVOIDED
  rule{497, refused, "grant the user what is named"},   // ACCESS_DENIED
  rule{499, passes, "see the server's object storage"}, // S3_ERROR
  rule{500, passes, "see the server's object storage"}, // AZURE_...
  rule{516, refused, credentials},                      // AUTHENTICATION_FAILED
  rule{517, passes, ""},                                // CANNOT_ASSIGN_ALTER
  rule{529, passes, ""},                                // NOT_A_LEADER
  rule{568, passes, ""},                                // RAFT_ERROR
  rule{571, passes, ""},           // DATABASE_REPLICATION_FAILED
  rule{573, passes, ""},           // EPOLL_ERROR
  rule{586, passes, look_at_disk}, // CANNOT_CREATE_FILE
  rule{641, passes, look_at_disk}, // CANNOT_APPEND_TO_FILE
  rule{667, passes, ""},           // NOT_INITIALIZED: the server starts
  rule{677, passes, ""},           // THREAD_WAS_CANCELED
  rule{692, passes, ""},           // TOO_MANY_MUTATIONS
  rule{693, passes, ""},           // AWS_ERROR
  rule{695, passes, ""},           // ASYNC_LOAD_FAILED
  rule{696, passes, ""},           // ASYNC_LOAD_CANCELED
  rule{700, passes, "see the user's max_sessions_for_user"},
  rule{707, passes, ""},           // GCP_ERROR
  rule{710, passes, ""},           // FAULT_INJECTED
  rule{720, refused, credentials}, // USER_EXPIRED
  rule{722, passes, ""},           // ASYNC_LOAD_WAIT_FAILED
  rule{733, passes, ""},           // TABLE_IS_BEING_RESTARTED
  rule{734, passes, ""},           // CANNOT_WRITE_AFTER_BUFFER_CANCELED
  rule{735, passes, ""},           // QUERY_WAS_CANCELLED_BY_CLIENT
  rule{738, passes, ""},           // PART_IS_LOCKED
  rule{745, passes, ""},           // SERVER_OVERLOADED
  rule{749, passes, ""},           // TCP_CONNECTION_LIMIT_REACHED
  rule{762, passes, ""},           // HTTP_CONNECTION_LIMIT_REACHED
  rule{763, passes, ""},           // SESSION_REFUSED
  rule{776, passes, ""},           // RESOURCE_LIMIT_EXCEEDED
  rule{777, passes, ""},           // MEMORY_RESERVATION_KILLED
  rule{778, passes, ""},           // MEMORY_RESERVATION_FAILED
  rule{999, passes, "see the server's Keeper"}, // KEEPER_EXCEPTION
  rule{1000, passes, ""}, // POCO_EXCEPTION: sockets and files
  rule{1001, passes, ""}, // STD_EXCEPTION: the file system
  rule{1002, passes, ""}, // UNKNOWN_EXCEPTION
};

static_assert(std::is_sorted(rules.begin(), rules.end(),
                             [](const rule& x, const rule& y) {
                               return x.code < y.code;
                             }));

const rule* find(int code) {
  auto i = std::lower_bound(rules.begin(), rules.end(), code,
                            [](const rule& x, int y) { return x.code < y; });
  return i != rules.end() && i->code == code ? &*i : nullptr;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_disk_full(std::string_view text) {
  return contains(text, "No space left") || contains(text, "Disk quota");
}

/// `Code: 60. DB::Exception: ` at the beginning of `text`; the code, or 0.
int take_code(std::string_view& text) {
  constexpr std::string_view begin = "Code: ";
  if (text.substr(0, begin.size()) != begin)
    return 0;
  auto rest = text.substr(begin.size());
  int code = 0;
  auto [end, error]
    = std::from_chars(rest.data(), rest.data() + rest.size(), code);
  if (error != std::errc{} || code <= 0)
    return 0;
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (rest.substr(0, 1) == "." || rest.substr(0, 1) == ",")
    rest.remove_prefix(1);
  while (!rest.empty() && rest.front() == ' ')
    rest.remove_prefix(1);
  text = rest;
  return code;
}

} // namespace

server_error parse_error(std::string_view body, int header_code) {
  server_error out;
  auto text = body;
  if (auto at = text.find("Code: "); at != std::string_view::npos)
    text.remove_prefix(at);
  out.code = take_code(text);
  if (out.code == 0) {
    text = body;
    out.code = header_code;
  }
  for (std::string_view prefix : {"DB::Exception: ", "DB::NetException: "})
    if (text.substr(0, prefix.size()) == prefix)
      text.remove_prefix(prefix.size());
  if (auto at = text.rfind(" (version "); at != std::string_view::npos)
    text = text.substr(0, at);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.remove_suffix(1);
  // A constraint tells the values of the row.
  if (auto at = text.find(". Column values: "); at != std::string_view::npos)
    text = text.substr(0, at);
  // What follows quotes the statement, which may hold row values.
  std::string name;
  if (auto at = text.find("n scope "); at != std::string_view::npos) {
    if (auto mark = text.rfind(" (");
        mark != std::string_view::npos && mark > at && text.back() == ')')
      name = text.substr(mark);
    text = text.substr(0, at - 1);
    while (!text.empty() && (text.back() == ' ' || text.back() == ':'))
      text.remove_suffix(1);
  }
  out.text = one_line(text) + name;
  return out;
}

server_error
find_late_error(std::string_view body, std::string_view tag, bool text_format) {
  // The server ends the body with the exception; its text is short.
  constexpr size_t most = 65'536;
  auto tail = body.size() > most ? body.substr(body.size() - most) : body;
  if (!tag.empty()) {
    auto mark = "__exception__\r\n" + std::string{tag} + "\r\n";
    auto at = tail.find(mark);
    if (at == std::string_view::npos)
      return {};
    auto text = tail.substr(at + mark.size());
    if (auto end = text.rfind("__exception__"); end != std::string_view::npos)
      text = text.substr(0, end);
    auto out = parse_error(text, 0);
    if (out.code == 0)
      out.code = 1002;
    return out;
  }
  if (!text_format)
    return {};
  auto at = tail.rfind("Code: ");
  if (at == std::string_view::npos || (at > 0 && tail[at - 1] != '\n'))
    return {};
  auto text = tail.substr(at);
  if (!contains(text, "DB::Exception: ") || !contains(text, " (version "))
    return {};
  return parse_error(text, 0);
}

ec classify(const server_error& x, long http_status) {
  if (is_disk_full(x.text) || contains(x.text, "Too many open files"))
    return passes;
  if (x.code != 0) {
    if (contains(x.text, "ile name too long"))
      return ec::target_unsuitable;
    auto i = find(x.code);
    return i != nullptr ? i->meaning : ec::target_unsuitable;
  }
  switch (http_status) {
    case 401:
    case 403:
    case 407:
      return refused;
    case 408:
    case 425:
    case 429:
      return passes;
    default:
      return http_status >= 500 ? passes : ec::target_unsuitable;
  }
}

ec blame_insert(int server_code) {
  switch (server_code) {
    case 8:   // THERE_IS_NO_COLUMN
    case 9:   // SIZES_OF_COLUMNS_DOESNT_MATCH
    case 10:  // NOT_FOUND_COLUMN_IN_BLOCK
    case 15:  // DUPLICATE_COLUMN
    case 16:  // NO_SUCH_COLUMN_IN_TABLE
    case 20:  // NUMBER_OF_COLUMNS_DOESNT_MATCH
    case 44:  // ILLEGAL_COLUMN
    case 47:  // UNKNOWN_IDENTIFIER
    case 50:  // UNKNOWN_TYPE
    case 53:  // TYPE_MISMATCH
    case 60:  // UNKNOWN_TABLE
    case 122: // INCOMPATIBLE_COLUMNS
    case 171: // BLOCKS_HAVE_DIFFERENT_STRUCTURE
    case 352: // AMBIGUOUS_COLUMN_NAME
      return ec::table_unsuitable;
    case 0:
    case 48:  // NOT_IMPLEMENTED
    case 62:  // SYNTAX_ERROR
    case 73:  // UNKNOWN_FORMAT
    case 81:  // UNKNOWN_DATABASE
    case 115: // UNKNOWN_SETTING
    case 344: // SUPPORT_IS_DISABLED
    case 446: // FUNCTION_NOT_ALLOWED
      return ec::target_unsuitable;
    default:
      return ec::rows_refused;
  }
}

std::string_view remedy(const server_error& x, long http_status) {
  if (is_disk_full(x.text))
    return free_disk;
  if (x.code != 0) {
    auto i = find(x.code);
    return i != nullptr ? i->remedy : std::string_view{};
  }
  switch (http_status) {
    case 401:
    case 403:
      return credentials;
    case 407:
      return "the proxy asks for a password";
    case 502:
    case 503:
    case 504:
      return "see the proxy and the server behind it";
    default:
      return http_status < 500
               ? "is [target] url ClickHouse's HTTP port (8123 or 8443)?"
               : "see the server's log";
  }
}

} // namespace millrace::clickhouse
