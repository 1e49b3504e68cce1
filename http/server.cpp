#include "http/server.hpp"

#include "http/exchange.hpp"

#include <cerrno>
#include <condition_variable>
#include <exception>
#include <list>
#include <poll.h>
#include <thread>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/socket.h>

namespace millrace::http {

request::request(exchange& x) : x_(x) {
  // nop
}

std::string_view request::method() const {
  return x_.method();
}

std::string_view request::target() const {
  return x_.target();
}

std::string_view request::header(std::string_view name) const {
  return x_.field(name);
}

bool request::has_header(std::string_view name) const {
  return x_.has_field(name);
}

const std::string& request::peer() const {
  return x_.peer();
}

bool request::has_body() const {
  return x_.has_body();
}

std::optional<std::string_view> request::read() {
  return x_.read_body();
}

bool request::body_complete() const {
  return x_.body_complete();
}

bool request::client_gone() const {
  return x_.client_gone();
}

response_writer::response_writer(exchange& x) : x_(x) {
  // nop
}

void response_writer::status(unsigned code) {
  x_.status(code);
}

void response_writer::header(std::string_view name, std::string_view value) {
  x_.set_header(name, value);
}

bool response_writer::send(std::string_view body) {
  return x_.send(body);
}

bool response_writer::write(std::string_view piece) {
  return x_.write(piece);
}

bool response_writer::finish() {
  return x_.finish();
}

void response_writer::abort() {
  x_.abort();
}

bool response_writer::started() const {
  return x_.started();
}

interrupter::interrupter(std::weak_ptr<exchange> x) : x_(std::move(x)) {
  // nop
}

void interrupter::interrupt() const {
  if (auto x = x_.lock())
    x->interrupt();
}

void interrupter::on_client_gone(std::function<void()> f) const {
  if (auto x = x_.lock())
    x->on_client_gone(std::move(f));
}

struct server::impl {
  /// A connection whose thread runs.
  struct slot {
    int fd = -1;
    std::shared_ptr<exchange> current;
  };
  using slots = std::list<slot>;

  server_options options;
  std::vector<listener> listeners;
  std::vector<std::string> addresses;
  unique_fd stop_event{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::thread acceptor;
  handler handle;
  client_watch watch;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  slots live;

  void accept_loop();
  void take(unique_fd fd);
  void serve(unique_fd fd, slots::iterator self);
  bool begin(slots::iterator self, const std::shared_ptr<exchange>& x);
};

void server::impl::accept_loop() {
  std::vector<pollfd> fds{{stop_event.get(), POLLIN, 0}};
  for (auto& x : listeners)
    fds.push_back({x.fd.get(), POLLIN, 0});
  for (;;) {
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
      return;
    if (fds[0].revents != 0)
      return;
    for (size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents == 0)
        continue;
      unique_fd fd{
        ::accept4(fds[i].fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (fd.get() >= 0)
        take(std::move(fd));
      else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        wait_for(stop_event.get(), POLLIN, 100); // until some are closed
    }
  }
}

void server::impl::take(unique_fd fd) {
  std::lock_guard guard{mutex};
  if (stopping)
    return;
  if (live.size() >= options.max_connections) {
    std::string_view text
      = "HTTP/1.1 503 Service Unavailable\r\nConnection: Close\r\n"
        "Content-Length: 22\r\n\r\nToo many connections.\n";
    [[maybe_unused]] auto n
      = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
    ::shutdown(fd.get(), SHUT_WR);
    return;
  }
  auto self = live.insert(live.end(), slot{fd.get(), nullptr});
  try {
    std::thread{[this, self, fd = std::move(fd)]() mutable {
      serve(std::move(fd), self);
    }}.detach();
  } catch (const std::system_error&) {
    live.erase(self); // no more threads: the connection is closed
  }
}

bool server::impl::begin(slots::iterator self,
                         const std::shared_ptr<exchange>& x) {
  std::lock_guard guard{mutex};
  self->current = x;
  return !stopping;
}

void server::impl::serve(unique_fd fd, slots::iterator self) {
  {
    connection c{std::move(fd), options, watch};
    for (auto again = true; again;) {
      auto x = std::make_shared<exchange>(c);
      auto state = x->read_head();
      if (state == exchange::head_state::closed || !begin(self, x))
        break;
      if (state == exchange::head_state::complete) {
        request in{*x};
        response_writer out{*x};
        try {
          handle(call{in, out, interrupter{x}});
        } catch (const std::exception&) {
          // Out of memory, most likely: this answer, not the process.
          if (x->started())
            x->abort();
        }
      }
      again = x->close();
      std::lock_guard guard{mutex};
      self->current = nullptr;
      again = again && !stopping;
    }
    std::lock_guard guard{mutex};
    self->current = nullptr;
    self->fd = -1; // closed below: stop() must not touch it any more
  }
  std::lock_guard guard{mutex};
  live.erase(self);
  changed.notify_all();
}

server::server() : impl_(std::make_unique<impl>()) {
  // nop
}

server::~server() {
  // Threads that outlive a failed stop() still use the implementation.
  if (!stop(std::chrono::seconds{1})) [[maybe_unused]]
    auto leaked = impl_.release();
}

result<void> server::bind(const server_options& options) {
  auto found = listen_on(options.host, options.port);
  if (!found)
    return tl::unexpected<failure>{found.error()};
  impl_->options = options;
  impl_->listeners = std::move(*found);
  for (auto& x : impl_->listeners)
    impl_->addresses.push_back(x.address);
  return {};
}

uint16_t server::port() const {
  return impl_->listeners.empty() ? 0 : impl_->listeners.front().port;
}

const std::vector<std::string>& server::addresses() const {
  return impl_->addresses;
}

void server::start(handler f) {
  impl_->handle = std::move(f);
  impl_->acceptor = std::thread{[this] { impl_->accept_loop(); }};
}

bool server::stop(std::chrono::milliseconds grace) {
  auto& x = *impl_;
  if (x.acceptor.joinable()) {
    uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(x.stop_event.get(), &one, sizeof(one));
    x.acceptor.join();
  }
  x.listeners.clear();
  std::unique_lock guard{x.mutex};
  x.stopping = true;
  for (auto& slot : x.live)
    if (!slot.current && slot.fd >= 0)
      ::shutdown(slot.fd, SHUT_RDWR);
  auto none = [&] { return x.live.empty(); };
  if (x.changed.wait_for(guard, grace, none))
    return true;
  for (auto& slot : x.live)
    if (slot.current)
      slot.current->interrupt();
  return x.changed.wait_for(guard, grace, none);
}

} // namespace millrace::http
