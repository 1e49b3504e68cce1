"""Snapshots miss nothing, whatever happens beside them; the source is the one we know. Design, section 4."""

import json
import os
import re
import shutil
import threading

import pytest

from millrace_servers import wait_until

SMALL = {"limits": {"snapshot-chunk-bytes": 65536}}


@pytest.fixture
def many(sql):
    """Some 200 chunks of 64 KB."""
    def fill(table="many", rows=60000):
        sql(f"""CREATE TABLE {table} (id int PRIMARY KEY, v int, pad text);
            INSERT INTO {table} SELECT g, 0, rpad('row ' || g, 180, '.') FROM generate_series(1, {rows}) g""")
    return fill


def progress(node, table="public.many"):
    return node.metric("millrace_snapshot_chunks_done", table=table) or 0


def midway(node, table="public.many"):
    wait_until(lambda: progress(node, table) >= 2, "the first chunks are durable", 60, 0.005, alive=node)


def begin(source, database, statement, synchronous=None):
    """An open transaction that has done something."""
    connection = source.connect(database, autocommit=False)
    with connection.cursor() as cursor:
        if synchronous:
            cursor.execute(f"SET synchronous_commit = {synchronous}")
        cursor.execute(statement)
        cursor.execute("SELECT pg_current_xact_id()::text")
        return connection, cursor.fetchone()[0]


def awaited(node):
    waits = node.status()["waits"].get("transactions")
    return waits["why"] if waits else ""


# -- commits that are in the log and not yet visible ------------------------------------------------------------


@pytest.fixture
def slow_commits(source):
    """Commits that ask for it wait for a standby that does not exist: in the log, and invisible."""
    source.execute("ALTER SYSTEM SET synchronous_commit = local")
    source.execute("ALTER SYSTEM SET synchronous_standby_names = 'missing'")
    source.execute("SELECT pg_reload_conf()")
    wait_until(lambda: source.value("SHOW synchronous_standby_names") == "missing", "the setting", 10)

    def release():
        source.execute("ALTER SYSTEM RESET synchronous_standby_names")
        source.execute("SELECT pg_reload_conf()")
    yield release
    release()
    source.execute("ALTER SYSTEM RESET synchronous_commit")
    source.execute("SELECT pg_reload_conf()")


