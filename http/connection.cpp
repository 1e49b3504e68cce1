#include "http/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <poll.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace millrace::http {

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

bool connection::receive(int timeout_ms) {
  for (;;) {
    if (interrupted)
      return false;
    auto n = ::recv(fd.get(), buffer.get() + end, capacity - end, 0);
    if (n > 0) {
      end += static_cast<size_t>(n);
      return true;
    }
    if (n == 0)
      return false;
    if (errno == EINTR)
      continue;
    if (errno != EAGAIN || !wait_for(fd.get(), POLLIN, timeout_ms))
      return false;
  }
}

bool connection::send_all(iovec* parts, size_t count) {
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
    auto n = ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR)
        continue;
      // Short waits: interrupt() must end this one too.
      if (errno == EAGAIN && !interrupted
          && waited < options.stall_timeout.count()) {
        if (!wait_for(fd.get(), POLLOUT, 200))
          waited += 200;
        continue;
      }
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

void connection::linger() {
  // Closing with unread bytes would reset the connection and could destroy an
  // answer that the client has not read yet.
  ::shutdown(fd.get(), SHUT_WR);
  char sink[1 << 16];
  auto deadline = ::time(nullptr) + 3;
  while (::time(nullptr) < deadline && !interrupted) {
    auto n = ::recv(fd.get(), sink, sizeof(sink), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
      return;
    if (n < 0 && !wait_for(fd.get(), POLLIN, 1000))
      return;
  }
}

} // namespace millrace::http
