#include "clickhouse/client.hpp"

#include "clickhouse/names.hpp"
#include "clickhouse/server_error.hpp"
#include "clickhouse/settings.hpp"
#include "clickhouse/transport_error.hpp"
#include "clickhouse/upload.hpp"
#include "clickhouse/url.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <mutex>

#include <curl/curl.h>

namespace millrace::clickhouse {

namespace {

using clock = std::chrono::steady_clock;

/// How long a wait for the network may take before `stop` is looked at.
constexpr int wait_ms = 50;

struct answer {
  long status = 0;
  int exception_code = 0;
  std::string exception_tag;
  std::string format;
  std::string body;

  /// The empty line that ends the head has come: libcurl takes an answer that
  /// is cut off before it for one without a body.
  bool has_head = false;

  /// Its end can be told from a connection that broke.
  bool has_length = false;
  size_t max_body = 0;
  size_t expected_body = 0;
  bool too_large = false;
};

size_t on_header(char* data, size_t, size_t n, void* user) {
  auto& x = *static_cast<answer*>(user);
  std::string_view line{data, n};
  if (line.substr(0, 5) == "HTTP/") {
    answer fresh;
    fresh.max_body = x.max_body;
    fresh.expected_body = x.expected_body;
    x = std::move(fresh);
    return n;
  }
  auto colon = line.find(':');
  if (colon == std::string_view::npos) {
    x.has_head = line == "\r\n" || line == "\n";
    return n;
  }
  std::string name{line.substr(0, colon)};
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  auto value = line.substr(colon + 1);
  while (!value.empty() && value.front() == ' ')
    value.remove_prefix(1);
  while (!value.empty() && (value.back() == '\r' || value.back() == '\n'))
    value.remove_suffix(1);
  if (name == "x-clickhouse-exception-code")
    std::from_chars(value.data(), value.data() + value.size(),
                    x.exception_code);
  else if (name == "x-clickhouse-exception-tag")
    x.exception_tag = value;
  else if (name == "x-clickhouse-format")
    x.format = value;
  else if (name == "content-length" || name == "transfer-encoding")
    x.has_length = true;
  return n;
}

size_t on_body(char* data, size_t, size_t n, void* user) {
  auto& x = *static_cast<answer*>(user);
  if (x.max_body != 0 && x.body.size() + n > x.max_body) {
    x.too_large = true;
    return 0;
  }
  if (x.body.empty())
    x.body.reserve(x.expected_body);
  x.body.append(data, n);
  return n;
}

size_t on_read(char* out, size_t size, size_t n, void* user) {
  auto m = static_cast<upload*>(user)->read(out, size * n);
  return m == upload::failed ? CURL_READFUNC_ABORT : m;
}

/// libcurl repeats a request whose kept connection turned out to be closed.
int on_seek(void* user, curl_off_t offset, int origin) {
  if (offset != 0 || origin != SEEK_SET)
    return CURL_SEEKFUNC_CANTSEEK;
  static_cast<upload*>(user)->rewind();
  return CURL_SEEKFUNC_OK;
}

/// The first of two requests with one query ID may still run when the second
/// has been answered: whoever named the query has to end it first.
int on_forbidden_seek(void*, curl_off_t, int) {
  return CURL_SEEKFUNC_FAIL;
}

void init_curl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

} // namespace

struct client::impl {
  impl(target_options options, std::shared_ptr<std::atomic<bool>> stop)
    : options_(std::move(options)), stop_(std::move(stop)) {
    init_curl();
    url_ = parse_url(options_.url);
    multi_ = curl_multi_init();
    easy_ = curl_easy_init();
    set_up();
  }

  ~impl() {
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
    curl_slist_free_all(plain_headers_);
    curl_slist_free_all(lz4_headers_);
  }

  struct request {
    std::string what;
    upload* body = nullptr;
    std::string_view query_id;
    bool patient = false;
    size_t max_answer = 0;
    size_t expected = 0;
  };

  void set_up();
  curl_slist* headers(bool lz4) const;
  result<std::string>
  run(const request& x, const parameters& xs, const parameters& more);
  CURLcode transfer(const request& x, bool& stopped, bool& stalled);
  tl::unexpected<failure>
  refuse(ec code, const std::string& what, std::string_view text,
         std::string_view remedy) const;
  bool stop_wanted() const {
    return stop_ && stop_->load(std::memory_order_relaxed);
  }

