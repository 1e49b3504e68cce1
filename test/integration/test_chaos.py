"""All at once: random statements, random changes of the schema and random faults, then every table is compared.

By hand: make chaos SEED=... MINUTES=... (MILLRACE_SEED, MILLRACE_MINUTES). A seed reproduces workload and fault plan."""

import os
import random
import subprocess
import time

from designer import SCHEMA as SHAPES, Designer
from faults import Faults
from millrace_compare import assert_equal
from millrace_servers import wait_until
from tcp_proxy import TcpProxy
from test_failure_points import PLACES, faults_binary  # noqa: F401
from workload import SCHEMA, Writer

SEED = int(os.environ.get("MILLRACE_SEED") or random.randrange(10**9))
MINUTES = float(os.environ.get("MILLRACE_MINUTES") or 0)
FAULTS = 25


class AllFaults(Faults):
    """Also: failure points, and tables that are taken again. Not a full disk, which makes the engine itself lose parts
    (test_bad_target.py has one)."""

    def start_node(self):
        plan = []
        if self.random.random() < 0.7:
            for place in self.random.sample(PLACES, self.random.choice([1, 1, 2])):
                action = self.random.choice(["crash", "error", "delay", "hang"])
                plan.append(f"{place}={action}@{self.random.choice([1, 2, 5, 20])}")
        self.node.environment = {"MILLRACE_FAULTS": ",".join(plan)}
        print(f"  failure points: {plan}", flush=True)
        super().start_node()

    def table_is_taken_again(self):
        if self.node.running():
            try:
                self.node.command("snapshot", "--table", self.random.choice(["public.shapes", "public.accounts", "public.documents"]), seconds=30)
            except subprocess.TimeoutExpired:
                pass  # the node may hang, as it was told to

    def node_that_ended_is_started(self):
        """A failure point may have crashed it, or made it hang."""
        if not self.node.running():
            self.start_node()

    ALL = Faults.ALL + ("table_is_taken_again", "node_is_killed", "table_is_taken_again")


def test_chaos(stage, source, target, database, faults_binary):  # noqa: F811
    print(f"MILLRACE_SEED={SEED} MILLRACE_MINUTES={MINUTES}", flush=True)
    rng = random.Random(SEED)
    source.execute(SCHEMA + SHAPES, database=database)
    source.execute("INSERT INTO accounts SELECT g, 'first', g, now(), '{}' FROM generate_series(1, 3000) g", database=database)
    with TcpProxy(source.port) as to_source, TcpProxy(target.port) as to_target:
        node = stage.node(source, target, database=database, pipeline="chaos", binary=faults_binary, start=False, configuration={
            "source": {"uri": f"postgresql://postgres@127.0.0.1:{to_source.port}/{database}"},
            "target": {"url": f"http://127.0.0.1:{to_target.port}"}, "limits": {"snapshot-chunk-bytes": 65536}})
        try:
            play(source, target, database, node, rng, to_source, to_target)
        finally:
            node.thaw() if node.running() else None
            node.kill()


def connect(source, database):
    return lambda: source.connect(database, autocommit=False)


def play(source, target, database, node, rng, *proxies):
    faults = AllFaults(source, target, node, rng, *proxies)
    faults.start_node()
    writers = [Writer(connect(source, database), rng.random()).start() for _ in range(3)]
    designer = Designer(connect(source, database), rng.random()).start()
    end = time.monotonic() + MINUTES * 60
    number = 0
    try:
        while number < FAULTS or time.monotonic() < end:
            time.sleep(rng.random() * 1.5)
            fault = AllFaults.ALL[number] if number < len(AllFaults.ALL) else rng.choice(AllFaults.ALL)
            print(f"{number}: {fault}", flush=True)
            if fault != "node_is_stopped" or node.running():
                getattr(faults, fault)()
            faults.node_that_ended_is_started()
            number += 1
            if MINUTES and number % 60 == 0:
                settle(source, target, database, node, [*writers, designer])
                faults.start_node()
                writers = [Writer(connect(source, database), rng.random()).start() for _ in range(3)]
                designer = Designer(connect(source, database), rng.random()).start()
    finally:
        for writer in [*writers, designer]:
            writer.stop()
    settle(source, target, database, node, [*writers, designer])
    print(f"{number} faults; {sum(writer.transactions for writer in writers)} transactions; changes of the schema: {designer.done}", flush=True)


def settle(source, target, database, node, writers):
    """Nobody writes or fails any more; then all is equal, and nothing was put aside or let go."""
    for writer in writers:
        writer.stop()
    designer = writers[-1]
    designer.connection = source.connect(database, autocommit=False)
    designer.end_prepared()
    node.kill()
    node.environment = {}
    node.start()
    node.wait_caught_up(120)
    # The node looks for new tables, and for what the log does not have, every ten seconds.
    assert_equal(source, target, database, seconds=120)
    wait_until(lambda: node.status()["state"] == "streaming", "no snapshot is open", 60, 0.2, alive=node)
    assert target.rows(f"SELECT * FROM `{database}`._dead_letters FINAL WHERE resolution = ''") == [], node.log_tail()
    assert not [table for table in node.status()["tables"] if table["quarantine"]], node.log_tail()
