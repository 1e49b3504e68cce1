#include "postgres/exported_snapshot.hpp"

#include "postgres/connection.hpp"

#include <cstdio>
#include <random>

namespace millrace::postgres {

namespace {

std::string temporary_name() {
  std::random_device device;
  char text[40];
  std::snprintf(text, sizeof(text), "millrace_tmp_%08x%08x", device(),
                device());
  return text;
}

} // namespace

result<exported_snapshot> export_snapshot(const source_options& options) {
  std::string what = "cannot export a snapshot";
  auto conn = connect(options, session_kind::replication);
  if (!conn)
    return tl::unexpected{std::move(conn.error())};
  // Bounded, so that the wait can be seen.
  if (auto set = run(conn->get(), "SET statement_timeout = '20s'", what); !set)
    return tl::unexpected{std::move(set.error())};
  auto rows = run(conn->get(),
                  "CREATE_REPLICATION_SLOT " + temporary_name()
                    + " TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT",
                  what
                    + " (it takes a free replication slot, and waits for "
                      "transactions that write)");
  if (!rows) {
    auto problem = std::move(rows.error());
    if (!is_retriable(problem.code))
      problem.code = ec::source_failed;
    return tl::unexpected{std::move(problem)};
  }
  exported_snapshot result;
  result.position = parse_lsn(field(rows->get(), 0, 1)).value_or(lsn{});
  result.name = field(rows->get(), 0, 2);
  result.holder = std::shared_ptr<void>{std::move(*conn)};
  return result;
}

} // namespace millrace::postgres
