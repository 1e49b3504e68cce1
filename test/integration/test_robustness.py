"""Whatever is killed, frozen or cut off under a random workload: afterwards source and target are equal.

MILLRACE_SEED reproduces workload and faults; MILLRACE_FAULTS says how many faults there are."""

import os
import random
import signal
import time

from millrace_compare import assert_equal
from millrace_servers import wait_until
from tcp_proxy import TcpProxy
from workload import SCHEMA, Writer

SEED = int(os.environ.get("MILLRACE_SEED") or random.randrange(10**9))
FAULTS = int(os.environ.get("MILLRACE_FAULTS") or 18)


class Faults:
    """What can happen to the three processes and the connections between them; each leaves all running again."""

    def __init__(self, source, target, node, rng, to_source, to_target):
        self.source, self.target, self.node, self.random = source, target, node, rng
        self.to_source, self.to_target = to_source, to_target
        self.logged = 0

    def start_node(self):
        self.logged = len(self.node.log())
        self.node.start(wait=False)

    def node_is_killed(self):
        self.node.kill()
        self.start_node()

    def node_is_stopped(self):
        # Before its first line a signal ends it as it ends any process.
        wait_until(lambda: len(self.node.log()) > self.logged, "the node has begun", 60, alive=self.node)
        assert self.node.stop() == 0, self.node.log_tail()
        self.start_node()

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

    def sessions_are_ended(self):
        self.source.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'millrace%'")

    def node_and_target_are_killed(self):
        self.node.kill()
        self.target.kill()
        self.target.start()
        self.start_node()

    def target_is_cut_off(self):
        self._cut(self.to_target)

    def source_is_cut_off(self):
        self._cut(self.to_source)

    def _cut(self, proxy):
        """Now, between two messages, and in the middle of them."""
        for _ in range(self.random.randrange(1, 5)):
            if self.random.random() < 0.3:
                proxy.cut()
            else:
                proxy.cut_after(self.random, self.random.choice([10, 1000, 100000]))
            time.sleep(self.random.random() * 0.4)

    def connections_are_slow(self):
        slow = [proxy for proxy in (self.to_source, self.to_target) if self.random.random() < 0.7] or [self.to_target]
        for proxy in slow:
            proxy.bytes_per_second = self.random.choice([20_000, 200_000])
        time.sleep(1 + self.random.random() * 2)
        if self.random.random() < 0.5:
            self.random.choice(slow).cut()
        for proxy in slow:
            proxy.bytes_per_second = None

    def connections_are_silent(self):
        proxy = self.random.choice([self.to_source, self.to_target])
        proxy.open.clear()
        time.sleep(1 + self.random.random() * 2)
        if self.random.random() < 0.5:
            proxy.cut()
        proxy.open.set()

    def _freeze(self, server):
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(1 + self.random.random() * 2)
        os.kill(server.pid, signal.SIGCONT)

    ALL = ("node_is_killed", "node_is_killed", "node_is_stopped", "node_is_frozen", "target_is_killed", "target_is_frozen", "source_is_killed",
           "source_is_stopped_at_once", "source_is_frozen", "source_is_restarted", "sessions_are_ended", "node_and_target_are_killed",
           "target_is_cut_off", "source_is_cut_off", "target_is_cut_off", "source_is_cut_off", "connections_are_slow", "connections_are_silent")


def survive(source, target, database, nodes, seed, faults, kinds=Faults.ALL, pause=1.5):
    """Runs writers and faults from a seed, then compares. The node speaks to both servers through proxies."""
    with TcpProxy(source.port) as to_source, TcpProxy(target.port) as to_target:
        node = nodes(configuration={"source": {"uri": f"postgresql://postgres@127.0.0.1:{to_source.port}/{database}"},
                                    "target": {"url": f"http://127.0.0.1:{to_target.port}"}})
        _survive(source, target, database, node, seed, faults, kinds, pause, to_source, to_target)
        assert node.stop() == 0, node.log_tail()


def _survive(source, target, database, node, seed, faults, kinds, pause, *proxies):
    rng = random.Random(seed)
    print(f"MILLRACE_SEED={seed}")
    writers = [Writer(lambda: source.connect(database, autocommit=False), rng.random()).start() for _ in range(4)]
    try:
        happen = Faults(source, target, node, rng, *proxies)
        for number in range(faults):
            time.sleep(rng.random() * pause)
            fault = kinds[number] if number < len(kinds) else rng.choice(kinds)
            print(f"{number}: {fault}", flush=True)
            getattr(happen, fault)()
    finally:
        for writer in writers:
            writer.stop()
    if faults >= len(kinds):
        assert all(proxy.cuts > 0 for proxy in proxies)
    assert sum(writer.transactions for writer in writers) > 50
    node.wait_caught_up(120)
    assert_equal(source, target, database, seconds=60)
    letters = target.rows(f"SELECT time, committed_at, `table`, op, position, key, error FROM `{database}`._dead_letters")
    assert letters == [], "\n".join(map(str, letters)) + "\n" + node.log()


def test_random_faults_under_a_random_workload(source, target, database, nodes):
    source.execute(SCHEMA, database=database)
    source.execute("INSERT INTO accounts SELECT g, 'first', g, now(), '{}' FROM generate_series(1, 3000) g", database=database)
    survive(source, target, database, nodes, SEED, FAULTS)
