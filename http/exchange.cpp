// The only translation unit that includes Boost.Beast (14 s to compile).
#include "http/exchange.hpp"

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <poll.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace beast = boost::beast;

namespace millrace::http {

namespace {

constexpr size_t first_buffer = 32 << 10;
constexpr size_t body_buffer = 256 << 10;

/// A body that the handler left unread is taken off the connection up to this
/// size, so that the connection can be kept.
constexpr uint64_t drain_limit = 1 << 20;

bool same_name(std::string_view x, std::string_view y) {
  return beast::iequals(beast::string_view{x.data(), x.size()},
                        beast::string_view{y.data(), y.size()});
}

} // namespace

connection::connection(unique_fd socket, const server_options& opts,
                       client_watch& w)
  : fd(std::move(socket)), peer(peer_name(fd.get())), options(opts), watch(w),
    buffer(new char[first_buffer]), capacity(first_buffer) {
  int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool connection::make_room(size_t limit) {
  if (begin == end) {
    begin = end = 0;
  } else if (begin > 0 && (end == capacity || buffered() < 4096)) {
    std::memmove(buffer.get(), buffer.get() + begin, buffered());
    end -= begin;
    begin = 0;
  }
  if (end < capacity && capacity >= std::min(limit, body_buffer))
    return true;
  auto wanted = std::min(limit, std::max(body_buffer, capacity * 2));
  if (wanted > capacity) {
    std::unique_ptr<char[]> bigger{new char[wanted]};
    std::memcpy(bigger.get(), buffer.get() + begin, buffered());
    end -= begin;
    begin = 0;
    buffer = std::move(bigger);
    capacity = wanted;
  }
  return end < capacity;
}

struct exchange::parser {
  using error_code = beast::error_code;
  beast::http::request_parser<beast::http::buffer_body> impl;

  /// What on_chunk_body got last: a view into the connection's buffer.
  std::string_view chunk;

  /// Beast keeps a reference to it.
  std::function<size_t(uint64_t, beast::string_view, error_code&)> on_chunk
    = [this](uint64_t, beast::string_view body, error_code&) {
        chunk = {body.data(), body.size()};
        return body.size();
      };
};

exchange::exchange(connection& c)
  : connection_(c), parser_(std::make_unique<parser>()) {
  parser_->impl.header_limit(static_cast<uint32_t>(c.options.max_header_bytes));
  parser_->impl.body_limit(boost::none);
  parser_->impl.eager(false);
}

exchange::~exchange() {
  // nop
}

bool exchange::receive(int timeout_ms) {
  auto& c = connection_;
  for (;;) {
    if (interrupted_)
      return false;
    auto n = ::recv(c.fd.get(), c.buffer.get() + c.end, c.capacity - c.end, 0);
    if (n > 0) {
      c.end += static_cast<size_t>(n);
      return true;
    }
    if (n == 0)
      return false;
    if (errno == EINTR)
      continue;
    if (errno != EAGAIN || !wait_for(c.fd.get(), POLLIN, timeout_ms))
      return false;
  }
}

exchange::head_state exchange::read_head() {
  auto& c = connection_;
  auto limit = c.options.max_header_bytes + first_buffer;
  auto idle = static_cast<int>(c.options.idle_timeout.count());
  auto& p = parser_->impl;
  beast::error_code ec;
  while (!p.is_header_done()) {
    if (c.buffered() > 0) {
      ec = {};
      auto n = p.put(
        boost::asio::buffer(c.buffer.get() + c.begin, c.buffered()), ec);
      c.begin += n;
      if (ec && ec != beast::http::error::need_more)
        break;
      if (p.is_header_done())
        break;
      if (!ec && n > 0)
        continue;
    }
    ec = {};
    // Heads are small: only a long one gets the large buffer.
    if (c.begin == c.end)
      c.begin = c.end = 0;
    if (c.end == c.capacity && !c.make_room(limit)) {
      ec = beast::http::error::header_limit;
      break;
    }
    if (!receive(idle))
      return head_state::closed;
  }
  if (ec && ec != beast::http::error::need_more) {
    auto long_head = ec == beast::http::error::header_limit
                     || ec == beast::http::error::buffer_overflow;
    status(long_head ? 431 : 400);
    body_done_ = false;
    body_left_ = drain_limit + 1;
    send("Bad HTTP request: " + ec.message() + "\n");
    return head_state::malformed;
  }
  auto& m = p.get();
  keep_alive_ = p.keep_alive() && m.version() >= 11;
  if (p.chunked()) {
    body_done_ = false;
    p.on_chunk_body(parser_->on_chunk);
  } else if (auto length = p.content_length()) {
    body_left_ = *length;
    body_done_ = *length == 0;
  }
  expect_continue_
    = same_name(field("Expect"), "100-continue") && m.version() >= 11;
  return head_state::complete;
}

std::string_view exchange::method() const {
  auto x = parser_->impl.get().method_string();
  return {x.data(), x.size()};
}

std::string_view exchange::target() const {
  auto x = parser_->impl.get().target();
  return {x.data(), x.size()};
}

std::string_view exchange::field(std::string_view name) const {
  auto& m = parser_->impl.get();
  auto i = m.find(beast::string_view{name.data(), name.size()});
  if (i == m.end())
    return {};
  return {i->value().data(), i->value().size()};
}

bool exchange::has_field(std::string_view name) const {
  auto& m = parser_->impl.get();
  return m.find(beast::string_view{name.data(), name.size()}) != m.end();
}

bool exchange::has_body() const {
  return parser_->impl.chunked() || parser_->impl.content_length_remaining();
}

bool exchange::body_complete() const {
  return body_done_;
}

std::optional<std::string_view> exchange::read_body() {
  if (broken_ || interrupted_)
    return std::nullopt;
  if (body_done_)
    return std::string_view{};
  if (expect_continue_ && connection_.buffered() == 0) {
    std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    iovec part{const_cast<char*>(text.data()), text.size()};
    if (!send_all(&part, 1))
      return std::nullopt;
  }
  expect_continue_ = false;
  if (parser_->impl.chunked())
    return read_chunk();
  auto& c = connection_;
  if (c.buffered() == 0) {
    c.begin = c.end = 0;
    if (body_left_ > c.capacity)
      c.make_room(body_buffer);
    if (!receive(static_cast<int>(c.options.stall_timeout.count()))) {
      broken_ = true;
      return std::nullopt;
    }
  }
  auto n = std::min<uint64_t>(body_left_, c.buffered());
  std::string_view piece{c.buffer.get() + c.begin, n};
  c.begin += n;
  body_left_ -= n;
  body_done_ = body_left_ == 0;
  return piece;
}

std::optional<std::string_view> exchange::read_chunk() {
  auto& c = connection_;
  auto& p = parser_->impl;
  parser_->chunk = {};
  beast::error_code ec;
  for (;;) {
    size_t n = 0;
    if (c.buffered() > 0) {
      ec = {};
      n = p.put(boost::asio::buffer(c.buffer.get() + c.begin, c.buffered()),
                ec);
      c.begin += n;
      if (!parser_->chunk.empty())
        return parser_->chunk;
      if (p.is_done()) {
        body_done_ = true;
        return std::string_view{};
      }
      if (ec && ec != beast::http::error::need_more) {
        broken_ = true;
        return std::nullopt;
      }
    }
    if (n > 0 && !ec)
      continue;
    if (!c.make_room(body_buffer)
        || !receive(static_cast<int>(c.options.stall_timeout.count()))) {
      broken_ = true;
      return std::nullopt;
    }
  }
}

bool exchange::client_gone() const {
  std::lock_guard guard{mutex_};
  if (closed_)
    return true;
  pollfd p{connection_.fd.get(), POLLRDHUP, 0};
  return ::poll(&p, 1, 0) > 0
         && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void exchange::interrupt() {
  std::lock_guard guard{mutex_};
  if (closed_)
    return;
  interrupted_ = true;
  ::shutdown(connection_.fd.get(), SHUT_RD);
}

void exchange::on_client_gone(std::function<void()> f) {
  std::lock_guard guard{mutex_};
  if (!closed_)
    watches_.push_back(
      connection_.watch.watch(connection_.fd.get(), std::move(f)));
}

void exchange::set_header(std::string_view name, std::string_view value) {
  std::string text{value};
  std::replace_if(
    text.begin(), text.end(),
    [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  auto same = [&](auto& x) { return same_name(x.first, name); };
  auto i = std::find_if(headers_.begin(), headers_.end(), same);
  if (i != headers_.end())
    i->second = std::move(text);
  else
    headers_.emplace_back(std::string{name}, std::move(text));
}

std::string exchange::head_text(std::optional<size_t> length) {
  started_ = true;
  // A connection whose unread rest is large cannot be used again.
  if (broken_ || interrupted_
      || (!body_done_
          && (parser_->impl.chunked() || body_left_ > drain_limit
              || expect_continue_)))
    keep_alive_ = false;
  auto old_client
    = parser_->impl.is_header_done() && parser_->impl.get().version() < 11;
  chunked_ = !length && !old_client;
  if (!length && !chunked_)
    keep_alive_ = false;
  auto reason
    = beast::http::obsolete_reason(beast::http::int_to_status(status_));
  std::string text = "HTTP/1.1 " + std::to_string(status_) + " ";
  text.append(reason.data(), reason.size());
  char date[64];
  auto now = ::time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  auto n = strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  text.append("\r\nDate: ").append(date, n);
  text += keep_alive_ ? "\r\nConnection: Keep-Alive" : "\r\nConnection: Close";
  for (auto& [name, value] : headers_)
    text.append("\r\n").append(name).append(": ").append(value);
  if (length)
    text += "\r\nContent-Length: " + std::to_string(*length);
  else if (chunked_)
    text += "\r\nTransfer-Encoding: chunked";
  text += "\r\n\r\n";
  return text;
}

bool exchange::send_all(iovec* parts, size_t count) {
  msghdr message{};
  int waited = 0;
  while (count > 0) {
    if (parts->iov_len == 0) {
      ++parts;
      --count;
      continue;
    }
    message.msg_iov = parts;
    message.msg_iovlen = count;
    auto n = ::sendmsg(connection_.fd.get(), &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR)
        continue;
      // Short waits: interrupt() must end this one too.
      if (errno == EAGAIN && !interrupted_
          && waited < connection_.options.stall_timeout.count()) {
        if (!wait_for(connection_.fd.get(), POLLOUT, 200))
          waited += 200;
        continue;
      }
      broken_ = true;
      return false;
    }
    waited = 0;
    auto left = static_cast<size_t>(n);
    while (count > 0 && left >= parts->iov_len) {
      left -= parts->iov_len;
      ++parts;
      --count;
    }
    if (count > 0) {
      parts->iov_base = static_cast<char*>(parts->iov_base) + left;
      parts->iov_len -= left;
    }
  }
  return true;
}

bool exchange::send(std::string_view body) {
  if (started_)
    return false;
  auto head = head_text(body.size());
  finished_ = true;
  auto no_body
    = (parser_->impl.is_header_done() && method() == "HEAD") || status_ == 204;
  iovec parts[] = {{head.data(), head.size()},
                   {const_cast<char*>(body.data()), no_body ? 0 : body.size()}};
  return send_all(parts, 2);
}

bool exchange::write(std::string_view piece) {
  if (finished_ || (started_ && broken_))
    return false;
  std::string head;
  if (!started_)
    head = head_text(std::nullopt);
  if (method() == "HEAD")
    piece = {};
  char size[32] = "";
  auto framed = chunked_ && !piece.empty();
  auto n = framed ? snprintf(size, sizeof(size), "%zx\r\n", piece.size()) : 0;
  iovec parts[] = {{head.data(), head.size()},
                   {size, static_cast<size_t>(n)},
                   {const_cast<char*>(piece.data()), piece.size()},
                   {const_cast<char*>("\r\n"), framed ? 2u : 0u}};
  return send_all(parts, 4);
}

bool exchange::finish() {
  if (finished_)
    return !broken_;
  if (!started_)
    return send({});
  finished_ = true;
  if (broken_)
    return false;
  if (!chunked_ || method() == "HEAD")
    return true;
  std::string_view text = "0\r\n\r\n";
  iovec part{const_cast<char*>(text.data()), text.size()};
  return send_all(&part, 1);
}

void exchange::abort() {
  finished_ = true;
  started_ = true;
  broken_ = true;
}

void exchange::linger() {
  // Closing with unread bytes would reset the connection and could destroy an
  // answer that the client has not read yet.
  auto fd = connection_.fd.get();
  ::shutdown(fd, SHUT_WR);
  char sink[1 << 16];
  auto deadline = ::time(nullptr) + 3;
  while (::time(nullptr) < deadline && !interrupted_) {
    auto n = ::recv(fd, sink, sizeof(sink), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
      return;
    if (n < 0 && !wait_for(fd, POLLIN, 1000))
      return;
  }
}

bool exchange::close() {
  for (auto id : watches_)
    connection_.watch.forget(id);
  if (!started_ && !broken_) {
    status(500);
    send("The request was not answered.\n");
  }
  if (!finished_)
    broken_ = true;
  while (keep_alive_ && !broken_ && !body_done_ && !expect_continue_)
    read_body();
  {
    std::lock_guard guard{mutex_};
    closed_ = true;
  }
  if (keep_alive_ && !broken_ && !interrupted_)
    return true;
  linger();
  return false;
}

} // namespace millrace::http
