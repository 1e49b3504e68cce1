"""Tables without key are followed for inserts: each row arrives as often as it is in the source, whatever happens."""

import threading
import time

import pytest

from millrace_servers import wait_until


class Inserter:
    """Inserts rows in small transactions, some equal to others, until it is told to stop."""

    def __init__(self, source, database, statement):
        self.source, self.database, self.statement = source, database, statement
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        connection = self.source.connect(self.database, autocommit=False)
        with connection.cursor() as cursor:
            for number in range(10**9):
                if self.ended.is_set():
                    break
                cursor.execute(self.statement, (number % 7,))
                time.sleep(0.002)
                connection.rollback() if number % 10 == 9 else connection.commit()
        connection.close()

    def stop(self):
        self.ended.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def inserters(source, database):
    started = []

    def start(*statements):
        started.extend(Inserter(source, database, statement) for statement in statements)
        time.sleep(0.1)

    start.stop = lambda: [one.stop() for one in started]
    yield start
    start.stop()


@pytest.fixture
def equal(source, target, database):
    """Waits for the node and compares multisets."""
    def check(node, *tables):
        node.wait_caught_up(60)
        for table in tables:
            wanted = [list(row) for row in source.execute(f"SELECT n, count(*) FROM {table} GROUP BY n ORDER BY n", database=database)]
            found = target.rows(f"SELECT n, count() FROM `{database}`.{table} FINAL GROUP BY n ORDER BY n")
            assert [[int(n), int(count)] for n, count in found] == wanted, table
    return check


INSERTS = "INSERT INTO {0} SELECT %s FROM generate_series(1, 3)"


def test_rows_inserted_while_the_snapshot_begins_come_once(source, database, nodes, inserters, equal):
    source.execute("CREATE TABLE t (n int); INSERT INTO t SELECT g % 10 FROM generate_series(1, 20000) g", database=database)
    inserters(*[INSERTS.format("t")] * 3)
    node = nodes()
    wait_until(lambda: node.status()["state"] == "streaming", "the snapshot is over", 60, alive=node)
    time.sleep(0.5)
    inserters.stop()
    equal(node, "t")
    node.restart()
    source.execute("INSERT INTO t VALUES (77), (77)", database=database)
    equal(node, "t")


def test_the_node_is_killed_again_and_again(source, database, nodes, inserters, equal):
    source.execute("CREATE TABLE t (n int); INSERT INTO t SELECT g % 10 FROM generate_series(1, 20000) g", database=database)
    inserters(*[INSERTS.format("t")] * 2)
    node = nodes(wait=False)
    for pause in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0):
        time.sleep(pause)
        node.kill()
        node.start(wait=False)
    wait_until(lambda: node.get("/healthz")[0] == 200 and node.status()["state"] == "streaming", "the snapshot is over", 60, alive=node)
    time.sleep(0.3)
    node.kill()
    node.start()
    inserters.stop()
    equal(node, "t")


def test_several_tables_partitions_and_truncates(source, database, nodes, inserters, equal):
    source.execute("""CREATE TABLE a (n int); CREATE TABLE b (n int); CREATE TABLE parts (n int) PARTITION BY LIST (n);
        CREATE TABLE parts_low PARTITION OF parts FOR VALUES IN (0, 1, 2); CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
        INSERT INTO a SELECT g % 5 FROM generate_series(1, 1000) g; INSERT INTO b SELECT * FROM a; INSERT INTO parts SELECT * FROM a""",
                   database=database)
    inserters(*[INSERTS.format(table) for table in ("a", "b", "parts")])
    node = nodes()
    wait_until(lambda: node.status()["state"] == "streaming", "the snapshots are over", 60, alive=node)
    source.execute("TRUNCATE b; INSERT INTO b VALUES (5)", database=database)
    time.sleep(0.3)
    inserters.stop()
    equal(node, "a", "b", "parts")


def test_a_table_that_comes_later_and_one_that_is_taken_again(source, database, nodes, inserters, equal):
    source.execute("CREATE TABLE t (n int); INSERT INTO t SELECT g % 10 FROM generate_series(1, 5000) g", database=database)
    node = nodes()
    node.wait_caught_up(60)
    inserters(INSERTS.format("t"))
    code, out, errors = node.command("snapshot", "--table", "public.t")
    assert code == 0, out + errors
    source.execute("CREATE TABLE late (n int); INSERT INTO late SELECT g % 10 FROM generate_series(1, 500) g", database=database)
    inserters(INSERTS.format("late"))
    wait_until(lambda: "public.late" in [table["table"] for table in node.status()["tables"]], "the new table is found", 60, alive=node)
    wait_until(lambda: node.status()["state"] == "streaming", "the snapshots are over", 60, alive=node)
    time.sleep(0.3)
    inserters.stop()
    equal(node, "t", "late")
