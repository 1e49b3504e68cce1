#include "app/command_line.hpp"

namespace millrace {

namespace {

constexpr const char* overview
  = R"__(millrace keeps ClickHouse tables equal to the tables of a live PostgreSQL database.

usage: millrace COMMAND [OPTIONS]

  run      --config-file FILE   follows the source until SIGINT or SIGTERM
  check    --config-file FILE   says what is ready, what run would do, and what
                                is wrong; changes nothing
  status   --config-file FILE   shows what a running node does
  snapshot --config-file FILE --table SCHEMA.TABLE
                                asks a running node to take a table again
  dlq      ACTION --config-file FILE
                                lists, shows, replays or drops dead letters
  olap     --data-dir DIR       serves an embedded ClickHouse over HTTP

  millrace COMMAND --help       explains a command
  millrace --version            prints the version

Start from conf/millrace.conf, which explains every entry; then run check.
)__";

constexpr const char* run_help = R"__(usage: millrace run --config-file FILE

Follows the source into the target until SIGINT or SIGTERM; then writes what it
has read, confirms it, and stops within 10 seconds. A server that is away is
waited for. SIGHUP opens the log file again.

  --config-file FILE, -c FILE   the configuration; conf/millrace.conf explains it

environment
  MILLRACE_SOURCE_PASSWORD      PostgreSQL password, before source.password-file
  MILLRACE_TARGET_PASSWORD      ClickHouse password, before target.password-file

exit code   0 stopped; 1 failed for good, the message says why; 2 bad
            configuration or arguments
)__";

constexpr const char* check_help = R"__(usage: millrace check --config-file FILE

Checks the configuration, the servers' versions, settings and privileges, and
every table, type and name. Prints what run would do, and every problem with its
remedy. Changes nothing.

  --config-file FILE, -c FILE   the configuration; conf/millrace.conf explains it

environment
  MILLRACE_SOURCE_PASSWORD      PostgreSQL password, before source.password-file
  MILLRACE_TARGET_PASSWORD      ClickHouse password, before target.password-file

exit code   0 ready; 1 problems; 2 bad configuration or arguments
)__";

constexpr const char* snapshot_help
  = R"__(usage: millrace snapshot --config-file FILE --table SCHEMA.TABLE

Asks the running node, at http.listen of the configuration, to take a table
again: all its rows are read, and rows that are not in the source any more
disappear from the target. The other tables go on. This is also the way out of
quarantine, once what is wrong has been mended. Returns when the node has
remembered it; millrace status shows how far it is.

  --config-file FILE, -c FILE   the configuration of the running node
  --table SCHEMA.TABLE          a table that the node follows

exit code   0 the node will take it; 1 it will not, the message says why; 2 bad
            configuration or arguments
)__";

constexpr const char* status_help
  = R"__(usage: millrace status --config-file FILE [--json]

Asks the running node, at http.listen of the configuration, what it does: state,
position and lag, and each table's.

  --config-file FILE, -c FILE   the configuration of the running node
  --json                        the whole answer, as one JSON object

exit code   0 healthy: it follows, lags less than limits.ready-lag, and no table
            is quarantined; 1 not, or no answer; 2 bad configuration or
            arguments
)__";

constexpr const char* dlq_help
  = R"__(usage: millrace dlq ACTION --config-file FILE [OPTIONS]

Deals with dead letters: changes that could not be written, in the table
_dead_letters of the target. Works beside a running node.

  list     one entry each: time, table, operation, key, position, error
  show     the same with the whole event
  replay   writes them under their own versions: a row is there afterwards only
           if nothing newer has been written for its key. Those that still
           cannot be written stay, with the reason
  drop     marks them as dealt with, unwritten. A large value that one of them
           brought stays unknown until a change brings it again

  --config-file FILE, -c FILE   the configuration of the pipeline
  --table SCHEMA.TABLE          only those of this source table
  --since TIME                  only those put aside since: 2026-05-01 12:00:00,
                                UTC
  --json                        as JSON

environment
  MILLRACE_SOURCE_PASSWORD      PostgreSQL password, before source.password-file
  MILLRACE_TARGET_PASSWORD      ClickHouse password, before target.password-file

exit code   0 done; 1 a server does not answer, or some could not be replayed;
            2 bad configuration or arguments
)__";

constexpr const char* olap_help
  = R"__(usage: millrace olap --data-dir DIR [OPTIONS]

Serves an embedded ClickHouse (libchdb) over ClickHouse's HTTP interface, for
one machine and for tests, until SIGINT or SIGTERM. Prints one line when it is
ready.

  --data-dir DIR          where the tables are; made when it is missing
  --listen HOST:PORT      default 127.0.0.1:8123; port 0 takes a free one; other
                          hosts than loopback need --users-file
  --users-file FILE       one user a line: name, password or sha256:HEX, and
                          "readonly" if that is all it may do; without the file,
                          the user default without a password
  --host-name NAME        a further name by which clients may call this server;
                          requests with other names are refused; may be repeated
  --max-memory-bytes N    limit for all queries; default 0.9 of the machine's
  --library FILE          libchdb.so; default: MILLRACE_LIBCHDB, beside the
                          program, or where make install and make build put it

Whoever may send a query can read every file that this process can read: run it
as a system user of its own.

exit code   0 stopped; 1 failed; 2 bad arguments
)__";

} // namespace

std::string help_text(command about) {
  switch (about) {
    case command::run:
      return run_help;
    case command::check:
      return check_help;
    case command::status:
      return status_help;
    case command::dlq:
      return dlq_help;
    case command::snapshot:
      return snapshot_help;
    case command::olap:
      return olap_help;
    default:
      return overview;
  }
}

} // namespace millrace
