"""Memory is the windows plus the largest row, whatever comes. Design, P4; pitfall 9."""

import re
import threading

import pytest

from millrace_compare import assert_equal
from millrace_servers import wait_until

MB = 1 << 20


def peak(node):
    """VmHWM: the largest resident size since the start."""
    with open(f"/proc/{node.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read()).group(1)) * 1024


def received(node):
    return node.metric("millrace_position_bytes", stage="received")


def resident(node):
    return node.rss_bytes()


def sums(source, target, database, table):
    wanted = source.execute(f"SELECT id, md5(v), n FROM {table} ORDER BY id", database=database)
    rows = target.rows(f"SELECT id, lower(hex(MD5(assumeNotNull(v)))), n FROM `{database}`.{table} FINAL ORDER BY id")
    assert rows == [list(row) for row in wanted]


def test_a_value_of_200_mb(source, target, database, nodes, sql):
    """By snapshot, by stream, and left out as unchanged."""
    sql("CREATE TABLE large (id int PRIMARY KEY, v text, n int); INSERT INTO large VALUES (1, repeat('0123456789abcdef', 200 * 65536), 0)")
    node = nodes()
    node.wait_caught_up(120)
    by_snapshot = peak(node)
    sums(source, target, database, "large")
    node.restart()
    node.wait_caught_up(60)
    before = resident(node)
    sql("INSERT INTO large VALUES (2, repeat('fedcba9876543210', 200 * 65536), 0)")
    node.wait_caught_up(120)
    by_stream = peak(node)
    sums(source, target, database, "large")
    sql("UPDATE large SET n = 1 WHERE id = 2")  # v is unchanged, and not in the log
    node.wait_caught_up(120)
    unchanged = peak(node)
    sums(source, target, database, "large")
    print(f"snapshot {by_snapshot // MB} MB, stream {by_stream // MB} MB, unchanged {unchanged // MB} MB, idle {before // MB} MB")
    # Twice the row: libpq's buffer, and the message that it makes of it, which is the batch and what is sent.
    assert by_snapshot < 500 * MB and by_stream < 500 * MB and unchanged < 500 * MB
    # libpq's buffer never shrinks: it is given back with the connection.
    wait_until(lambda: resident(node) < before + 60 * MB, "the memory is given back", 60, alive=node)
    sql("UPDATE large SET n = 2")
    node.wait_caught_up(120)
    sums(source, target, database, "large")
    assert node.metric("millrace_restarts_total") == 0
    target.query(f"DROP TABLE `{database}`.large SYNC")


@pytest.mark.parametrize("filled_by", ["source", "target"])
def test_many_large_values_that_are_left_out(source, target, database, nodes, sql, filled_by):
    """They are looked up together, but not all at once."""
    sql("CREATE TABLE many (id int PRIMARY KEY, v text, n int)")
    node = nodes(configuration={"source": {"snapshot": "never"}} if filled_by == "source" else {})
    node.wait_caught_up(60)
    for id in range(0, 64, 4):
        sql("INSERT INTO many SELECT g, repeat(md5(g::text), 6 * 32768), 0 FROM generate_series(%s, %s) g", (id, id + 3))
    node.wait_caught_up(240)
    node.restart()
    node.wait_caught_up(60)
    before = resident(node)
    # A change of the key has the source fill the value in.
    sql("UPDATE many SET n = 1" if filled_by == "target" else "UPDATE many SET id = id + 100, n = 1")
    node.wait_caught_up(240)
    used = peak(node)
    print(f"{filled_by}: {used // MB} MB, idle {before // MB} MB")
    sums(source, target, database, "many")
    assert used < 200 * MB
    target.query(f"DROP TABLE `{database}`.many SYNC")


def test_a_transaction_much_larger_than_the_window(source, target, database, nodes, sql):
    """Pitfall 9: no position inside of it can be confirmed, so the window must count what is not durable."""
    sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    node = nodes(configuration={"limits": {"window-bytes": 8 * MB}})
    node.wait_caught_up(60)
    sql("INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 1000000) g")
    node.wait_caught_up(180)
    assert target.value(f"SELECT count() FROM `{database}`.t FINAL") == 1000000
    assert peak(node) < 200 * MB, f"{peak(node) // MB} MB"
    assert node.metric("millrace_restarts_total") == 0


def test_a_target_that_is_away_under_load(source, target, database, nodes, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    node = nodes()
    node.wait_caught_up(60)
    done = threading.Event()

    def load():
        id = 0
        while not done.is_set():
            sql(f"INSERT INTO t SELECT g, repeat(md5(g::text), 30) FROM generate_series({id + 1}, {id + 5000}) g")
            id += 5000

    writer = threading.Thread(target=load)
    target.freeze()
    try:
        writer.start()
        full = 32 * MB
        wait_until(lambda: node.metric("millrace_in_flight_bytes") >= full, "the window is full", 60, alive=node)
        read = received(node)
        backlog = source.current_lsn()
        wait_until(lambda: source.value("SELECT pg_current_wal_lsn() - %s::pg_lsn", (backlog,)) > 100 * MB, "more load, which is not read", 60)
        assert received(node) == read
    finally:
        done.set()
        writer.join()
        target.thaw()
    assert peak(node) < 200 * MB, f"{peak(node) // MB} MB"
    node.wait_caught_up(180)
    assert_equal(source, target, database, seconds=60)
    assert peak(node) < 200 * MB, f"{peak(node) // MB} MB"
