#include "fake_postgres.hpp"

#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

namespace millrace::test {

namespace {

uint64_t number(std::string_view bytes) {
  uint64_t result = 0;
  for (unsigned char c : bytes)
    result = result << 8 | c;
  return result;
}

std::string message(char type, std::string_view body) {
  return type + network(body.size() + 4, 4) + std::string{body};
}

} // namespace

std::string network(uint64_t x, int n) {
  std::string result;
  for (int i = n - 1; i >= 0; --i)
    result += static_cast<char>(x >> (8 * i));
  return result;
}

fake_postgres::fake_postgres() {
  char folder[] = "/tmp/millrace-fake-XXXXXX";
  if (mkdtemp(folder) == nullptr)
    throw std::runtime_error("cannot make a folder");
  folder_ = folder;
  auto path = folder_ + "/.s.PGSQL.5432";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address))
        != 0
      || ::listen(listener_, 1) != 0)
    throw std::runtime_error("cannot listen");
  // Only to connect takes two threads.
  std::thread server{[this] { serve(); }};
  auto uri
    = "host=" + folder_ + " port=5432 user=u dbname=d gssencmode=disable";
  client_.reset(PQconnectdb(uri.c_str()));
  postgres::rows_ptr rows{PQexec(client_.get(), "START_REPLICATION")};
  server.join();
  if (PQresultStatus(rows.get()) != PGRES_COPY_BOTH
      || PQsetnonblocking(client_.get(), 1) != 0)
    throw std::runtime_error(PQerrorMessage(client_.get()));
}

fake_postgres::~fake_postgres() {
  close();
  ::close(listener_);
  ::unlink((folder_ + "/.s.PGSQL.5432").c_str());
  ::rmdir(folder_.c_str());
}

void fake_postgres::serve() {
  fd_ = ::accept(listener_, nullptr, nullptr);
  auto wait_for = [this](size_t n) {
    char buffer[4096];
    while (input_.size() < n) {
      auto k = ::recv(fd_, buffer, sizeof(buffer), 0);
      if (k <= 0)
        return;
      input_.append(buffer, static_cast<size_t>(k));
    }
  };
  wait_for(4);
  auto size = number(input_.substr(0, 4));
  wait_for(size);
  input_.erase(0, size);
  using namespace std::literals;
  send(message('R', network(0, 4))
       + message('S', "server_version\0"s + "15.5\0"s) + message('Z', "I"));
  wait_for(5);
  size = 1 + number(input_.substr(1, 4));
  wait_for(size);
  input_.erase(0, size);
  send(message('W', network(0, 3)));
}

void fake_postgres::send(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

void fake_postgres::copy(std::string_view x) {
  send(message('d', x));
}

void fake_postgres::data(lsn at, std::string_view x) {
  copy("w" + network(at.value, 8) + network(at.value, 8) + network(0, 8)
       + std::string{x});
}

void fake_postgres::keepalive(lsn end, bool reply) {
  copy("k" + network(end.value, 8) + network(0, 8) + network(reply, 1));
}

void fake_postgres::error(std::string_view code, std::string_view text) {
  std::string body;
  for (auto part : {std::string{"SERROR"}, "C" + std::string{code},
                    "M" + std::string{text}})
    body += part + '\0';
  send(message('E', body + '\0'));
}

void fake_postgres::close() {
  if (fd_ >= 0)
    ::close(fd_);
  fd_ = -1;
}

std::optional<fake_postgres::status> fake_postgres::told() {
  char buffer[4096];
  for (;;) {
    auto n = ::recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n <= 0)
      break;
    input_.append(buffer, static_cast<size_t>(n));
  }
  constexpr size_t size = 5 + 34;
  std::string_view in{input_};
  if (in.size() < size || in.substr(0, 1) != "d" || in[5] != 'r')
    return {};
  status result;
  result.written.value = number(in.substr(6, 8));
  result.flushed.value = number(in.substr(14, 8));
  result.applied.value = number(in.substr(22, 8));
  result.reply = in[38] != 0;
  input_.erase(0, size);
  return result;
}

std::string begin_message(lsn commit) {
  return "B" + network(commit.value, 8) + network(0, 8) + network(7, 4);
}

std::string commit_message(lsn commit, lsn end) {
  return "C" + network(0, 1) + network(commit.value, 8) + network(end.value, 8)
         + network(0, 8);
}

} // namespace millrace::test
