// The answer of an exchange.
#include "http/exchange.hpp"

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <strings.h>

#include <sys/uio.h>

namespace beast = boost::beast;

namespace millrace::http {

void exchange::set_header(std::string_view name, std::string_view value) {
  std::string text{value};
  std::replace_if(
    text.begin(), text.end(),
    [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  auto same = [&](auto& x) {
    return ::strncasecmp(x.first.data(), name.data(), name.size()) == 0
           && x.first.size() == name.size();
  };
  auto i = std::find_if(headers_.begin(), headers_.end(), same);
  if (i != headers_.end())
    i->second = std::move(text);
  else
    headers_.emplace_back(std::string{name}, std::move(text));
}

std::string exchange::head_text(std::optional<size_t> length) {
  started_ = true;
  // A connection whose unread rest is large cannot be used again.
  if (broken_ || connection_.interrupted
      || (!body_done_
          && (body_in_chunks_ || body_left_ > drain_limit || expect_continue_)))
    keep_alive_ = false;
  chunked_ = !length && !old_client_;
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
  broken_ = !connection_.send_all(parts, count) || broken_;
  return !broken_;
}

bool exchange::send(std::string_view body) {
  if (started_)
    return false;
  auto head = head_text(body.size());
  finished_ = true;
  auto no_body = is_head_ || status_ == 204;
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
  if (is_head_)
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
  if (!chunked_ || is_head_)
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

} // namespace millrace::http
