#!/usr/bin/python3
"""Measures millrace against references of the same run, on this machine, with servers of its own.

    bench/bench.py [PART ...]       parts: catchup mixed snapshot latency large outage idle olap_insert olap_stream (default: all)

ROWS=n changes the million, IDLE=seconds the ten minutes, REPEAT=n the tries of which the best counts (for
both sides alike). Prints a table and writes build/bench.json: a list of objects with name, value, unit,
reference, ratio, wanted, ok."""

import contextlib
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(PROJECT, "tools"))

from millrace_compare import assert_equal  # noqa: E402
from millrace_servers import ClickHouseError, Stage, postgres_program, wait_until  # noqa: E402

ROWS = int(os.environ.get("ROWS") or 1_000_000)
IDLE = float(os.environ.get("IDLE") or 600)
REPEAT = int(os.environ.get("REPEAT") or 2)
TABLE = "CREATE TABLE t (id bigint PRIMARY KEY, n int, s text, p numeric(12,2), ts timestamptz)"

results = []


def report(name, value, unit, wanted=None, reference=None, ratio=None, ok=None):
    """One row of the table. `wanted` is a text; `ok` is None where nothing is wanted."""
    results.append({"name": name, "value": value, "unit": unit, "reference": reference, "ratio": ratio, "wanted": wanted, "ok": ok})
    shown = "" if ok is None else ("ok" if ok else "MISSED")
    print(f"{name:<58} {value:>12,.2f} {unit:<7} {'' if reference is None else f'{reference:,.2f}':>12} "
          f"{'' if ratio is None else f'{ratio:.2f}':>6}  {wanted or '':<22} {shown}", flush=True)


def report_ratio(name, value, unit, reference, least):
    ratio = value / reference
    report(name, value, unit, f"at least {least} of it", reference, round(ratio, 3), ratio >= least)


def report_limit(name, value, unit, most):
    report(name, value, unit, f"at most {most:g}", None, None, value <= most)


# -- a backlog ------------------------------------------------------------------------------------------