def commit_slowly(source, database, statement):
    connection, xid = begin(source, database, statement, synchronous="on")
    thread = threading.Thread(target=connection.commit, daemon=True)
    thread.start()
    wait_until(lambda: source.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") >= 1, "the commit waits", 10)
    return thread, xid


def test_a_commit_that_is_in_the_log_and_not_yet_visible(source, target, database, nodes, sql, same, slow_commits):
    """The slot's consistent point is after its commit record, so the stream does not bring it; nor does an ordinary snapshot see it."""
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    node = nodes(start=False)
    # The making of a slot waits twice, each time for the transactions that run at that moment; one that begins in the second wait is not waited for.
    first, first_xid = begin(source, database, "CREATE TABLE never1 (id int)")
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted AND transactionid::text = %s"
    node.start()
    wait_until(lambda: source.value(waiting, (first_xid,)) > 0, "the slot waits for the first transaction", 30, alive=node)
    second, second_xid = begin(source, database, "CREATE TABLE never2 (id int)")
    first.rollback()
    wait_until(lambda: source.value(waiting, (second_xid,)) > 0, "the slot waits for the second transaction", 30, alive=node)
    thread, xid = commit_slowly(source, database, "INSERT INTO t VALUES (3, 'three'); UPDATE t SET v = 'uno' WHERE id = 1")
    second.rollback()
    wait_until(lambda: xid in awaited(node), "status names the transaction", 30, alive=node)
    assert sql("SELECT count(*) FROM t") == [(2,)]
    sql("INSERT INTO t VALUES (4, 'four')")
    wait_until(lambda: target.value(f"SELECT count() FROM `{database}`.t FINAL") == 1, "the stream goes on meanwhile", 30, alive=node)
    slow_commits()
    thread.join(30)
    results = same(node)
    assert results[0].target_rows == 4 and awaited(node) == ""
    first.close()
    second.close()


def test_a_new_table_with_an_open_transaction(source, target, database, nodes, sql, same):
    """What it wrote before the publication had the table is never streamed, though it commits later."""
    sql("CREATE TABLE old (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    # In one transaction, so that no survey of the node falls between them.
    creator, _ = begin(source, database, "CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late VALUES (0, 'created')")
    creator.commit()
    writer, xid = begin(source, database, "INSERT INTO late SELECT g, 'before' FROM generate_series(1, 100) g")
    wait_until(lambda: xid in awaited(node), "the snapshot waits for the writer", 60, alive=node)
    with writer.cursor() as cursor:
        cursor.execute("UPDATE late SET v = 'after' WHERE id <= 50; INSERT INTO late VALUES (101, 'after'); DELETE FROM late WHERE id = 0")
    sql("INSERT INTO old VALUES (1)")
    writer.commit()
    results = same(node)
    assert sum(result.target_rows for result in results) == 102
    creator.close()
    writer.close()


# -- tables that are rewritten between two chunks ------------------------------------------------------------------


REWRITES = {
    "cluster": "CREATE INDEX by_pad ON many (pad DESC); CLUSTER many USING by_pad",
    "vacuum_full": "VACUUM FULL many",
    "alter": "ALTER TABLE many ALTER COLUMN v TYPE int USING v + 1",
    "truncate": "TRUNCATE many; INSERT INTO many SELECT g, 1, 'again' FROM generate_series(1, 5000) g",
}


@pytest.mark.parametrize("how", REWRITES)
def test_a_table_that_is_rewritten_between_two_chunks(nodes, sql, many, same, how):
    many()
    sql("DELETE FROM many WHERE id % 10 = 0")
    node = nodes(configuration=SMALL)
    midway(node)
    if how == "vacuum_full":
        sql(REWRITES[how])
    else:
        sql("BEGIN; LOCK TABLE many IN ACCESS EXCLUSIVE MODE; " + REWRITES[how] + "; COMMIT")
    same(node)
    assert "snapshot of public.many starts again" in node.log(), node.log_tail(30)


# -- what happens to rows meanwhile ----------------------------------------------------------------------------------


def test_rows_that_move_past_the_chunks(source, database, nodes, sql, many, same):
    many()
    node = nodes(configuration=SMALL)
    midway(node)
    # Each update makes a new version at the end of the heap, or in a chunk that was read.
    for turn in range(8):
        sql(f"UPDATE many SET v = v + 1, pad = pad || '!' WHERE id % 40 = {turn}")
        sql(f"DELETE FROM many WHERE id % 80 = {turn + 40}; UPDATE many SET id = -id WHERE id % 160 = {turn}")
        sql(f"INSERT INTO many SELECT 100000 * {turn + 1} + g, 5, 'new' FROM generate_series(1, 200) g")
    same(node)


def test_truncate_during_a_snapshot_and_afterwards(target, database, nodes, sql, many, same):
    many()
    many("other", 2000)
    node = nodes(configuration=SMALL)
    midway(node)
    sql("TRUNCATE many, other")
    sql("INSERT INTO many SELECT g, 7, 'after' FROM generate_series(1, 100) g")
    results = same(node)
    assert sorted(result.target_rows for result in results) == [0, 100]
    sql("TRUNCATE many; INSERT INTO many SELECT g, 8, 'same transaction' FROM generate_series(50, 150) g")
    same(node)
    sql("INSERT INTO other VALUES (1, 1, 'x')")
    sql("BEGIN; TRUNCATE other; ROLLBACK")
    sql("BEGIN; INSERT INTO other VALUES (2, 2, 'y'); TRUNCATE other; INSERT INTO other VALUES (3, 3, 'z'); DELETE FROM many WHERE id < 60; COMMIT")
    sql("TRUNCATE many RESTART IDENTITY; TRUNCATE many")
    results = same(node)
    assert sorted(result.target_rows for result in results) == [0, 1]
    node.kill()
    sql("INSERT INTO many VALUES (1, 1, 'x'); TRUNCATE many, other; INSERT INTO many VALUES (2, 2, 'y')")
    node.start()
    same(node)


# -- crashes -----------------------------------------------------------------------------------------------------


def saved(target, database, table):
    rows = target.rows(f"SELECT value FROM `{database}`._millrace_state FINAL WHERE kind = 'table' AND name = '{table}'")
    return json.loads(rows[0][0])


def test_kill_9_keeps_the_chunks_that_were_durable(target, database, nodes, sql, many, same):
    many()
    node = nodes(configuration=SMALL)
    wait_until(lambda: progress(node) >= 20, "some chunks are durable", 60, 0.005, alive=node)
    node.kill()
    before = saved(target, database, "public.many")
    done = target.value(f"SELECT count() FROM `{database}`.many FINAL")
    assert 0 < done < 60000, "the snapshot was still running"
    sql("UPDATE many SET v = 1 WHERE id % 100 = 0; DELETE FROM many WHERE id % 100 = 1")
    node.start()
    same(node)
    left, chunks = map(int, re.findall(r"snapshot of public.many: (\d+) of (\d+) chunk\(s\) to read", node.log())[-1])
    assert left <= chunks - 15, "durable chunks are not read again"
    labels = re.findall(r"snapshot of public.many: .* label (\S+)", node.log())
    assert len(labels) == 2 and labels[0] == labels[1], "one snapshot, one label"
    assert before != saved(target, database, "public.many")


def test_kill_9_again_and_again(nodes, sql, many, same):
    many()
    node = nodes(configuration=SMALL)
    for turn in range(4):
        wait_until(lambda: progress(node) > 0 or node.status()["state"] == "streaming", "it works again", 60, 0.005, alive=node)
        node.kill()
        sql(f"UPDATE many SET v = {turn} WHERE id % 7 = {turn}; DELETE FROM many WHERE id % 50 = {turn}")
        node.start()
    same(node)


# -- other tables --------------------------------------------------------------------------------------------------


def test_a_table_that_is_waited_for(nodes, sql, same):
    sql("CREATE TABLE there (id int PRIMARY KEY)")
    node = nodes(tables=["public.there", "public.later"])
    wait_until(lambda: "public.later" in node.status()["waits"], "status names it", 30, alive=node)
    sql("CREATE TABLE later (id int PRIMARY KEY, v text); INSERT INTO later SELECT g, 'v' FROM generate_series(1, 10) g")
    sql("UPDATE later SET v = 'new' WHERE id < 5")
    wait_until(lambda: "public.later" not in node.status()["waits"], "it is there", 60, alive=node)
    sql("DELETE FROM later WHERE id = 1; INSERT INTO later VALUES (11, 'more')")
    results = same(node)
    assert sorted(result.target_rows for result in results) == [0, 10]


def test_a_new_table_that_matches(target, database, nodes, sql, same):
    sql("CREATE TABLE old (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    sql("CREATE TABLE fresh (id int PRIMARY KEY, v text); INSERT INTO fresh SELECT g, 'v' FROM generate_series(1, 1000) g")
    wait_until(lambda: target.value(f"SELECT count() FROM system.tables WHERE database = '{database}' AND name = 'fresh'"), "it is found", 60, alive=node)
    sql("UPDATE fresh SET v = 'new' WHERE id % 2 = 0; DELETE FROM fresh WHERE id % 3 = 0; INSERT INTO old VALUES (1)")
    assert len(same(node)) == 2


def test_only_the_rows_of_the_table_itself(target, database, nodes, sql):
    sql("""CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
        INSERT INTO parent VALUES (1, 'parent'); INSERT INTO child VALUES (1, 'child'), (2, 'child')""")
    node = nodes()
    node.wait_caught_up(60)
    sql("UPDATE parent SET v = v || '!'")
    node.wait_caught_up(60)
    assert target.rows(f"SELECT id, v FROM `{database}`.parent FINAL") == [[1, "parent!"]]
    assert target.rows(f"SELECT id, v FROM `{database}`.child FINAL ORDER BY id") == [[1, "child!"], [2, "child!"]]


def test_row_security_never_hides_rows_silently(source, target, database, nodes, sql):
    sql(f"""CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 10); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY few ON t USING (id <= 5); CREATE ROLE limited LOGIN REPLICATION PASSWORD '{source.password}'; GRANT SELECT ON t TO limited""")
    try:
        node = nodes(start=False, configuration={"source": {"uri": source.uri(database, user="limited"), "publication": "p"}})
        sql("CREATE PUBLICATION p FOR TABLE t")
        node.start(wait=False)
        wait_until(lambda: "row" in node.log() and "BYPASSRLS" in node.log(), "it says why", 30)
        tables = target.rows(f"SELECT name FROM system.tables WHERE database = '{database}' AND name = 't'")
        assert not tables or target.value(f"SELECT count() FROM `{database}`.t") == 0, "all rows or none"
        node.stop()
        source.execute("ALTER ROLE limited BYPASSRLS")
        node.start()
        node.wait_caught_up(60)
        assert target.value(f"SELECT count() FROM `{database}`.t FINAL") == 10
        node.stop()
    finally:
        sql("DROP OWNED BY limited")
        source.execute("DROP ROLE limited")


# -- idle ------------------------------------------------------------------------------------------------------------


def test_the_slot_advances_while_only_others_write(source, nodes, sql, same):
    sql("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE unpublished (id int PRIMARY KEY)")
    source.execute("CREATE DATABASE others")
    try:
        source.execute("CREATE TABLE t (id int PRIMARY KEY)", database="others")
        node = nodes(tables=["public.t"])
        same(node, tables=["public.t"])
        for turn in range(3):
            source.execute(f"INSERT INTO t SELECT generate_series({turn} * 20000, {turn} * 20000 + 19999)", database="others")
            node.wait_caught_up(60)
            sql(f"INSERT INTO unpublished SELECT generate_series({turn} * 20000, {turn} * 20000 + 19999)")
            node.wait_caught_up(60)
    finally:
        source.execute("DROP DATABASE others WITH (FORCE)")


# -- the source is the one we know ---------------------------------------------------------------------------------------


@pytest.fixture
def own(stage, target):
    """A cluster of the test's own with a row, a node, and both gone at the end."""
    servers = []

    def make(name):
        server = stage.postgres(name=name)
        servers.append(server)
        server.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
        return server
    yield make
    for server in servers:
        server.stop()


def refuses(node, *texts):
    """It stops by itself, for good, and says why."""
    assert node.wait(60) == 1
    last = [line for line in node.log().splitlines() if " error " in line][-1]
    for text in ("source_changed", *texts):
        assert text in last, last


def test_another_system_identifier(stage, target, own):
    first, second = own("first"), own("second")
    node = stage.node(first, target, target_database="identity", pipeline="identity")
    node.wait_caught_up(60)
    node.stop()
    node.configuration["source"].update({"uri": second.uri(), "password-file": second.password_path})
    node.write_configuration()
    second.execute("CREATE PUBLICATION millrace_identity FOR TABLE t; CREATE PUBLICATION millrace_identity_inserts WITH (publish = 'insert, truncate')")
    second.execute("SELECT pg_create_logical_replication_slot('millrace_identity', 'pgoutput')")
    node.start(wait=False)
    refuses(node, "system identifier")
    assert target.rows("SELECT id, v FROM identity.t FINAL") == [[1, "one"]]
    target.query("DROP DATABASE identity")


def test_a_source_restored_from_a_base_backup(stage, target, own):
    source = own("restored")
    node = stage.node(source, target, target_database="restored", pipeline="restored")
    node.wait_caught_up(60)
    node.stop()
    source.stop()
    backup = source.data + "-backup"
    shutil.copytree(source.data, backup, symlinks=True)
    if source.user:
        for folder, _, files in os.walk(backup):
            for path in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(path, source.user.pw_uid, source.user.pw_gid)
    source.start()
    node.start()
    source.execute("INSERT INTO t SELECT g, 'will be lost' FROM generate_series(2, 1000) g")
    node.wait_caught_up(60)
    node.stop()
    source.stop()
    shutil.rmtree(source.data)
    os.rename(backup, source.data)
    source.start()
    source.execute("INSERT INTO t VALUES (2, 'another history')")
    node.start(wait=False)
    refuses(node, "log ends at")
    assert target.value("SELECT count() FROM restored.t FINAL") == 1000, "the target is left as it was"
    target.query("DROP DATABASE restored")


def promote(source):
    """The server comes back on a new timeline, as after a failover."""
    source.stop()
    path = os.path.join(source.data, "recovery.signal")
    open(path, "w").close()
    if source.user:
        os.chown(path, source.user.pw_uid, source.user.pw_gid)
    source.settings["restore_command"] = "/bin/false"
    source.start()
    wait_until(lambda: not source.value("SELECT pg_is_in_recovery()"), "the promotion", 30)
    assert source.value("SELECT timeline_id FROM pg_control_checkpoint()") > 1 or source.value("SELECT pg_walfile_name(pg_current_wal_lsn())") > "00000002"


def test_a_new_timeline_that_has_all_that_was_received(stage, target, own):
    source = own("promoted")
    node = stage.node(source, target, target_database="promoted", pipeline="promoted")
    source.execute("INSERT INTO t VALUES (2, 'two')")
    node.wait_caught_up(60)
    node.stop()
    promote(source)
    source.execute("INSERT INTO t VALUES (3, 'three')")
    node.start()
    node.wait_caught_up(60)
    assert target.value("SELECT count() FROM promoted.t FINAL") == 3
    node.stop()
    target.query("DROP DATABASE promoted")


def test_a_source_that_restarts_in_the_middle(source, nodes, sql, many, same):
    many(rows=20000)
    node = nodes(configuration=SMALL)
    midway(node)
    source.restart()
    sql("UPDATE many SET v = 3 WHERE id % 3 = 0")
    same(node)
