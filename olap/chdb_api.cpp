#include "olap/chdb_api.hpp"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <unistd.h>

namespace millrace::olap {

namespace {

constexpr const char* cached_folder = "libchdb-26.7.3-stable.1";

constexpr const char* remedy
  = "; `make build` downloads the right one (npm package "
    "@chdb/lib-linux-x64-gnu or -arm64-gnu, version 26.7.3-stable.1), and "
    "MILLRACE_LIBCHDB names one elsewhere";

template <class F>
bool resolve(void* library, const char* name, F& target) {
  target = reinterpret_cast<F>(::dlsym(library, name));
  return target != nullptr;
}

} // namespace

result<chdb_api> load_chdb(const std::string& path) {
  // Its allocator keeps freed pages for 5 s: at large blocks of wide rows that
  // is hundreds of megabytes. It reads this while it is loaded.
  ::setenv("JE_MALLOC_CONF", "dirty_decay_ms:1000,muzzy_decay_ms:0", 0);
  auto* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return fail(ec::local_failure, "cannot load libchdb from " + path + ": "
                                     + (why != nullptr ? why : "?") + remedy);
  }
  chdb_api x{};
  const char* missing = nullptr;
  auto need = [&](const char* name, auto& target) {
    if (!resolve(library, name, target) && missing == nullptr)
      missing = name;
  };
  need("chdb_set_signal_handlers_enabled", x.set_signal_handlers_enabled);
  need("chdb_connect", x.connect);
  need("chdb_close_conn", x.close_conn);
  need("chdb_shutdown", x.shutdown);
  need("chdb_query_with_params_n", x.query_with_params);
  need("chdb_stream_insert_with_params_n", x.insert_with_params);
  need("chdb_stream_append", x.insert_append);
  need("chdb_stream_done", x.insert_done);
  need("chdb_stream_cancel_insert", x.insert_cancel);
  need("chdb_stream_insert_error", x.insert_error);
  need("chdb_destroy_insert_stream", x.destroy_insert);
  need("chdb_result_buffer", x.result_buffer);
  need("chdb_result_length", x.result_length);
  need("chdb_result_error", x.result_error);
  need("chdb_result_rows_read", x.result_rows);
  need("chdb_result_bytes_read", x.result_bytes);
  need("chdb_result_storage_rows_read", x.storage_rows);
  need("chdb_result_storage_bytes_read", x.storage_bytes);
  need("chdb_result_rows_written", x.rows_written);
  need("chdb_result_bytes_written", x.bytes_written);
  need("chdb_destroy_query_result", x.destroy_result);
  need("chdb_classify_query_n", x.classify);
  if (missing != nullptr) {
    auto text = path + " is not the libchdb that millrace needs: it lacks "
                + missing + remedy;
    ::dlclose(library);
    return fail(ec::local_failure, text);
  }
  return x;
}

std::vector<std::string> chdb_candidates(const std::string& option) {
  if (!option.empty())
    return {option};
  if (const char* x = std::getenv("MILLRACE_LIBCHDB"); x != nullptr && *x)
    return {x};
  std::vector<std::string> result;
  std::error_code err;
  auto self = std::filesystem::read_symlink("/proc/self/exe", err);
  if (!err) {
    auto dir = self.parent_path();
    result.push_back((dir / "libchdb.so").string());
    result.push_back(
      (dir.parent_path() / "lib" / "millrace" / "libchdb.so").string());
  }
  std::filesystem::path cache;
  if (const char* x = std::getenv("XDG_CACHE_HOME"); x != nullptr && *x)
    cache = x;
  else if (const char* home = std::getenv("HOME"); home != nullptr && *home)
    cache = std::filesystem::path{home} / ".cache";
  if (!cache.empty())
    result.push_back(
      (cache / "millrace" / cached_folder / "libchdb.so").string());
  return result;
}

result<std::string> find_chdb(const std::string& option) {
  std::string tried;
  for (auto& path : chdb_candidates(option)) {
    if (::access(path.c_str(), R_OK) == 0)
      return path;
    tried += (tried.empty() ? "" : ", ") + path;
  }
  return fail(ec::local_failure,
              "cannot find libchdb (looked for " + tried + ")" + remedy);
}

} // namespace millrace::olap
