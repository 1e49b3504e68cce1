"""The source as it is found: another one, one that waits, one that refuses. Issue 3, sections 2 and 8; design, section 4."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from millrace_compare import assert_equal
from millrace_servers import free_port, postgres_program, wait_until


@pytest.fixture
def sql(source, database):
    return lambda statements, values=None: source.execute(statements, values, database=database)


def fails(node, *texts):
    """It ends by itself, for good, and says why."""
    assert node.wait(60) == 1
    last = [line for line in node.log().splitlines() if " error " in line][-1]
    for text in texts:
        assert text in last, last


# -- another source -----------------------------------------------------------------------------------------------


def test_nothing_is_made_in_another_source(stage, target):
    """Before: its slot was missed, with the advice to start with a new one; or it got publications."""
    first, second = stage.postgres(name="mine"), stage.postgres(name="yours")
    try:
        for server in (first, second):
            server.execute("CREATE TABLE t (id int PRIMARY KEY)")
        node = stage.node(first, target, target_database="mine", pipeline="mine")
        node.wait_caught_up(60)
        node.stop()
        node.configuration["source"].update({"uri": second.uri(), "password-file": second.password_path})
        node.write_configuration()
        node.start(wait=False)
        fails(node, "source_changed", "system identifier")
        assert second.value("SELECT count(*) FROM pg_publication") == 0
        assert second.value("SELECT count(*) FROM pg_replication_slots") == 0
    finally:
        first.stop()
        second.stop()
        target.query("DROP DATABASE IF EXISTS mine")


# -- a slot that takes its time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
def test_a_slot_that_waits_for_a_transaction_ends_with_the_node(source, target, database, nodes, sql, how):
    sql("CREATE TABLE t (id int PRIMARY KEY)")
    writer = source.connect(database, autocommit=False)
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (1)")
    node = nodes(start=False)
    node.start(wait=False)
    slots = "SELECT count(*) FROM pg_replication_slots WHERE database = %s"
    wait_until(lambda: source.value(slots, (database,)) == 1, "the slot is being made", 30, alive=node)
    started = time.monotonic()
    os.kill(node.pid, how)
    assert node.wait(30) == (0 if how == signal.SIGTERM else -how)
    assert time.monotonic() - started < 10, "the promise of `run`: it stops within 10 s"
    # The server notices within a second or two that nobody waits for it any more.
    wait_until(lambda: source.value(slots, (database,)) == 0, "the half-made slot is gone", 30)
    node.start()
    wait_until(lambda: "transactions" in node.status()["waits"].get("source", {}).get("why", "") or "made by" in node.log(),
               "the next start waits for the same transaction", 60, alive=node)
    writer.commit()
    writer.close()
    node.wait_caught_up(90)
    assert_equal(source, target, database, seconds=30)
