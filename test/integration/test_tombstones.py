"""Tombstones that are old enough go, and no row comes back with them."""

import os
import time

import pytest

from millrace_compare import assert_equal
from millrace_servers import Literal, wait_until
from tcp_proxy import TcpProxy
from test_failure_points import faults_binary  # noqa: F401 (a fixture)
from test_robustness import survive

SOON = {"tombstone-age": Literal("1s"), "tombstone-interval": Literal("1s"), "tombstone-percent": 0}
NEVER = {"tombstone-age": Literal("0s")}

# Parts of a table with this setting are merged by OPTIMIZE only.
UNMERGED = "max_bytes_to_merge_at_max_space_in_pool = 1"


class Scene:
    def __init__(self, source, target, database, nodes):
        self.source, self.target, self.database, self.nodes = source, target, database, nodes

    def sql(self, statements):
        return self.source.execute(statements, database=self.database)

    def ask(self, sql):
        return self.target.value(sql.replace("{db}", f"`{self.database}`"))

    def run(self, sql):
        self.target.query(sql.replace("{db}", f"`{self.database}`"))

    def start(self, tombstones, **options):
        return self.nodes(configuration={"target": tombstones}, **options)

    def tombstones(self, table="t"):
        return int(self.ask(f"SELECT count() FROM {{db}}.`{table}` WHERE _deleted"))

    def go_on(self):
        """The source's slot moves when something happens and a checkpoint has been."""
        self.sql("INSERT INTO clock VALUES (now()) ON CONFLICT DO NOTHING; DELETE FROM clock WHERE at < now()")
        self.source.execute("CHECKPOINT")

    def wait_for_removal(self, node, *tables, left=0, seconds=90):
        def gone():
            self.go_on()
            return all(self.tombstones(table) == left for table in tables)

        wait_until(gone, f"the tombstones of {tables} are gone", seconds, pause=0.5, alive=node)

    def equal(self, node):
        node.wait_caught_up(60)
        assert_equal(self.source, self.target, self.database, seconds=30)


@pytest.fixture
def scene(source, target, database, nodes):
    scene = Scene(source, target, database, nodes)
    scene.sql("CREATE TABLE clock (at timestamptz PRIMARY KEY)")
    return scene


def own_table(scene, name, more):
    scene.run("CREATE DATABASE IF NOT EXISTS {db}")
    scene.run(f"""CREATE TABLE {{db}}.`{name}` (id Int32, note Nullable(String), _version UInt128, _deleted UInt8,
        _committed_at DateTime64(6, 'UTC'), _lsn UInt64 ALIAS toUInt64(bitShiftRight(_version, 64)) {more}""")


def test_old_tombstones_disappear_and_the_rows_with_them(scene):
    """Rows and tombstones lie in parts of their own, as in a table that is too large to be merged: a delete of the tombstones alone would
    bring the rows back."""
    own_table(scene, "t", f") ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id SETTINGS {UNMERGED}")
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT g, 'first' FROM generate_series(1, 1000) g")
    node = scene.start(NEVER)
    scene.equal(node)
    scene.sql("DELETE FROM t WHERE id % 2 = 0; UPDATE t SET id = id + 5000 WHERE id < 100; UPDATE t SET note = 'second' WHERE id % 5 = 0")
    scene.equal(node)
    assert scene.tombstones() == 550
    # The rows that they hide are still there.
    assert int(scene.ask("SELECT uniqExact(_part) FROM {db}.t")) > 1
    assert int(scene.ask("SELECT count() FROM {db}.t WHERE NOT _deleted AND id <= 1000 AND id % 2 = 0")) == 500
    assert node.stop() == 0, node.log_tail()

    node = scene.start(SOON)
    scene.wait_for_removal(node, "t")
    scene.equal(node)
    assert int(scene.ask("SELECT count() FROM {db}.t WHERE id <= 1000 AND id % 2 = 0")) == 0
    assert "550 old tombstones of public.t removed" in node.log()
    assert node.metric("millrace_tombstones_removed_total", table="public.t") == 550
    assert node.metric("millrace_tombstones_removed_timestamp_seconds", table="public.t") > 0
    # What is deleted comes back when it is inserted, and goes again.
    scene.sql("INSERT INTO t SELECT g, 'third' FROM generate_series(1, 1000) g ON CONFLICT DO NOTHING")
    scene.equal(node)
    scene.sql("TRUNCATE t; INSERT INTO t VALUES (1, 'last')")
    scene.equal(node)
    scene.wait_for_removal(node, "t")
    scene.equal(node)
    assert node.stop() == 0, node.log_tail()


