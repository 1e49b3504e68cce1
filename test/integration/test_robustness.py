"""Whatever is killed, frozen or cut off under a random workload: afterwards source and target are equal.

MILLRACE_SEED reproduces workload and faults; MILLRACE_FAULTS says how many faults there are."""

import os
import random
import time

from faults import Faults
from millrace_compare import assert_equal
from tcp_proxy import TcpProxy
from workload import SCHEMA, Writer

SEED = int(os.environ.get("MILLRACE_SEED") or random.randrange(10**9))
FAULTS = int(os.environ.get("MILLRACE_FAULTS") or 18)


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
