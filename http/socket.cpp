#include "http/socket.hpp"

#include "http/server.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace millrace::http {

namespace {

using address_list = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

std::string to_text(const sockaddr* address, socklen_t size, bool with_port) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(address, size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV)
      != 0)
    return "?";
  std::string text = host;
  if (!with_port)
    return text;
  if (address->sa_family == AF_INET6)
    text = "[" + text + "]";
  return text.append(1, ':').append(port);
}

result<address_list> look_up(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  auto any = host.empty() || host == "*";
  auto rc = getaddrinfo(any ? nullptr : host.c_str(),
                        std::to_string(port).c_str(), &hints, &found);
  if (rc != 0)
    return fail(ec::local_failure, "cannot resolve the host name \"" + host
                                     + "\": " + gai_strerror(rc));
  return address_list{found, freeaddrinfo};
}

void set_port(sockaddr* address, uint16_t port) {
  if (address->sa_family == AF_INET)
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(port);
  else
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(port);
}

/// The listening socket, or errno.
tl::expected<listener, int> listen_on(const addrinfo& info) {
  unique_fd fd{
    ::socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (fd.get() < 0)
    return tl::unexpected<int>{errno};
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (info.ai_family == AF_INET6)
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  if (::bind(fd.get(), info.ai_addr, info.ai_addrlen) != 0
      || ::listen(fd.get(), 1024) != 0)
    return tl::unexpected<int>{errno};
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  listener x;
  x.port = ntohs(address.ss_family == AF_INET
                   ? reinterpret_cast<sockaddr_in*>(&address)->sin_port
                   : reinterpret_cast<sockaddr_in6*>(&address)->sin6_port);
  x.address = to_text(reinterpret_cast<sockaddr*>(&address), size, true);
  x.fd = std::move(fd);
  return x;
}

} // namespace

unique_fd& unique_fd::operator=(unique_fd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

unique_fd::~unique_fd() {
  if (fd_ >= 0)
    ::close(fd_);
}

result<std::vector<listener>>
listen_on(const std::string& host, uint16_t port) {
  auto found = look_up(host, port);
  if (!found)
    return tl::unexpected<failure>{found.error()};
  std::vector<listener> result;
  int not_ours = 0;
  for (auto* info = found->get(); info != nullptr; info = info->ai_next) {
    if (port == 0 && !result.empty())
      set_port(info->ai_addr, result.front().port);
    auto text = to_text(info->ai_addr, info->ai_addrlen, true);
    auto same = [&](auto& x) { return x.address == text; };
    if (std::any_of(result.begin(), result.end(), same))
      continue;
    if (auto x = listen_on(*info)) {
      result.push_back(std::move(*x));
    } else if (x.error() == EADDRNOTAVAIL || x.error() == EAFNOSUPPORT) {
      not_ours = x.error();
    } else {
      text = "cannot listen on " + text + ": " + std::strerror(x.error());
      if (x.error() == EADDRINUSE)
        text += "; stop the program that uses the port (`ss -ltnp` names it) "
                "or choose another port";
      return fail(ec::local_failure, text);
    }
  }
  if (result.empty())
    return fail(ec::local_failure,
                "cannot listen on " + host + ": " + std::strerror(not_ours));
  return result;
}

std::string peer_name(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return "?";
  return to_text(reinterpret_cast<sockaddr*>(&address), size, true);
}

bool wait_for(int fd, short events, int timeout_ms) {
  pollfd p{fd, events, 0};
  for (;;) {
    auto rc = ::poll(&p, 1, timeout_ms);
    if (rc >= 0 || errno != EINTR)
      return rc > 0;
  }
}

result<std::vector<std::string>> resolve(const std::string& host) {
  auto found = look_up(host, 0);
  if (!found)
    return tl::unexpected<failure>{found.error()};
  std::vector<std::string> result;
  for (auto* info = found->get(); info != nullptr; info = info->ai_next)
    result.push_back(to_text(info->ai_addr, info->ai_addrlen, false));
  return result;
}

bool is_loopback(std::string_view address) {
  std::string text{address};
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1)
    return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1)
    return false;
  if (IN6_IS_ADDR_V4MAPPED(&v6))
    return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6);
}

result<std::pair<std::string, uint16_t>>
split_host_port(std::string_view text) {
  auto bad = [&] {
    return fail(ec::invalid_configuration,
                "\"" + std::string{text}
                  + "\" is not an address: expected host:port, for example "
                    "127.0.0.1:8123 or [::1]:8123");
  };
  auto colon = text.rfind(':');
  if (colon == text.npos || colon == 0)
    return bad();
  auto host = text.substr(0, colon);
  auto digits = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != host.npos)
    return bad();
  uint16_t port = 0;
  auto [end, err]
    = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (err != std::errc{} || end != digits.data() + digits.size()
      || host.empty())
    return bad();
  return std::pair{std::string{host}, port};
}

} // namespace millrace::http