def test_partitions_projections_and_tables_without_key(scene):
    own_table(scene, "parted", f") ENGINE = ReplacingMergeTree(_version, _deleted) PARTITION BY id % 3 ORDER BY id SETTINGS {UNMERGED}")
    own_table(scene, "projected", """, PROJECTION by_note (SELECT note, id ORDER BY note)) ENGINE = ReplacingMergeTree(_version, _deleted)
        ORDER BY id SETTINGS deduplicate_merge_projection_mode = 'rebuild'""")
    scene.sql("""CREATE TABLE parted (id int PRIMARY KEY, note text); CREATE TABLE projected (id int PRIMARY KEY, note text);
        CREATE TABLE lines (line text);
        INSERT INTO parted SELECT g, 'x' FROM generate_series(1, 300) g; INSERT INTO projected SELECT g, 'x' FROM generate_series(1, 300) g;
        INSERT INTO lines SELECT 'line ' || g FROM generate_series(1, 50) g""")
    node = scene.start(SOON)
    scene.equal(node)
    scene.sql("DELETE FROM parted WHERE id % 3 = 1; DELETE FROM projected WHERE id > 100; TRUNCATE lines; INSERT INTO lines VALUES ('last')")
    scene.wait_for_removal(node, "parted", "projected", "lines")
    scene.equal(node)
    assert int(scene.ask("SELECT count() FROM {db}.projected WHERE note = 'x'")) == 100
    assert node.stop() == 0, node.log_tail()


def test_dead_letters_keep_what_their_replay_needs(scene):
    """A row that could not be written is deleted. Without its tombstone a replay would take it for the newest."""
    own_table(scene, "t", f", CONSTRAINT good CHECK ifNull(note, '') != 'bad') ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id SETTINGS {UNMERGED}")
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT g, 'good' FROM generate_series(1, 10) g")
    node = scene.start(SOON)
    scene.equal(node)
    scene.sql("DELETE FROM t WHERE id = 1")
    node.wait_caught_up(60)
    scene.sql("INSERT INTO t VALUES (100, 'bad')")
    node.wait_caught_up(60)
    scene.sql("DELETE FROM t WHERE id IN (2, 100)")
    node.wait_caught_up(60)
    # That of 1 is older than the letter.
    scene.wait_for_removal(node, "t", left=2)
    wait_until(lambda: "a dead letter of then may still be replayed" in node.log(), "it is told", 30, alive=node)
    for _ in range(10):
        scene.go_on()
    assert scene.ask("SELECT groupArray(id) FROM (SELECT id FROM {db}.t WHERE _deleted ORDER BY id)") == [2, 100]
    scene.run("ALTER TABLE {db}.t DROP CONSTRAINT good")
    code, out, errors = node.command("dlq", "replay")
    assert (code, out.strip()) == (0, "0 replayed, 1 superseded by newer changes, 0 left"), errors
    scene.wait_for_removal(node, "t")
    scene.equal(node)
    assert node.stop() == 0, node.log_tail()


