"""Each step of the pipeline crashes, hangs, fails or waits, before and after it; nothing is lost."""

import contextlib
import os
import time

import psycopg2
import pytest

from millrace_compare import assert_equal
from millrace_servers import wait_until

STEPS = ("receive", "decode", "dispatch", "transform", "insert_sent", "insert_answered", "state_written", "confirm", "chunk_read", "chunk_durable",
         "ddl_sent", "slot_created")
PLACES = [f"{step}.{when}" for step in STEPS for when in ("before", "after")]

# Which time at the place, where not the first: before it there is only the start.
HITS = {"receive": 2, "state_written": 3, "ddl_sent": 2}


@pytest.fixture(scope="session")
def faults_binary():
    return os.environ.get("MILLRACE_FAULTS_BINARY") or os.path.join(os.path.dirname(os.environ["MILLRACE_BINARY"]), "test", "millrace_faults")


class Scene:
    """Two tables with rows from before, and work that passes through every step."""

    def __init__(self, source, target, database, nodes, binary):
        self.source, self.target, self.database, self.nodes, self.binary = source, target, database, nodes, binary
        self.node = None
        self.sql("""CREATE TABLE t (id int PRIMARY KEY, n int, body text); ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
            CREATE TABLE other (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());
            INSERT INTO t SELECT g, g, repeat('body', 1000) FROM generate_series(1, 1000) g; INSERT INTO other SELECT generate_series(1, 200)""")

    def sql(self, statements):
        self.source.execute(statements, database=self.database)

    def start(self, plan):
        self.node = self.nodes(binary=self.binary, environment={"MILLRACE_FAULTS": plan}, start=False,
                               configuration={"limits": {"snapshot-chunk-bytes": 1 << 20, "batch-rows": 100}})
        self.node.start(wait=False)

    def work_until(self, plan):
        """Work before, while and after it happens."""
        place, _, action = plan.partition("@")[0].partition("=")
        self.work()
        for _ in range(60):
            if f"failure point {place}: {action}" in self.node.log():
                break
            time.sleep(0.5)
            self.work()
        else:
            raise AssertionError(f"{plan} has not happened")
        self.work()

    def work(self):
        for statements in (
                "UPDATE t SET n = n + 1 WHERE id % 3 = 0; DELETE FROM t WHERE id % 50 = 7; UPDATE t SET id = id + 10000 WHERE id % 40 = 3",
                "ALTER TABLE t ADD COLUMN IF NOT EXISTS more int; INSERT INTO t (id, n, body) SELECT coalesce(max(id), 0) + 1, 0, 'new' FROM t",
                "TRUNCATE other; INSERT INTO other SELECT generate_series(1, 50); UPDATE t SET body = repeat('x', 3000) WHERE id % 100 = 2"):
            # A node that hangs while it reads a chunk holds the chunk's lock.
            with contextlib.suppress(psycopg2.errors.LockNotAvailable):
                self.sql("SET lock_timeout = '1s'; " + statements)

    def equal(self):
        self.node.wait_caught_up(60)
        assert_equal(self.source, self.target, self.database, seconds=30)
        assert self.target.rows(f"SELECT * FROM `{self.database}`._dead_letters") == []


@pytest.fixture
def scene(source, target, database, nodes, faults_binary):
    return Scene(source, target, database, nodes, faults_binary)


def plan_of(place, action):
    hit = HITS.get(place.partition(".")[0], 1)
    return f"{place}={action}@{hit}"


@pytest.mark.parametrize("place", PLACES)
def test_crash(scene, place):
    plan = plan_of(place, "crash")
    scene.start(plan)
    scene.work_until(plan)
    wait_until(lambda: not scene.node.running(), "the node is gone", 10)
    scene.node.environment = {}
    scene.node.start(wait=False)
    scene.equal()


@pytest.mark.parametrize("place", PLACES)
def test_error(scene, place):
    plan = plan_of(place, "error")
    scene.start(plan)
    scene.work_until(plan)
    scene.equal()


@pytest.mark.parametrize("place", PLACES)
def test_hang(scene, place):
    """Nobody notices from within; it is killed, and the next one goes on."""
    plan = plan_of(place, "hang")
    scene.start(plan)
    scene.work_until(plan)
    scene.node.kill()
    scene.node.environment = {}
    scene.node.start(wait=False)
    scene.equal()


def test_delay(scene):
    """All of them in one run: whatever becomes slow, the order stays."""
    plan = ",".join(plan_of(place, "delay") for place in PLACES)
    scene.start(plan)
    for place in PLACES:
        scene.work_until(plan_of(place, "delay"))
    scene.equal()
