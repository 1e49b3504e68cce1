// The only translation unit that includes Boost.Beast (14 s to compile).
#include "http/exchange.hpp"

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <poll.h>

#include <sys/socket.h>
#include <sys/uio.h>

namespace beast = boost::beast;

namespace millrace::http {

namespace {

bool same_name(std::string_view x, std::string_view y) {
  return beast::iequals(beast::string_view{x.data(), x.size()},
                        beast::string_view{y.data(), y.size()});
}

} // namespace

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
    if (!c.receive(idle))
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
  is_head_ = method() == "HEAD";
  old_client_ = m.version() < 11;
  body_in_chunks_ = p.chunked();
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
  if (broken_ || connection_.interrupted)
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
    if (!c.receive(static_cast<int>(c.options.stall_timeout.count()))) {
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
        || !c.receive(static_cast<int>(c.options.stall_timeout.count()))) {
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
  connection_.interrupted = true;
  ::shutdown(connection_.fd.get(), SHUT_RD);
}

void exchange::on_client_gone(std::function<void()> f) {
  std::lock_guard guard{mutex_};
  if (!closed_)
    watches_.push_back(
      connection_.watch.watch(connection_.fd.get(), std::move(f)));
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
  if (keep_alive_ && !broken_ && !connection_.interrupted)
    return true;
  connection_.linger();
  return false;
}

} // namespace millrace::http
