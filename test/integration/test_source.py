"""The source as it is found: another one, one that waits, one that refuses. Issue 3, sections 2 and 8; design, section 4."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from millrace_compare import assert_equal
from millrace_servers import wait_until


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


# -- a slot that somebody else moved ----------------------------------------------------------------------------------


def again(source, database, slot):
    source.execute("SELECT pg_drop_replication_slot(%s)", (slot,), database=database)
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,), database=database)


def advanced(source, database, slot):
    source.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_insert_lsn())", (slot,), database=database)


@pytest.mark.parametrize("how", [again, advanced])
def test_a_slot_that_was_moved_leaves_no_silent_gap(source, database, nodes, sql, how):
    """Before: the rows that came while the slot was not ours were missing, and nobody said so."""
    sql("CREATE TABLE t (id int PRIMARY KEY)")
    node = nodes()
    sql("INSERT INTO t VALUES (1)")
    node.wait_caught_up(60)
    node.stop()
    sql("INSERT INTO t VALUES (2)")
    how(source, database, node.slot)
    node.start(wait=False)
    fails(node, "slot_lost", node.slot, "made it anew or advanced it", "pg_drop_replication_slot")


def test_a_slot_that_is_moved_while_the_node_is_cut_off_is_noticed(source, database, nodes, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    os.kill(node.process.pid, signal.SIGSTOP)
    try:
        source.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = %s", (node.slot,))
        wait_until(lambda: source.value("SELECT NOT active FROM pg_replication_slots WHERE slot_name = %s", (node.slot,)),
                   "the slot is free", 30)
        sql("INSERT INTO t VALUES (2)")
        again(source, database, node.slot)
    finally:
        os.kill(node.process.pid, signal.SIGCONT)
    fails(node, "slot_lost", node.slot)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
def test_a_slot_that_nobody_moved_goes_on(source, target, database, nodes, sql, how):
    """However far it had been confirmed when the node went."""
    sql("CREATE TABLE t (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    for turn in range(6):
        sql(f"INSERT INTO t VALUES ({turn})")
        time.sleep(turn * 0.1)
        node.process.send_signal(how)
        node.wait(60)
        node.start()
    node.wait_caught_up(60)
    assert_equal(source, target, database)


def test_of_nodes_that_start_at_once_one_goes_on_and_another_takes_over(source, target, database, nodes, sql):
    """Before: the one that came too late could write the state of the pipeline, too."""
    sql("CREATE TABLE t (id int PRIMARY KEY)")
    several = [nodes(start=False) for _ in range(3)]
    for node in several:
        node.start(wait=False)
    for turn in range(3):
        sql(f"INSERT INTO t VALUES ({turn})")
        assert_equal(source, target, database, seconds=60)
        streams = [node for node in several if node.running() and '"streaming"' in node.get("/status")[1]]
        assert len(streams) == 1
        streams[0].kill()
        streams[0].start(wait=False)
    assert all(node.running() for node in several)


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


# -- tables that somebody locks ------------------------------------------------------------------------------------------


SMALL = {"limits": {"snapshot-chunk-bytes": 65536, "snapshot-window-bytes": 1 << 20}}


def fill(sql, rows):
    sql(f"""CREATE TABLE many (id int PRIMARY KEY, v int, pad text);
        INSERT INTO many SELECT g, 0, rpad('row ' || g, 180, '.') FROM generate_series(1, {rows}) g""")


def chunks(node):
    return node.metric("millrace_snapshot_chunks_done", table="public.many") or 0


def test_a_table_that_is_locked_during_its_snapshot_waits_alone(source, target, database, nodes, sql):
    fill(sql, 100000)
    sql("CREATE TABLE other (id int PRIMARY KEY)")
    node = nodes(configuration=SMALL)
    wait_until(lambda: chunks(node) >= 2, "the first chunks", 60, 0.005, alive=node)
    holder = source.connect(database, autocommit=False, application_name="maintenance")
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE many IN ACCESS EXCLUSIVE MODE")
    waits = wait_until(lambda: node.status()["waits"].get("public.many"), "status names the table", 60, alive=node)
    assert f"process {holder.get_backend_pid()} (maintenance)" in waits["why"], waits
    for i in range(3):
        sql(f"INSERT INTO other VALUES ({i})")
        wait_until(lambda: target.value(f"SELECT count() FROM `{database}`.other FINAL") == i + 1, "the stream goes on", 10, alive=node)
    # Long enough for what was given up after 5 s before; the log does not tell it again and again.
    told = node.log().count("the snapshot of public.many waits")
    locked_at = time.monotonic()
    wait_until(lambda: time.monotonic() - locked_at > 9, "the lock is held", 60, alive=node)
    assert told >= 1 and node.log().count("the snapshot of public.many waits") == told
    holder.rollback()
    holder.close()
    node.wait_caught_up(90)
    assert node.metric("millrace_restarts_total") == 0
    assert node.status()["waits"] == {}
    assert_equal(source, target, database, seconds=30)


def test_a_target_that_is_away_does_not_hold_back_vacuum_or_ddl(source, target, database, nodes, sql):
    fill(sql, 200000)
    node = nodes(start=False, configuration={"limits": {"snapshot-window-bytes": 1 << 20}})
    node.start()
    wait_until(lambda: "chunk(s) to read" in node.log(), "the first chunk", 60, 0.005, alive=node)
    held = """SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name = 'millrace'
        AND backend_type = 'client backend' AND (backend_xmin IS NOT NULL OR xact_start IS NOT NULL)"""
    target.freeze()
    try:
        wait_until(lambda: node.log().count("will be read again") >= 1, "chunks are let go of", 60, alive=node)
        wait_until(lambda: source.value(held, (database,)) == 0, "no transaction is open", 60, alive=node)
        sql("SET lock_timeout = '5s'; ALTER TABLE many ADD COLUMN w int; UPDATE many SET w = id WHERE id % 100 = 0")
        assert node.metric("millrace_restarts_total") == 0
    finally:
        target.thaw()
    node.wait_caught_up(120)
    assert_equal(source, target, database, seconds=60)
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 0


# -- a server that wants to stop -------------------------------------------------------------------------------------------


def test_a_server_with_a_backlog_can_stop_while_the_target_is_away(source, target, database, nodes, sql):
    """It waits until its walsender has sent everything; a reader with a full window reads nothing."""
    sql("CREATE TABLE t (id int PRIMARY KEY, pad text)")
    node = nodes(configuration={"limits": {"window-bytes": 1 << 20, "batch-bytes": 1 << 16}})
    node.wait_caught_up(60)
    target.freeze()
    try:
        sql("INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series(1, 100000) g")
        wait_until(lambda: node.metric("millrace_in_flight_bytes") >= 1 << 20, "the window is full", 60, alive=node)
        os.kill(source.pid, signal.SIGINT)  # a fast shutdown
        assert source.wait(50) == 0
    finally:
        target.thaw()
        if not source.running():
            source.start()
    node.wait_caught_up(120)
    assert_equal(source, target, database, seconds=60)


# -- failover --------------------------------------------------------------------------------------------------------------


def own(server, path):
    if server.user:
        for folder, _, files in os.walk(path):
            for name in [folder, *(os.path.join(folder, file) for file in files)]:
                os.chown(name, server.user.pw_uid, server.user.pw_gid)


@pytest.fixture
def clusters(stage):
    """Clusters of the test's own; a copy is what a standby has of the first one."""
    servers = []

    def make(name, copy_of=None):
        server = stage.postgres(name=name, start=False)
        servers.append(server)
        if copy_of:
            assert not copy_of.running()
            shutil.rmtree(server.data)
            shutil.copytree(copy_of.data, server.data, symlinks=True)
            server.password = copy_of.password
            own(server, server.data)
        return server
    yield make
    for server in servers:
        server.stop()