def fill(source, database, rows, mixed=False):
    """Transactions of 1,000 rows: inserts, or 40 % inserts, 50 % updates and 10 % deletes in random order."""
    connection = source.connect(database, autocommit=False)
    insert = "INSERT INTO t SELECT g, g %% 1000, 'some text of row ' || g, g * 1.25, now() FROM generate_series(%s::int, %s::int) g"
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM t")
        first = cursor.fetchone()[0] + 1
        if not mixed:
            for low in range(first, first + rows, 1000):
                cursor.execute(insert, (low, low + 999))
                connection.commit()
        else:
            cursor.execute("SELECT setseed(0.5)")
            for number in range(rows // 1000):
                low = first + number * 400
                cursor.execute(insert, (low, low + 399))
                cursor.execute("""UPDATE t SET n = n + 1, s = s || '.' WHERE id IN
                    (SELECT DISTINCT 1 + (random() * %s)::int FROM generate_series(1, 520)) AND id % 5 <> 0""".replace("% 5", "%% 5"), (low,))
                cursor.execute("DELETE FROM t WHERE id IN (SELECT 5 * (random() * %s / 5)::int FROM generate_series(1, 100))", (low,))
                connection.commit()
    connection.close()


def changes_in(source, database, slot):
    """Row changes that a slot holds."""
    publication = slot
    sql = f"""SELECT count(*) FROM pg_logical_slot_peek_binary_changes('{slot}', NULL, NULL, 'proto_version', '1', 'publication_names', '{publication}')
        WHERE get_byte(data, 0) IN (73, 85, 68)"""
    return source.value(sql, database=database)


def recvlogical(source, database, slot, publication, over_socket, until):
    """Seconds that pg_recvlogical takes to read a slot to /dev/null."""
    host = source.socket_folder if over_socket else "127.0.0.1"
    command = [postgres_program("pg_recvlogical"), "-h", host, "-p", str(source.port), "-U", "postgres", "-d", database, "-S", slot, "--start",
               "-o", "proto_version=1", "-o", f"publication_names={publication}", "-E", until, "-f", "/dev/null", "--no-loop"]
    start = time.monotonic()
    subprocess.run(command, env={**os.environ, "PGPASSWORD": source.password}, check=True)
    return time.monotonic() - start


def visible(node, target, position=None, rows=None):
    """Waits until a position, or a snapshot's rows, are in the target, and looks whether a query sees the rows.
    The node is asked: a query of the target every few milliseconds would take a good part of a core."""
    def done():
        status = json.loads(node.get("/status")[1])
        if position is not None:
            return lsn_number(status["positions"]["durable"] or "0/0") >= lsn_number(position)
        return any((table["snapshot"] or {}).get("rows", 0) >= rows for table in status["tables"])

    def asked():
        try:
            return done()
        except OSError:  # not listening yet
            return False

    wait_until(asked, f"{node.name} has written {position or rows}", 600, 0.005)
    if rows is not None:
        assert count(target, node.pipeline) >= rows


def lsn_number(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def pipeline(stage, source, target, name, over_socket=False, start=False, **options):
    configuration = {"source": {"uri": source.uri("bench", over_socket=True)}} if over_socket else None
    return stage.node(source, target, database="bench", target_database=name, pipeline=name, start=start, configuration=configuration, **options)


def catch_up(title, mixed, least_tcp, least_socket, measure_cpu):
    with Stage() as stage:
        source, target = stage.postgres(), stage.olap()
        source.execute("CREATE DATABASE bench")
        source.execute(TABLE, database="bench")
        if mixed:
            fill(source, "bench", ROWS // 2)
        ways = [("TCP", False), ("socket", True)]
        nodes = {}
        for way, over_socket in ways:
            for attempt in range(REPEAT):
                node = pipeline(stage, source, target, f"p_{way.lower()}_{attempt}", over_socket)
                node.start()
                node.wait_caught_up()
                node.stop()
                nodes[way, attempt] = node
        fill(source, "bench", ROWS, mixed)
        end = source.current_lsn()
        some = nodes["TCP", 0]
        rows = changes_in(source, "bench", some.slot)
        for way, over_socket in ways:
            references, ours, cpus = [], [], []
            for attempt in range(REPEAT):
                node = nodes[way, attempt]
                source.execute(f"SELECT pg_copy_logical_replication_slot('{node.slot}', 'reference')", database="bench")
                references.append(recvlogical(source, "bench", "reference", node.slot, over_socket, end))
                source.execute("SELECT pg_drop_replication_slot('reference')", database="bench")
                start = time.monotonic()
                node.start(wait=False)
                visible(node, target, position=end)
                ours.append(time.monotonic() - start)
                cpus.append(node.cpu_seconds())
                node.stop()
            report_ratio(f"{title}, over {way}", rows / min(ours), "rows/s", rows / min(references), least_tcp if way == "TCP" else least_socket)
            if measure_cpu:
                report_limit(f"CPU of the node alone, catching up over {way}", min(cpus) / rows * 1e6, "us/row", 1.5)
        some.start()
        some.wait_caught_up()
        assert_equal(source, target, "bench", target_database=some.pipeline, seconds=60)


# -- snapshot -------------------------------------------------------------------------------------------

def snapshot():
    with Stage() as stage:
        source, target = stage.postgres(), stage.olap()
        source.execute("CREATE DATABASE bench")
        source.execute(TABLE, database="bench")
        fill(source, "bench", ROWS)
        source.execute("VACUUM (ANALYZE, FREEZE) t", database="bench")
        source.execute("CHECKPOINT")
        references, ours, theirs = [], [], []
        for attempt in range(REPEAT + 1):
            start = time.monotonic()
            with open(os.devnull, "w") as nothing:
                subprocess.run([postgres_program("psql"), "-q", "-d", source.uri("bench"), "-c", "COPY t TO STDOUT"], stdout=nothing,
                               env={**os.environ, "PGPASSWORD": source.password}, check=True)
            references.append(time.monotonic() - start)
            start = time.monotonic()
            node = pipeline(stage, source, target, f"s_{attempt}")
            node.start(wait=False)
            visible(node, target, rows=ROWS)
            ours.append(time.monotonic() - start)
            node.wait_caught_up()
            node.stop()
        report_ratio("snapshot", ROWS / min(ours), "rows/s", ROWS / min(references), 0.6)
        with contextlib.suppress(ClickHouseError):
            start = time.monotonic()
            materialized(source, target, "peer")
            wait_until(lambda: count(target, "peer") >= ROWS, "the peer's snapshot is visible", 120, 0.03)
            theirs.append(time.monotonic() - start)
            report("the same by MaterializedPostgreSQL", ROWS / theirs[0], "rows/s", "less than millrace", ROWS / min(ours),
                   round(min(ours) / theirs[0], 3), theirs[0] > min(ours))
            target.query("DROP DATABASE peer SYNC")


def count(target, database):
    try:
        return target.value(f"SELECT count() FROM `{database}`.t")
    except ClickHouseError:
        return 0


def materialized(source, target, name):
    """ClickHouse's own way, inside the same engine."""
    target.query(f"""CREATE DATABASE {name} ENGINE = MaterializedPostgreSQL('127.0.0.1:{source.port}', 'bench', 'postgres', '{source.password}')
        SETTINGS materialized_postgresql_tables_list = 't'""", {"allow_experimental_database_materialized_postgresql": 1})


def peer_catch_up():
    """MaterializedPostgreSQL on the same kind of backlog: detached while it builds up, so it starts from its slot."""
    with Stage() as stage:
        source, target = stage.postgres(), stage.olap()
        source.execute("CREATE DATABASE bench")
        source.execute(TABLE, database="bench")
        source.execute("INSERT INTO t VALUES (0)", database="bench")
        try:
            materialized(source, target, "peer")
            wait_until(lambda: count(target, "peer") >= 1, "the peer has started", 60)
        except ClickHouseError as error:
            print(f"MaterializedPostgreSQL cannot be measured: {error}")
            return
        target.stop()
        fill(source, "bench", ROWS)
        target.start()
        start = time.monotonic()
        wait_until(lambda: count(target, "peer") >= ROWS, "the peer has caught up", 300, 0.02)
        took = time.monotonic() - start
        ours = next(x["value"] for x in results if x["name"] == "1,000,000 inserts, over TCP") if any(
            x["name"] == "1,000,000 inserts, over TCP" for x in results) else None
        report("1,000,000 inserts by MaterializedPostgreSQL, over TCP", ROWS / took, "rows/s", "less than millrace", ours,
               round(ROWS / took / ours, 3) if ours else None, ROWS / took < ours if ours else None)


# -- latency --------------------------------------------------------------------------------------------

def measure_latency(source, target, database, seconds=15, rate=1000, connections=4):
    """Commit to visible of single-row commits, in milliseconds, sorted. Visible is what a query sees; it is
    asked again and again, so a figure is too high by up to the time between two answers."""
    first = (source.value("SELECT coalesce(max(id), 0) FROM t", database="bench") // 10_000_000 + 1) * 10_000_000
    commits = [[] for _ in range(connections)]
    stop_at = time.monotonic() + seconds

    def write(number):
        connection = source.connect("bench")
        due = time.monotonic()
        with connection.cursor() as cursor:
            while time.monotonic() < stop_at:
                cursor.execute("INSERT INTO t VALUES (%s, %s, 'a row for latency', 1.5, now())",
                               (first + number * 1_000_000 + len(commits[number]), number))
                commits[number].append(time.monotonic())
                due += connections / rate
                time.sleep(max(0, due - time.monotonic()))
        connection.close()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(connections)]
    for writer in writers:
        writer.start()
    seen = [0] * connections
    latencies = []
    deadline = stop_at + 30
    while time.monotonic() < deadline:
        rows = target.rows(f"SELECT intDiv(id - {first}, 1000000) AS c, max(id) % 1000000 FROM `{database}`.t WHERE id >= {first} GROUP BY c")
        now = time.monotonic()
        for number, newest in rows:
            number, newest = int(number), int(newest)
            latencies += [(now - commits[number][i]) * 1000 for i in range(seen[number], min(newest + 1, len(commits[number])))]
            seen[number] = min(newest + 1, len(commits[number]))
        if now > stop_at and not any(writer.is_alive() for writer in writers) and all(seen[i] == len(commits[i]) for i in range(connections)):
            break
        time.sleep(0.004)
    else:
        raise AssertionError("rows have not become visible")
    return sorted(latencies[len(latencies) // 10:])


def quantile(values, q):
    return values[min(len(values) - 1, int(q * len(values)))]


def latency():
    with Stage() as stage:
        source, target = stage.postgres(), stage.olap()
        source.execute("CREATE DATABASE bench")
        source.execute(TABLE, database="bench")
        node = pipeline(stage, source, target, "latency", start=True)
        node.wait_caught_up()
        before = node.cpu_seconds()
        ours = measure_latency(source, target, "latency")
        report_limit("commit to visible at 1,000 commits/s, p50", quantile(ours, 0.5), "ms", 50)
        report_limit("commit to visible at 1,000 commits/s, p99", quantile(ours, 0.99), "ms", 150)
        report("CPU of the node at 1,000 commits/s", (node.cpu_seconds() - before) / 15 * 100, "%")
        node.stop()
        try:
            source.execute("TRUNCATE t; INSERT INTO t VALUES (0)", database="bench")
            materialized(source, target, "peer")
            wait_until(lambda: count(target, "peer") >= 1, "the peer has started", 60)
            theirs = measure_latency(source, target, "peer")
            for q in (0.5, 0.99):
                report(f"the same by MaterializedPostgreSQL, p{q * 100:.0f}", quantile(theirs, q), "ms", "more than millrace", quantile(ours, q),
                       round(quantile(ours, q) / quantile(theirs, q), 3), quantile(theirs, q) > quantile(ours, q))
        except ClickHouseError as error:
            print(f"MaterializedPostgreSQL cannot be measured: {error}")


# -- memory ---------------------------------------------------------------------------------------------

class Memory:
    """Highest resident size of a process while a block runs, in MB."""

    def __init__(self, server):
        self.server, self.peak, self.ended = server, 0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.ended.set()
        self.thread.join()

    def _watch(self):
        while not self.ended.wait(0.02):
            self.peak = max(self.peak, self.server.rss_bytes() / 1e6)


def large():
    rows = 5 * ROWS
    with Stage() as stage:
        source, target = stage.postgres(), stage.olap()
        source.execute("CREATE DATABASE bench")
        source.execute(TABLE, database="bench")
        node = pipeline(stage, source, target, "large", start=True)
        node.wait_caught_up()
        with Memory(node) as memory:
            source.execute(f"INSERT INTO t SELECT g, g % 1000, 'some text of row ' || g, g * 1.25, now() FROM generate_series(1, {rows}) g",
                           database="bench")
            node.wait_caught_up(900)
        assert count(target, "large") == rows
        report_limit(f"RSS of the node, one transaction of {rows:,} rows", memory.peak, "MB", 200)


def outage():
    with Stage() as stage:
        source, target = stage.postgres(), stage.olap()
        source.execute("CREATE DATABASE bench")
        source.execute(TABLE, database="bench")
        node = pipeline(stage, source, target, "outage", start=True)
        node.wait_caught_up()
        with Memory(node) as memory:
            os.kill(target.pid, signal.SIGSTOP)
            until = time.monotonic() + 60
            while time.monotonic() < until:
                fill(source, "bench", 10_000)
                time.sleep(0.5)
            os.kill(target.pid, signal.SIGCONT)
            node.wait_caught_up(300)
        assert_equal(source, target, "bench", target_database="outage", seconds=60)
        report_limit("RSS of the node, target stopped for 60 s under load", memory.peak, "MB", 200)


def idle():
    with Stage() as stage:
        source, target = stage.postgres(), stage.olap()
        source.execute("CREATE DATABASE bench")
        source.execute(TABLE, database="bench")
        node = pipeline(stage, source, target, "idle", start=True)
        node.wait_caught_up()
        time.sleep(min(30, IDLE / 4))
        cpu, memory = node.cpu_seconds(), node.rss_bytes()
        time.sleep(IDLE)
        report_limit(f"CPU of the idle node over {IDLE:g} s", (node.cpu_seconds() - cpu) / IDLE * 100, "%", 1)
        report_limit(f"growth of the idle node over {IDLE:g} s", (node.rss_bytes() - memory) / 1e6, "MB", 1)


# -- millrace olap --------------------------------------------------------------------------------------

INSERT_TABLE = """CREATE TABLE {} (id Int64, n Int32, s String, p Decimal(12, 2), ts DateTime64(6), _version UInt128, _deleted UInt8)
    ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id"""
INSERT_ROWS = """SELECT toInt64(number) AS id, toInt32(number % 1000) AS n, 'some text of row ' || toString(number) AS s,
    toDecimal64(number * 1.25, 2) AS p, now64(6) + number AS ts, toUInt128(number) AS _version, toUInt8(0) AS _deleted
    FROM numbers(65536) SETTINGS max_block_size = 65536 FORMAT Native"""
INSERT_SETTINGS = {"async_insert": "0", "insert_deduplicate": "0"}


def pieces_of(body, size=1 << 18):
    for at in range(0, len(body), size):
        yield body[at:at + size]


def insert_over_http(olap, table, body, times, chunked, blocks):
    """CPU seconds of the server for one insert."""
    parameters = urllib.parse.urlencode({"query": f"INSERT INTO {table} FORMAT Native", **INSERT_SETTINGS, **({"decompress": 1} if blocks else {})})
    connection = http.client.HTTPConnection(olap.host, olap.port, timeout=60)

    def insert_once():
        connection.request("POST", "/?" + parameters, body=pieces_of(body) if chunked else body, encode_chunked=chunked,
                           headers={"Transfer-Encoding": "chunked"} if chunked else {})
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said

    for _ in range(5):
        insert_once()
    before = olap.cpu_seconds()
    for _ in range(times):
        insert_once()
    taken = (olap.cpu_seconds() - before) / times
    connection.close()
    return taken


def olap_insert():
    """CPU, user and system, of a whole process for an insert of 65,536 rows: `millrace olap` over HTTP, against the engine alone
    (engine_insert.py) with the same bytes from memory, or for compressed ones from a file in the page cache that it decompresses
    itself. Alternating; the medians of the rounds. Merges are stopped."""
    times, rounds = 40, 2 * REPEAT + 1
    ways = {"Content-Length": (False, False), "chunked": (True, False), "lz4, Content-Length": (False, True), "lz4, chunked": (True, True)}
    with Stage() as stage:
        olap = stage.olap()
        bodies = {False: b"".join(olap.stream(INSERT_ROWS)), True: b"".join(olap.stream(INSERT_ROWS, {"compress": 1}))}
        files = {False: os.path.join(stage.folder, "body"), True: os.path.join(stage.folder, "body.lz4")}
        with open(files[False], "wb") as file:
            file.write(bodies[False])
        with open(files[True], "wb") as file:
            connection = http.client.HTTPConnection(olap.host, olap.port)
            connection.request("POST", "/", body=INSERT_ROWS, headers={"Accept-Encoding": "lz4"})
            file.write(connection.getresponse().read())
            connection.close()
        with open(f"/proc/{olap.pid}/maps") as maps:
            library = next(line.split(None, 5)[5].strip() for line in maps if line.rstrip().endswith("libchdb.so"))
        references, ours = {False: [], True: []}, {way: [] for way in ways}
        olap.query(INSERT_TABLE.format("t"))
        olap.query("SYSTEM STOP MERGES")
        settings = ", ".join(f"{key} = {value}" for key, value in INSERT_SETTINGS.items())
        for number in range(rounds):
            for packed, path in files.items():
                done = subprocess.run([sys.executable, os.path.join(PROJECT, "bench", "engine_insert.py"), library,
                                       os.path.join(stage.folder, f"engine{number}{packed}"), path, str(times), INSERT_TABLE.format("t"), "INSERT INTO t",
                                       settings], check=True, stdout=subprocess.PIPE)
                references[packed].append(float(done.stdout))
            for way, (chunked, packed) in ways.items():
                olap.query("TRUNCATE TABLE t SYNC")
                ours[way].append(insert_over_http(olap, "t", bodies[packed], times, chunked, packed))
        for way, (chunked, packed) in ways.items():
            value, reference = statistics.median(ours[way]), statistics.median(references[packed])
            report(f"CPU of an insert of 65,536 rows, {way}", value * 1e3, "ms", "at most 1.1 of it", reference * 1e3, round(value / reference, 3),
                   value / reference <= 1.1)


def olap_stream():
    """RSS above the idle engine while a client reads slowly what it could send at once."""
    queries = {
        "rows of 50 KB of a table": "SELECT * FROM wide",
        "rows of 50 KB of a table, JSON": "SELECT * FROM wide FORMAT JSON",
        "rows of 50 KB made by a function": "SELECT number, repeat('x', 50000) FROM numbers(1000000)",
        "rows of 1 KB, CSVWithNames": "SELECT number, repeat('x', 1000) FROM numbers(10000000) FORMAT CSVWithNames",
    }
    with Stage() as stage:
        olap = stage.olap()
        olap.query("CREATE TABLE wide (id UInt64, s String) ENGINE = MergeTree ORDER BY id")
        olap.query("INSERT INTO wide SELECT number, repeat(toString(number % 97), 25000) FROM numbers(5000) SETTINGS max_block_size = 500")
        for name, sql in queries.items():
            olap.stop()
            olap.start()
            olap.query("SELECT count() FROM wide")
            time.sleep(3)
            idle_size, received = olap.rss_bytes() / 1e6, 0
            with Memory(olap) as memory:
                answer = olap.stream(sql, chunk=1 << 18)
                while received < 100 << 20:
                    received += len(next(answer))
                    time.sleep(0.01)
                answer.close()
            report_limit(f"RSS of olap above idle, slow reader, {name}", memory.peak - idle_size, "MB", 300)


# -- all ------------------------------------------------------------------------------------------------

def catchup():
    catch_up("1,000,000 inserts", False, 1.3, 0.8, True)
    peer_catch_up()


def mixed():
    catch_up("the same with 50 % updates and 10 % deletes", True, 1.2, 0.7, False)


PARTS = {part.__name__: part for part in (catchup, mixed, snapshot, latency, large, outage, idle, olap_insert, olap_stream)}


def main():
    unknown = [name for name in sys.argv[1:] if name not in PARTS]
    if unknown:
        sys.exit(f"unknown part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    print(f"{'what':<58} {'value':>12} {'':<7} {'reference':>12} {'ratio':>6}  {'wanted':<22}")
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
    os.makedirs(os.path.join(PROJECT, "build"), exist_ok=True)
    with open(os.path.join(PROJECT, "build", "bench.json"), "w") as file:
        json.dump(results, file, indent=1)
    missed = [x["name"] for x in results if x["ok"] is False]
    print(f"{len(results)} figures, {len(missed)} missed" + "".join(f"\n  {name}" for name in missed))


if __name__ == "__main__":
    main()