  target_options options_;
  std::shared_ptr<std::atomic<bool>> stop_;
  url_parts url_;
  CURLM* multi_ = nullptr;
  CURL* easy_ = nullptr;
  curl_slist* plain_headers_ = nullptr;
  curl_slist* lz4_headers_ = nullptr;
  char error_[CURL_ERROR_SIZE] = {};
  answer answer_;
  int server_code_ = 0;
};

curl_slist* client::impl::headers(bool lz4) const {
  curl_slist* out = nullptr;
  auto add
    = [&out](const std::string& x) { out = curl_slist_append(out, x.c_str()); };
  add("Expect:");
  add("Content-Type: application/octet-stream");
  add("X-ClickHouse-User: " + options_.user);
  if (!options_.password.empty())
    add("X-ClickHouse-Key: " + options_.password);
  if (lz4) {
    add("Content-Encoding: lz4");
    add("Transfer-Encoding: chunked");
  }
  return out;
}

void client::impl::set_up() {
  plain_headers_ = headers(false);
  lz4_headers_ = headers(true);
  auto set = [this](auto option, auto value) {
    curl_easy_setopt(easy_, option, value);
  };
  set(CURLOPT_ERRORBUFFER, error_);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_POST, 1L);
  set(CURLOPT_TCP_NODELAY, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_TCP_KEEPIDLE, 15L);
  set(CURLOPT_TCP_KEEPINTVL, 5L);
  set(CURLOPT_UPLOAD_BUFFERSIZE, 2L * 1024 * 1024);
  set(CURLOPT_BUFFERSIZE, 256L * 1024);
  set(CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(options_.connect_timeout.count()));
  set(CURLOPT_READFUNCTION, on_read);
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &answer_);
  set(CURLOPT_WRITEFUNCTION, on_body);
  set(CURLOPT_WRITEDATA, &answer_);
  if (!options_.ca_file.empty())
    set(CURLOPT_CAINFO, options_.ca_file.c_str());
  if (url_.loopback)
    set(CURLOPT_PROXY, "");
}

tl::unexpected<failure>
client::impl::refuse(ec code, const std::string& what, std::string_view text,
                     std::string_view remedy) const {
  std::string out = "cannot " + what + " at " + url_.label + ": ";
  out += text;
  if (!remedy.empty()) {
    out += ": ";
    out += remedy;
  }
  return fail(code, std::move(out));
}

CURLcode
client::impl::transfer(const request& x, bool& stopped, bool& stalled) {
  error_[0] = '\0';
  curl_multi_add_handle(multi_, easy_);
  auto moved_at = clock::now();
  curl_off_t moved = 0;
  auto out = CURLE_OK;
  for (;;) {
    int running = 0;
    if (curl_multi_perform(multi_, &running) != CURLM_OK) {
      out = CURLE_FAILED_INIT;
      break;
    }
    int left = 0;
    auto message = curl_multi_info_read(multi_, &left);
    if (message != nullptr && message->msg == CURLMSG_DONE) {
      out = message->data.result;
      break;
    }
    if (stop_wanted()) {
      stopped = true;
      break;
    }
    curl_off_t up = 0;
    curl_off_t down = 0;
    curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &down);
    auto now = clock::now();
    if (up + down != moved) {
      moved = up + down;
      moved_at = now;
    } else if (!x.patient && now - moved_at > options_.stall_timeout) {
      stalled = true;
      break;
    }
    curl_multi_poll(multi_, nullptr, 0, wait_ms, nullptr);
  }
  // Closes the connection when the transfer has not ended.
  curl_multi_remove_handle(multi_, easy_);
  return out;
}

