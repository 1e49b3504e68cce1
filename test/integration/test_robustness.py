"""Whatever is killed, frozen or cut off under a random workload: afterwards source and target are equal.

MILLRACE_SEED reproduces workload and faults; MILLRACE_FAULTS says how many faults there are."""

import os
import random
import signal
import time

import psycopg2
import pytest

from millrace_compare import assert_equal
from millrace_servers import wait_until
from workload import SCHEMA, Writer

SEED = int(os.environ.get("MILLRACE_SEED") or random.randrange(10**9))
FAULTS = int(os.environ.get("MILLRACE_FAULTS") or 14)


class Faults:
    """What can happen to the three processes; each leaves all of them running again."""

    def __init__(self, source, target, node, rng):
        self.source, self.target, self.node, self.random = source, target, node, rng

    def node_is_killed(self):
        self.node.kill()
        self.node.start(wait=False)

    def node_is_stopped(self):
        assert self.node.stop() == 0, self.node.log_tail()
        self.node.start(wait=False)

    def node_is_frozen(self):
        self._freeze(self.node)

    def target_is_killed(self):
        self.target.kill()
        time.sleep(self.random.random())
        self.target.start()

    def target_is_frozen(self):
        self._freeze(self.target)

    def source_is_killed(self):
        """kill -9 of all its processes: the slot is where the last checkpoint had it."""
        self.source.kill()
        time.sleep(self.random.random())
        self.source.start()

    def source_is_stopped_at_once(self):
        self.source.stop(signal.SIGQUIT)
        self.source.start()

    def source_is_frozen(self):
        self.source.freeze()
        time.sleep(1 + self.random.random() * 2)
        self.source.thaw()

    def source_is_restarted(self):
        self.source.restart()

    def connections_are_cut(self):
        self.source.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'millrace%'")

    def node_and_target_are_killed(self):
        self.node.kill()
        self.target.kill()
        self.target.start()
        self.node.start(wait=False)

    def _freeze(self, server):
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(1 + self.random.random() * 2)
        os.kill(server.pid, signal.SIGCONT)

    ALL = ("node_is_killed", "node_is_killed", "node_is_stopped", "node_is_frozen", "target_is_killed", "target_is_frozen", "source_is_killed",
           "source_is_stopped_at_once", "source_is_frozen", "source_is_restarted", "connections_are_cut", "node_and_target_are_killed")


def survive(source, target, database, node, seed, faults, kinds=Faults.ALL, pause=2.0):
    """Runs writers and faults from a seed, then compares."""
    rng = random.Random(seed)
    print(f"MILLRACE_SEED={seed}")
    writers = [Writer(lambda: source.connect(database, autocommit=False), rng.random()).start() for _ in range(4)]
    try:
        happen = Faults(source, target, node, rng)
        for number in range(faults):
            time.sleep(rng.random() * pause)
            fault = kinds[number] if number < len(kinds) else rng.choice(kinds)
            print(f"{number}: {fault}", flush=True)
            getattr(happen, fault)()
    finally:
        for writer in writers:
            writer.stop()
    assert sum(writer.transactions for writer in writers) > 50
    node.wait_caught_up(120)
    assert_equal(source, target, database, seconds=60)
    assert target.rows(f"SELECT * FROM `{database}`._dead_letters") == []


def test_random_faults_under_a_random_workload(source, target, database, nodes):
    source.execute(SCHEMA, database=database)
    source.execute("INSERT INTO accounts SELECT g, 'first', g, now(), '{}' FROM generate_series(1, 3000) g", database=database)
    node = nodes()
    survive(source, target, database, node, SEED, FAULTS)