@pytest.mark.parametrize("victim", ["node", "target"])
def test_killed_between_merge_and_delete(scene, victim, faults_binary):  # noqa: F811
    own_table(scene, "t", f") ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id SETTINGS {UNMERGED}")
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT g, 'first' FROM generate_series(1, 1000) g")
    action = "crash" if victim == "node" else "hang"
    node = scene.start(SOON, binary=faults_binary, environment={"MILLRACE_FAULTS": f"tombstones_merged.after={action}@1"})
    scene.equal(node)
    scene.sql("DELETE FROM t WHERE id % 2 = 0")

    def happened():
        scene.go_on()
        return f"failure point tombstones_merged.after: {action}" in node.log()

    wait_until(happened, "it was killed", 90, pause=0.5)
    if victim == "node":
        wait_until(lambda: not node.running(), "the node is dead", 30)
    else:
        scene.target.kill()
        scene.target.start()
        node.kill()
    node = scene.start(SOON)
    scene.equal(node)
    scene.sql("INSERT INTO t SELECT g, 'second' FROM generate_series(1, 1000, 4) g ON CONFLICT DO NOTHING; DELETE FROM t WHERE id % 10 = 3")
    scene.wait_for_removal(node, "t")
    scene.equal(node)
    assert node.stop() == 0, node.log_tail()


def test_an_insert_that_was_stuck_finds_the_tombstone(scene, source, target, database):
    """A node sends an insert and is frozen; the insert is stuck on its way. Another node goes on, the row is deleted, and the slot can not
    go back behind that any more. For as long as the age the tombstone waits for the insert."""
    age = os.environ.get("MILLRACE_TOMBSTONE_AGE") or "10min"
    patient = {**SOON, "tombstone-age": Literal(age)}
    scene.sql("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT g, 'first' FROM generate_series(1, 10) g")
    with TcpProxy(target.port) as proxy:
        frozen = scene.start({**patient, "url": f"http://127.0.0.1:{proxy.port}"})
        scene.equal(frozen)
        proxy.open.clear()
        scene.sql("INSERT INTO t VALUES (100, 'late')")
        wait_until(lambda: frozen.status()["in_flight_bytes"] > 0, "it is on its way", 30, alive=frozen)
        time.sleep(2)
        frozen.freeze()
        source.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", (frozen.slot,))
        node = scene.start(patient)
        scene.equal(node)
        scene.sql("DELETE FROM t WHERE id > 5")
        deleted = source.current_lsn()
        scene.equal(node)

        def passed():
            scene.go_on()
            return source.value("SELECT restart_lsn > %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", (deleted, node.slot))

        wait_until(passed, "the slot has left it behind", 90, pause=0.5, alive=node)
        # Each looks once a second.
        for _ in range(10):
            scene.go_on()
            time.sleep(0.5)
        inserts = "SELECT count() FROM {db}.t WHERE id = 100 AND NOT _deleted"
        before = int(scene.ask(inserts))
        scene.run("SYSTEM STOP MERGES {db}.t")
        proxy.open.set()
        wait_until(lambda: int(scene.ask(inserts)) > before, "the insert arrives", 60, alive=node)
        scene.equal(node)
        scene.run("SYSTEM START MERGES {db}.t")
        frozen.kill()
    scene.equal(node)
    assert node.stop() == 0, node.log_tail()


def test_random_faults_while_tombstones_go(scene, source, target, database, nodes):
    """The slot is read again from where it was, servers go back to their last checkpoint, and tombstones go a second after they may."""
    from workload import SCHEMA
    scene.sql(SCHEMA)
    scene.sql("INSERT INTO accounts SELECT g, 'first', g, now(), '{}' FROM generate_series(1, 3000) g")
    started = []

    def start(configuration, **options):
        started.append(nodes(configuration={**configuration, "target": {**configuration["target"], **SOON}}, **options))
        return started[-1]

    seed = int(os.environ.get("MILLRACE_SEED") or 13)
    survive(source, target, database, start, seed, int(os.environ.get("MILLRACE_FAULTS") or 11),
            ("node_is_killed", "source_is_killed", "target_is_killed", "node_is_frozen", "source_is_stopped_at_once", "target_is_frozen",
             "node_and_target_are_killed", "sessions_are_ended", "source_is_restarted", "target_is_cut_off", "source_is_cut_off", "node_is_stopped"))
    assert started
    node = scene.start(SOON)
    scene.wait_for_removal(node, "accounts", "pairs", "documents", "audited", "log_lines")
    scene.equal(node)
    assert "old tombstones of" in node.log()
    assert node.stop() == 0, node.log_tail()