def promote(server):
    """Starts it on a new timeline."""
    path = os.path.join(server.data, "recovery.signal")
    open(path, "w").close()
    own(server, server.data)
    if server.user:
        os.chown(path, server.user.pw_uid, server.user.pw_gid)
    server.settings["restore_command"] = "/bin/false"
    server.start()
    wait_until(lambda: not server.value("SELECT pg_is_in_recovery()"), "the promotion", 30)


def hosts(*servers):
    ports = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://postgres@{ports}/postgres?target_session_attrs=read-write"


def test_another_host_takes_over(stage, target, clusters):
    first = clusters("first").start()
    first.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'first' FROM generate_series(1, 100) g")
    second = clusters("second")
    node = stage.node(first, target, target_database="takeover", pipeline="takeover", start=False,
                      configuration={"source": {"uri": hosts(first, second)}})
    node.start()
    node.wait_caught_up(60)
    first.execute("UPDATE t SET v = 'changed' WHERE id <= 10")
    first.stop()
    # What was sent and not confirmed comes again from the second one, whose slot is where the first one's was.
    shutil.rmtree(second.data)
    shutil.copytree(first.data, second.data, symlinks=True)
    second.password = first.password
    promote(second)
    second.execute("INSERT INTO t SELECT g, 'second' FROM generate_series(101, 150) g; DELETE FROM t WHERE id = 50")
    node.source = second
    node.wait_caught_up(120)
    assert_equal(second, target, "postgres", target_database="takeover", seconds=30)
    assert node.poll() is None
    node.stop()
    target.query("DROP DATABASE takeover")


