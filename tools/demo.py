#!/usr/bin/python3
"""make demo: a shop's database, live in ClickHouse, until Ctrl-C or for so many seconds.

PostgreSQL, embedded ClickHouse and the node run in a temporary folder on ports of the loopback
interface. At the end every table is compared; the exit code says whether all are equal.
"""

import argparse
import os
import re
import signal
import statistics
import sys
import threading
import time

import shop
from millrace_compare import compare
from millrace_servers import PROJECT, Failure, Stage, free_port, wait_until

CONF = os.path.join(PROJECT, "conf", "demo.conf")
SETTLE_SECONDS = 120

# -- the configuration file -------------------------------------------------------------------------


def entry(text, section, key):
    """The value of a key in a section of a configuration file, without quotes; None if it is not there."""
    found = re.search(rf"(?ms)^\[{section}\](?:(?!^\[).)*?^\s*{key}\s*=\s*\"?([^\"\n]*)", text)
    return found.group(1).strip() if found else None


def with_entry(text, section, key, value):
    """The text with that entry set."""
    line = f'{key} = "{value}"'
    if entry(text, section, key) is not None:
        return re.sub(rf"(?ms)(^\[{section}\](?:(?!^\[).)*?)^\s*{key}\s*=[^\n]*", lambda found: found.group(1) + line, text, count=1)
    if re.search(rf"(?m)^\[{section}\]", text):
        return re.sub(rf"(?m)^(\[{section}\][^\n]*)$", lambda found: found.group(1) + "\n" + line, text, count=1)
    return f"{text}\n[{section}]\n{line}\n"


def port_of(text, section, key, default):
    found = re.search(r":(\d+)", entry(text, section, key) or "")
    return int(found.group(1)) if found else default


# -- what is shown ----------------------------------------------------------------------------------


class Screen:
    """A table that is drawn over itself at a terminal, and lines elsewhere."""

    def __init__(self):
        self.live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.drawn = 0
        self.last = 0.0

    def style(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.live else text

    def say(self, text=""):
        self.drawn = 0
        print(text, flush=True)

    def step(self, text, action):
        """Runs a step of the start and says how long it took."""
        start = time.monotonic()
        if self.live:
            print(f"  {text} ...", end="", flush=True)
        result = action()
        took = f"{time.monotonic() - start:5.1f} s"
        print(f"\r  {text:<66}{took}" if self.live else f"  {text}: {took.strip()}", flush=True)
        return result

    def show(self, elapsed, rows, footer, final=False):
        """Draws the table; elsewhere than at a terminal only every five seconds."""
        if not self.live and not final and elapsed - self.last < 5:
            return
        self.last = elapsed
        clock = f"{int(elapsed) // 60:02}:{int(elapsed) % 60:02}"
        lines = [self.style("1", f"  {clock}   {'table':<14}{'rows in source':>15}{'rows in target':>16}{'changes/s':>11}{'lag ms':>8}")]
        for row in rows:
            same = self.style("32", "  =") if row["source"] == row["target"] else self.style("33", "  …" if self.live else "")
            lag = f"{row['lag']:.0f}" if row["lag"] is not None else "-"
            lines.append(f"          {row['table']:<14}{row['source']:>15,}{row['target']:>16,}{row['rate']:>11,.0f}{lag:>8}{same}")
        lines.append("          " + footer)
        if self.live and self.drawn:
            print(f"\033[{self.drawn}A", end="")
        print("\n".join(line + ("\033[K" if self.live else "") for line in lines), flush=True)
        self.drawn = len(lines)


# -- measuring --------------------------------------------------------------------------------------


class Prober(threading.Thread):
    """Measures the lag of each table: commits an update and asks the target until it is visible."""

    def __init__(self, source, target, stopping):
        super().__init__(daemon=True)
        self.source, self.target, self.stopping = source, target, stopping
        self.recent = {table: [] for table in shop.TABLES}
        self.all = []

    def lag(self, table):
        """The median of the last probes in milliseconds."""
        return statistics.median(self.recent[table]) if self.recent[table] else None

    def run(self):
        connection = None
        while not self.stopping.is_set():
            for table in shop.TABLES:
                try:
                    connection = connection or self.source.connect("shop")
                    self._probe(connection, table)
                except Exception as error:  # a server is being stopped; the main thread notices what matters
                    if not self.stopping.is_set():
                        self.recent[table] = self.recent[table][-1:]
                        connection = None if "connection" in str(error) else connection
                self.stopping.wait(0.15)

    def _probe(self, connection, table):
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET updated_at = clock_timestamp() WHERE id = 1 "
                           "RETURNING to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
            moment = cursor.fetchone()[0]
        committed = time.monotonic()
        while not self.stopping.is_set():
            seen = self.target.query(f"SELECT count() FROM shop.{table} FINAL WHERE id = 1 AND updated_at >= '{moment}'")
            lag = (time.monotonic() - committed) * 1000
            if seen.strip() == "1":
                self.all.append(lag)
                self.recent[table] = [*self.recent[table][-4:], lag]
                return
            if lag > 3000:
                self.recent[table] = [lag]
            self.stopping.wait(0.004 if lag < 200 else 0.1)


class Meter:
    """Rows on both sides and changes per second, from the databases themselves."""

    def __init__(self, source, target):
        self.connection, self.target = source.connect("shop"), target
        self.changes, self.moment = {}, None

    def read(self, prober):
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables")
            changes, moment = dict(cursor.fetchall()), time.monotonic()
            cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in shop.TABLES))
            source = dict(cursor.fetchall())
        text = self.target.query(" UNION ALL ".join(f"SELECT '{table}', count() FROM shop.{table} FINAL" for table in shop.TABLES))
        target = {name: int(count) for name, count in (line.split("\t") for line in text.splitlines())}
        seconds = moment - self.moment if self.moment else None
        rows = [{"table": table, "source": source[table], "target": target[table], "lag": prober.lag(table),
                 "rate": (changes[table] - self.changes.get(table, 0)) / seconds if seconds else 0.0} for table in shop.TABLES]
        self.changes, self.moment = changes, moment
        return rows