result<std::string> client::impl::run(const request& x, const parameters& xs,
                                      const parameters& more) {
  server_code_ = 0;
  if (!url_.good)
    return refuse(ec::target_unsuitable, x.what, "not a usable URL",
                  "[target] url must be http://host:port or "
                  "https://host:port, without user, password and parameters");
  auto url = url_.base;
  append_parameters(url, xs);
  append_parameters(url, more);
  if (!x.query_id.empty())
    append_parameters(url, {{"query_id", std::string{x.query_id}}});
  auto lz4 = x.body->compressed();
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER,
                   lz4 ? lz4_headers_ : plain_headers_);
  curl_easy_setopt(easy_, CURLOPT_READDATA, x.body);
  curl_easy_setopt(easy_, CURLOPT_SEEKDATA, x.body);
  curl_easy_setopt(easy_, CURLOPT_SEEKFUNCTION,
                   x.query_id.empty() ? on_seek : on_forbidden_seek);
  auto size = lz4 ? -1 : static_cast<curl_off_t>(x.body->size());
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, size);
  answer_ = {};
  answer_.max_body = x.max_answer;
  answer_.expected_body = x.expected;
  auto stopped = false;
  auto stalled = false;
  auto code = transfer(x, stopped, stalled);
  if (stopped)
    return refuse(ec::target_unavailable, x.what, "stopped", "");
  if (stalled)
    return refuse(ec::target_unavailable, x.what,
                  "nothing moved for "
                    + std::to_string(options_.stall_timeout.count()) + " ms",
                  "see the server's load");
  if (answer_.too_large)
    return refuse(ec::target_failed, x.what,
                  "the answer is larger than " + std::to_string(x.max_answer)
                    + " bytes",
                  "");
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &answer_.status);
  // A server that refuses a body may close while it is being sent: its answer
  // counts, not the broken pipe.
  auto is_cut = code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR;
  if (code != CURLE_OK && answer_.exception_code == 0
      && (is_cut || answer_.status < 300))
    return refuse(classify_transport(code), x.what,
                  // libcurl tells only that it may not repeat it.
                  code == CURLE_SEND_FAIL_REWIND
                    ? "the server closed the connection without an answer"
                    : one_line(error_[0] != '\0' ? error_
                                                 : curl_easy_strerror(code)),
                  transport_remedy(code));
  if (!answer_.has_head)
    return refuse(ec::target_unavailable, x.what,
                  "the connection broke in the head of the answer", "");
  if (!answer_.has_length)
    return refuse(ec::target_unsuitable, x.what,
                  "the answer says neither its length nor that it comes in "
                  "chunks, so that one that is cut off looks complete",
                  "is there a proxy in between that leaves it out?");
  server_error error;
  if (answer_.status != 200 || answer_.exception_code != 0) {
    error = parse_error(answer_.body, answer_.exception_code);
    if (is_cut)
      error.code = answer_.exception_code;
  } else {
    auto text = answer_.format.empty() || answer_.format.substr(0, 3) == "Tab"
                || answer_.format.substr(0, 3) == "TSV";
    error = find_late_error(answer_.body, answer_.exception_tag, text);
    if (error.code == 0)
      return std::move(answer_.body);
  }
  server_code_ = error.code;
  auto text = error.code != 0
                ? "Code " + std::to_string(error.code) + ": " + error.text
                : "HTTP " + std::to_string(answer_.status) + ": " + error.text;
  return refuse(classify(error, answer_.status), x.what, text,
                remedy(error, answer_.status));
}

client::client(target_options options, std::shared_ptr<std::atomic<bool>> stop)
  : impl_(std::make_unique<impl>(std::move(options), std::move(stop))) {
  // nop
}

client::~client() = default;

const target_options& client::options() const {
  return impl_->options_;
}

int client::server_code() const {
  return impl_->server_code_;
}

bool client::answer_was_too_large() const {
  return impl_->answer_.too_large;
}

result<std::string> client::query(std::string_view sql, const parameters& xs,
                                  const query_options& how) {
  upload body{{sql}, false};
  impl::request x;
  x.what = how.what.empty() ? name_query(sql) : how.what;
  x.body = &body;
  x.query_id = how.query_id;
  x.patient = how.patient;
  x.max_answer = how.max_answer;
  x.expected = how.expected;
  auto has_wait = std::any_of(xs.begin(), xs.end(), [](auto& y) {
    return y.first == "wait_end_of_query";
  });
  if (has_wait)
    return impl_->run(x, xs, {});
  return impl_->run(x, {{"wait_end_of_query", "1"}}, xs);
}

result<void>
client::insert(std::string_view statement, std::string_view query_id,
               const std::vector<std::string_view>& bodies) {
  std::vector<std::string_view> pieces{statement, "\n"};
  pieces.insert(pieces.end(), bodies.begin(), bodies.end());
  upload body{std::move(pieces), !impl_->url_.loopback};
  impl::request x;
  x.what = name_insert(statement);
  x.body = &body;
  x.query_id = query_id;
  // For a statement that does not name it.
  parameters more{{"database", options().database}};
  if (options().engine.substr(0, 10) == "Replicated")
    more.emplace_back("insert_quorum", "auto");
  auto out = impl_->run(x, insert_settings(), more);
  if (!out)
    return tl::unexpected(std::move(out.error()));
  return {};
}

result<void>
client::end_queries(const std::string& condition, std::string what) {
  query_options how;
  how.what = std::move(what);
  auto out = query(
    "KILL QUERY WHERE " + condition + " SYNC FORMAT TabSeparated", {}, how);
  if (!out)
    return tl::unexpected(std::move(out.error()));
  // A line for each query: how it ended, its ID, user and text.
  if (out->find("cant_cancel") != std::string::npos
      || out->substr(0, 5) == "error")
    return impl_->refuse(ec::target_failed, how.what,
                         "the server cannot cancel it", "it is tried again");
  return {};
}

result<void> client::kill(std::string_view query_id) {
  return end_queries("query_id = " + quote_literal(query_id),
                     "end the query " + std::string{query_id});
}

result<void> client::kill_all(std::string_view prefix) {
  return end_queries("startsWith(query_id, " + quote_literal(prefix) + ")",
                     "end the queries " + std::string{prefix} + "...");
}

} // namespace millrace::clickhouse
