"""Real servers for each test file: PostgreSQL and embedded ClickHouse start once, nodes per test."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
sys.dont_write_bytecode = True

from millrace_compare import assert_equal  # noqa: E402
from millrace_servers import Stage  # noqa: E402


@pytest.fixture(scope="session")
def stage():
    """The temporary folder with this file's servers; gone at the end, whatever happens."""
    with Stage() as it:
        yield it
        # Thousands of small files take a while: the watcher removes them when we have ended.
        it.keep = True


@pytest.fixture(scope="session")
def source(stage):
    """A PostgreSQL cluster, shared by the file's tests; each test makes databases of its own."""
    return stage.postgres()


@pytest.fixture(scope="session")
def target(stage):
    """Embedded ClickHouse, shared by the file's tests."""
    return stage.olap()


@pytest.fixture
def database(request, source, target):
    """An empty database in the source, named after the test; gone afterwards with what held on to it."""
    name = request.node.name.removeprefix("test_").replace("[", "_").replace("]", "")[:40].lower()
    name = "".join(letter if letter.isalnum() else "_" for letter in name)
    source.execute(f'CREATE DATABASE "{name}"')
    yield name
    if not source.running():
        source.start()
    if not target.running():
        target.start()
    for slot, pid in source.execute("SELECT slot_name, active_pid FROM pg_replication_slots WHERE database = %s", (name,)):
        if pid is not None:
            source.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        source.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    source.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    target.query(f"DROP DATABASE IF EXISTS `{name}`")


@pytest.fixture
def sql(source, database):
    """Runs statements in the test's database: sql("INSERT ...") or rows = sql("SELECT ...", values)."""
    return lambda statements, values=None: source.execute(statements, values, database=database)


@pytest.fixture
def same(source, target, database):
    """Waits for the node, compares all tables, and no change went to the dead letters."""
    def check(node, letters=0, **options):
        node.wait_caught_up(90)
        results = assert_equal(source, target, database, seconds=60, **options)
        found = target.rows(f"SELECT op, position, key, error FROM `{database}`._dead_letters ORDER BY version LIMIT 5")
        assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == letters, found
        return results
    return check


@pytest.fixture
def nodes(stage, source, target, database):
    """Starts nodes for the test's database: nodes(pipeline=..., tables=..., configuration={...}).
    What still runs at the end of the test is stopped."""
    started = []

    def start(**options):
        options.setdefault("pipeline", database)
        node = stage.node(source, target, database=database, start=False, **{key: value for key, value in options.items() if key != "start"})
        started.append(node)
        return node.start() if options.get("start", True) else node

    yield start
    for node in started:
        node.thaw() if node.running() else None
        node.stop(seconds=12)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Appends the ends of the servers' logs to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.failed and "stage" in item.funcargs:
        report.sections.append(("logs of the servers", item.funcargs["stage"].logs(40)))