# -- the demo ---------------------------------------------------------------------------------------


def prepare(stage, screen, fsync):
    """Starts the servers; returns (source, target, node)."""
    with open(CONF, encoding="utf-8") as file:
        conf = file.read()
    source = screen.step("PostgreSQL with logical replication", lambda: stage.postgres(
        port=port_of(conf, "source", "uri", 54329), fsync=fsync))

    def fill():
        source.execute("CREATE DATABASE shop")
        connection = source.connect("shop")
        shop.seed(connection)
        connection.close()
    screen.step("the shop: customers, products, orders, order_items, outbox_events", fill)
    target = screen.step("millrace olap: ClickHouse, embedded", lambda: stage.olap(port=port_of(conf, "target", "url", 8123)))

    http_port = free_port(port_of(conf, "http", "listen", 9470))
    conf = with_entry(conf, "source", "uri", source.uri("shop"))
    conf = with_entry(conf, "source", "password-file", source.password_path)
    conf = with_entry(conf, "target", "url", target.url)
    conf = with_entry(conf, "http", "listen", f"127.0.0.1:{http_port}")
    path = os.path.join(stage.folder, "demo.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(conf)
    node = stage.node(source, target, config_file=path, start=False)
    node.http_port = http_port
    screen.step("millrace run: conf/demo.conf", node.start)

    def copied():
        meter = Meter(source, target)
        wait_until(lambda: all(row["source"] == row["target"] for row in meter.read(Prober(source, target, threading.Event()))),
                   "the initial snapshot", 60, 0.1, alive=node)
        meter.connection.close()
    screen.step("the rows that were there before", copied)
    return source, target, node


def invite(screen, source, target, node):
    screen.say()
    screen.say("  Try from a second terminal:")
    screen.say(screen.style("36", f"    psql '{source.uri('shop', password=True)}'"))
    screen.say(screen.style("36", f"    curl '{target.url}/?database=shop' -d 'SELECT status, count() FROM orders FINAL GROUP BY status'"))
    screen.say(screen.style("36", f"    curl http://127.0.0.1:{node.http_port}/status"))
    screen.say(screen.style("36", f"    build/millrace status --config-file {node.config_file}"))
    screen.say()


def watch(screen, source, target, node, duration, interrupted):
    """The workload and the live table; returns the measured lags."""
    stopping = threading.Event()
    prober = Prober(source, target, stopping)
    meter = Meter(source, target)
    workload = shop.Workload(lambda: source.connect("shop")).start()
    prober.start()
    meter.read(prober)
    start = time.monotonic()
    until = f"for {duration:g} s" if duration else "until Ctrl-C"
    while not interrupted.is_set() and not (duration and time.monotonic() - start >= duration):
        interrupted.wait(1.0)
        if not node.running() or not source.running() or not target.running():
            break
        try:
            rows = meter.read(prober)
        except Exception as error:
            screen.say(f"  reading the row counts: {error}")
            continue
        screen.show(time.monotonic() - start, rows,
                    f"{workload.transactions:,} transactions so far, {until}; node: {node.rss_bytes() / 1e6:.0f} MB")
    stopping.set()
    workload.stop()
    prober.join(5)
    return workload, prober.all


def settle(source, node):
    """Waits until every logical slot has confirmed the end of the log: all is durable in ClickHouse."""
    lsn = source.current_lsn()
    wait_until(lambda: source.value("SELECT count(*) > 0 AND bool_and(confirmed_flush_lsn >= %s::pg_lsn) FROM pg_replication_slots"
                                    " WHERE database = 'shop'", (lsn,)),
               "the node confirms the last change", SETTLE_SECONDS, alive=node)


def run(screen, stage, duration, fsync, interrupted):
    source, target, node = prepare(stage, screen, fsync)
    invite(screen, source, target, node)
    workload, lags = watch(screen, source, target, node, duration, interrupted)
    screen.say()
    for server in (source, target, node):
        if not server.running():
            screen.say(f"  {server.name} has ended with {server.poll()}:\n{server.log_tail()}")
            return 1
    screen.say(f"  workload stopped after {workload.transactions:,} transactions; comparing every table, value for value")
    settle(source, node)
    results = compare(source, target, "shop")
    for result in results:
        screen.say(f"    {result}")
    if lags:
        ordered = sorted(lags)
        screen.say(f"  commit to visible: median {statistics.median(lags):.0f} ms, "
                   f"99 of 100 within {ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]:.0f} ms ({len(lags)} probes)")
    equal = bool(results) and all(results)
    screen.say()
    screen.say(screen.style("1;32", "  EQUAL: ClickHouse holds exactly what PostgreSQL holds.") if equal
               else screen.style("1;31", "  NOT EQUAL: see above."))
    return 0 if equal else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=0, metavar="SECONDS", help="end after so long (default: at Ctrl-C)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder with data and logs")
    options = parser.parse_args()

    interrupted = threading.Event()

    def interrupt(number, frame):
        if interrupted.is_set():  # the second time: at once
            raise KeyboardInterrupt
        interrupted.set()

    signal.signal(signal.SIGTERM, interrupt)
    screen = Screen()
    screen.say("millrace: a live PostgreSQL database, exactly and quickly in ClickHouse")
    screen.say()
    code = 1
    with Stage(keep=options.keep) as stage:
        try:
            signal.signal(signal.SIGINT, interrupt)
            code = run(screen, stage, options.duration, True, interrupted)
        except Failure as failure:
            screen.say(f"\n  {failure}")
            print(stage.logs(), file=sys.stderr)
        except KeyboardInterrupt:
            screen.say("\n  stopped")
            code = 130
    if options.keep:
        screen.say(f"  Stays: {stage.folder}")
    else:
        screen.say("  Servers stopped, temporary folder removed. Stays: build/ and ~/.cache/millrace, so that the next start takes seconds.")
    return code


if __name__ == "__main__":
    sys.exit(main())