def test_a_host_that_takes_over_and_lacks_what_was_received(stage, target, clusters):
    """Its log has passed the position meanwhile: only its timeline tells. LSNs of lost commits are used again by others."""
    first = clusters("complete").start()
    first.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')")
    node = stage.node(first, target, target_database="lossy", pipeline="lossy")
    node.wait_caught_up(60)
    node.stop()
    first.stop()
    second = clusters("lacking", copy_of=first)
    first.start()
    node.start()
    first.execute("INSERT INTO t SELECT g, 'never reached the standby' FROM generate_series(2, 5000) g")
    node.wait_caught_up(60)
    received = first.current_lsn()
    promote(second)
    second.execute("INSERT INTO t SELECT g, 'another history' FROM generate_series(2, 20000) g")
    assert second.value("SELECT pg_current_wal_lsn() > %s::pg_lsn", (received,))
    slot = "SELECT confirmed_flush_lsn::text FROM pg_replication_slots WHERE slot_name = 'millrace_lossy'"
    before = second.value(slot)
    node.stop()
    first.stop()
    node.configuration["source"].update({"uri": hosts(first, second)})
    node.write_configuration()
    node.start(wait=False)
    fails(node, "source_changed", "which left timeline 1 at")
    assert second.value(slot) == before
    assert target.value("SELECT count() FROM lossy.t FINAL WHERE v = 'another history'") == 0
    target.query("DROP DATABASE lossy")


# -- TLS -------------------------------------------------------------------------------------------------------------------


def test_a_server_that_wants_tls(stage, target, clusters):
    server = clusters("secret")
    key, certificate = (os.path.join(server.data, name) for name in ("server.key", "server.crt"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    os.chmod(key, 0o600)
    with open(os.path.join(server.data, "pg_hba.conf"), "w") as file:
        file.write("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostssl replication all 127.0.0.1/32 scram-sha-256\n")
    own(server, server.data)
    server.settings["ssl"] = "on"
    root = os.path.join(stage.folder, "root.crt")
    shutil.copy(certificate, root)
    server.start()
    server.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, repeat('x', 5000) FROM generate_series(1, 500) g")
    node = stage.node(server, target, target_database="tls", pipeline="tls", start=False,
                      configuration={"source": {"uri": server.uri() + "?sslmode=disable"}})
    node.start(wait=False)
    fails(node, "no encryption", "the server may want TLS")
    node.configuration["source"]["uri"] = server.uri() + f"?sslmode=verify-full&sslrootcert={root}"
    node.write_configuration()
    node.start()
    server.execute("UPDATE t SET v = repeat('y', 6000) WHERE id % 2 = 0; DELETE FROM t WHERE id % 7 = 0")
    node.wait_caught_up(60)
    assert_equal(server, target, "postgres", target_database="tls", seconds=30)
    assert server.value("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'millrace'")
    node.stop()
    target.query("DROP DATABASE tls")
