#include "olap/data_folder.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

#include <sys/file.h>

namespace fs = std::filesystem;

namespace millrace::olap {

namespace {

tl::unexpected<failure>
refuse(const std::string& path, const std::string& why) {
  return fail(ec::local_failure, "data folder " + path + ": " + why);
}

/// Takes the lock of a file, makes the file if asked. Errno, 0 if taken.
int lock_file(const std::string& path, int flags, http::unique_fd& fd) {
  fd = http::unique_fd{::open(path.c_str(), flags | O_CLOEXEC, 0644)};
  if (fd.get() < 0)
    return errno;
  return ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
}

std::string in_use(int fd) {
  char text[32] = "";
  auto n = ::pread(fd, text, sizeof(text) - 1, 0);
  std::string pid{text, n > 0 ? strspn(text, "0123456789") : 0};
  return "in use by another process" + (pid.empty() ? "" : " (PID " + pid + ")")
         + "; stop it or choose another folder";
}

} // namespace

result<data_folder> open_data_folder(const std::string& path) {
  std::error_code err;
  fs::create_directories(path, err);
  if (err)
    return refuse(path, "cannot be made: " + err.message());
  auto absolute = fs::canonical(path, err);
  if (err || !fs::is_directory(absolute))
    return refuse(path, "is no folder");
  data_folder x;
  x.path = absolute.string();
  auto name = (absolute / "millrace.lock").string();
  auto rc = lock_file(name, O_RDWR | O_CREAT, x.lock);
  if (rc == EWOULDBLOCK)
    return refuse(x.path, in_use(x.lock.get()));
  if (rc != 0)
    return refuse(x.path, std::string{"not writable: "} + std::strerror(rc));
  auto pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(x.lock.get(), 0) != 0
      || ::pwrite(x.lock.get(), pid.data(), pid.size(), 0)
           != static_cast<ssize_t>(pid.size()))
    return refuse(x.path, std::string{"not writable: "} + std::strerror(errno));
  // Another ClickHouse (a server, another program with libchdb) locks this.
  http::unique_fd status;
  rc = lock_file((absolute / "status").string(), O_RDONLY, status);
  if (rc == EWOULDBLOCK)
    return refuse(x.path, "in use by another ClickHouse; stop it or choose "
                          "another folder");
  for (auto* part : {&x.working, &x.scratch}) {
    auto folder
      = absolute / "millrace" / (part == &x.working ? "working" : "scratch");
    fs::remove_all(folder, err);
    fs::create_directories(folder, err);
    if (err)
      return refuse(x.path, "not writable: " + err.message());
    *part = folder.string();
  }
  return x;
}

} // namespace millrace::olap
