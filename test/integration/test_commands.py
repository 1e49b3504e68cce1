"""check, run, status and olap against servers that are as they should be, and as they should not be."""

import json
import os
import socket
import subprocess

import pytest

from millrace_servers import free_port, millrace_binary, wait_until


@pytest.fixture
def shop(source, database):
    source.execute("""CREATE TABLE orders (id bigint PRIMARY KEY, note text, born date);
        INSERT INTO orders SELECT g, 'n' || g, '2020-01-01' FROM generate_series(1, 100) g""", database=database)
    return lambda sql: source.execute(sql, database=database)


@pytest.fixture(scope="module")
def bare(stage):
    """A second cluster, whose settings tests change."""
    return stage.postgres(start=False, name="bare")


def refused(node, *expected):
    """check says it and exits with 1."""
    code, out, err = node.command("check")
    assert (code, err) == (1, ""), out + err
    for text in expected:
        assert text in out, out
    return out


def stops(node, *expected):
    """run stops by itself with one line that says it, and exit code 1."""
    code, _, err = node.command("run", seconds=20)
    assert code == 1, err
    last = [line for line in err.splitlines() if " error " in line]
    assert last, err
    for text in expected:
        assert text in last[-1], err


def left_alone(source, target, database):
    """Nothing has been made anywhere."""
    assert source.value("SELECT count(*) FROM pg_publication", database=database) == 0
    assert source.value("SELECT count(*) FROM pg_replication_slots WHERE database = %s", (database,)) == 0
    assert target.value(f"SELECT count() FROM system.databases WHERE name = '{database}'") == 0


# -- all is well ------------------------------------------------------------------------------------


def test_check_says_what_run_does_and_changes_nothing(source, target, database, nodes, shop):
    node = nodes(start=False)
    code, out, err = node.command("check")
    assert (code, err) == (0, ""), out + err
    assert f"public.orders -> {database}.orders, key id" in out
    assert "born  date -> Nullable(Date32)" in out
    assert "CREATE PUBLICATION" in out and "pg_create_logical_replication_slot" in out and "CREATE TABLE" in out
    assert "\nready" in out
    left_alone(source, target, database)


def test_check_beside_a_running_node_finds_everything_there(database, nodes, shop):
    node = nodes()
    node.wait_caught_up()
    code, out, _ = node.command("check")
    assert code == 0, out
    assert "everything is there" in out
    assert "the node that runs with this configuration" in out


def test_status_is_for_people_and_for_programs(nodes, shop):
    node = nodes()
    node.wait_caught_up()
    wait_until(lambda: node.get("/readyz")[0] == 200, "ready", 20, alive=node)
    code, out, err = node.command("status")
    assert (code, err) == (0, ""), out + err
    assert "state     streaming" in out and "public.orders" in out and "100 rows" in out
    code, out, _ = node.command("status", "--json")
    assert code == 0
    assert [table["table"] for table in json.loads(out)["tables"]] == ["public.orders"]
    assert node.metric("cdc_events_processed_total", table="public.orders", operation="read") == 100
    assert node.metric("transformation_duration_seconds_count", flow="public.orders") >= 1
    assert node.metric("enrichment_errors_total", entity="public.orders") == 0
    node.stop()
    code, out, err = node.command("status")
    assert code == 1 and out == "" and "no answer from http://127.0.0.1:" in err


def test_a_node_stops_with_exit_code_0_and_never_logs_its_password(source, nodes, shop):
    node = nodes(configuration={"millrace": {"log-level": "trace"}})
    node.wait_caught_up()
    process = node.process
    node.stop()
    assert process.returncode == 0
    with open(node.log_path) as log:
        text = log.read()
    assert "streaming" in text and source.password not in text


# -- the source -------------------------------------------------------------------------------------


def test_wrong_password(stage, source, target, database, nodes, shop):
    path = os.path.join(stage.folder, f"{database}-wrong")
    with open(path, "w") as file:
        file.write("s3cr3t-and-wrong\n")
    node = nodes(start=False, configuration={"source": {"password-file": path}})
    assert "s3cr3t" not in refused(node, "source: ", "password authentication failed")
    left_alone(source, target, database)
    stops(node, "password authentication failed", "MILLRACE_SOURCE_PASSWORD")


def test_wrong_port(nodes, shop):
    node = nodes(start=False, configuration={"source": {"uri": f"postgresql://postgres@127.0.0.1:{free_port()}/x"}})
    refused(node, "source: ", "Connection refused")


def test_wrong_host(nodes, shop):
    node = nodes(start=False, configuration={"source": {"uri": "postgresql://postgres@nowhere.invalid/x"}})
    refused(node, "source: ", "nowhere.invalid")


def test_wrong_database(source, nodes, shop):
    node = nodes(start=False, configuration={"source": {"uri": source.uri("no_such_database")}})
    refused(node, '"no_such_database" does not exist', "source.uri")
    stops(node, '"no_such_database" does not exist')


def test_tls_where_there_is_none(source, database, nodes, shop):
    node = nodes(start=False, configuration={"source": {"uri": source.uri(database) + "?sslmode=require"}})
    refused(node, "source: ", "SSL")


def test_no_replication_privilege(source, database, nodes, shop):
    source.execute("CREATE ROLE plain LOGIN PASSWORD %s", (source.password,))
    try:
        shop("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain; CREATE PUBLICATION p FOR TABLE orders")
        node = nodes(start=False, configuration={"source": {"uri": source.uri(database, user="plain"), "publication": "p"}})
        refused(node, "REPLICATION")
        stops(node, "REPLICATION")
    finally:
        shop("DROP OWNED BY plain")
        source.execute("DROP ROLE plain")


def test_row_level_security_that_hides_rows(source, database, nodes, shop):
    source.execute("CREATE ROLE watched LOGIN REPLICATION PASSWORD %s", (source.password,))
    try:
        shop("""GRANT SELECT ON ALL TABLES IN SCHEMA public TO watched; ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
            CREATE POLICY few ON orders USING (id < 10); CREATE PUBLICATION p FOR TABLE orders""")
        node = nodes(start=False, configuration={"source": {"uri": source.uri(database, user="watched"), "publication": "p"}})
        refused(node, "public.orders: ", "row", "BYPASSRLS")
    finally:
        shop("DROP OWNED BY watched")
        source.execute("DROP ROLE watched")


def test_slot_of_another_plugin(source, database, nodes, shop):
    node = nodes(start=False)
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", (node.slot,), database=database)
    refused(node, f'slot "{node.slot}"', "test_decoding")
    stops(node, "test_decoding")
    assert source.value("SELECT plugin FROM pg_replication_slots WHERE slot_name = %s", (node.slot,)) == "test_decoding"


def test_slot_in_use_by_another_node(database, nodes, shop):
    nodes().wait_caught_up()
    second = nodes(start=False)
    refused(second, "in use by process", "another node may be running")


def test_publication_without_the_table(nodes, shop):
    shop("CREATE TABLE other (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE other")
    code, out, _ = nodes(start=False, configuration={"source": {"publication": "p"}}).command("check")
    assert code == 0, out
    assert 'ALTER PUBLICATION "p" ADD TABLE ONLY "public"."orders"' in out, out


def test_publication_without_updates(nodes, shop):
    shop("CREATE PUBLICATION p FOR TABLE orders WITH (publish = 'insert')")
    refused(nodes(start=False, configuration={"source": {"publication": "p"}}), 'publication "p"', "update")


def test_publication_that_would_refuse_the_applications_writes(nodes, shop):
    shop("CREATE TABLE keyless (a int); CREATE PUBLICATION p FOR TABLE orders, keyless")
    refused(nodes(start=False, configuration={"source": {"publication": "p"}}), "keyless", "UPDATE")


def test_tables_that_cannot_be(database, nodes, shop):
    shop("""CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY); CREATE TABLE sales_orders (id int PRIMARY KEY);
        CREATE TABLE reserved (id int PRIMARY KEY, _version int); CREATE TABLE keyless (a int)""")
    code, out, _ = nodes(start=False, tables=["public.*", "sales.*"]).command("check")
    # As run has it: these are let go, the others are followed.
    assert code == 0, out
    for text in ("would be quarantined", 'public.sales_orders and sales.orders would meet', 'column "_version"', "warning: public.keyless: it has no key"):
        assert text in out, out
    assert "ready, 3 warnings" in out, out


def test_an_empty_database_is_no_error(source, target, database, nodes):
    node = nodes(start=False)
    code, out, _ = node.command("check")
    assert code == 0 and "no table matches yet" in out, out
    left_alone(source, target, database)


def test_columns_that_a_column_list_leaves_out_are_not_planned(database, nodes, shop):
    shop("CREATE PUBLICATION p FOR TABLE orders (id, note)")
    code, out, _ = nodes(start=False, configuration={"source": {"publication": "p"}}).command("check")
    assert code == 0 and "note " in out and "born" not in out, out


def test_check_knows_the_slot_of_before(source, target, database, nodes, shop):
    """What run says of a slot that is not there, or not where it was left."""
    node = nodes()
    node.wait_caught_up()
    code, out, _ = node.command("check")
    assert code == 0 and "state: known" in out, out
    assert node.stop() == 0
    source.execute("SELECT pg_drop_replication_slot(%s)", (node.slot,), database=database)
    out = refused(node, f'slot "{node.slot}" does not exist any more', "take")
    assert "pg_create_logical_replication_slot" not in out, out
    stops(node, f'slot "{node.slot}" does not exist any more')
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (node.slot,), database=database)
    shop("INSERT INTO orders (id) VALUES (1000); SELECT pg_logical_emit_message(true, 'x', 'y')")
    source.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", (node.slot,), database=database)
    refused(node, "millrace never moved it beyond")
    stops(node, "millrace never moved it beyond")


def test_check_knows_the_source_of_before(stage, bare, target, nodes, database, shop):
    node = nodes()
    node.wait_caught_up()
    assert node.stop() == 0
    if not bare.running():
        bare.settings.update(wal_level="logical")
        bare.start()
    bare.execute(f"CREATE DATABASE {database}")
    try:
        bare.execute("CREATE TABLE orders (id bigint PRIMARY KEY)", database=database)
        other = stage.node(bare, target, database=database, pipeline=database, start=False)
        out = refused(other, "the source has the system identifier", "as before")
        assert "CREATE PUBLICATION" not in out, out
    finally:
        bare.execute(f"DROP DATABASE {database}")


def test_wal_level_slots_and_senders(bare, target, stage):
    def start(**settings):
        bare.settings.update(settings)
        bare.restart() if bare.running() else bare.start()

    start(wal_level="replica")
    bare.execute("CREATE TABLE t (id int PRIMARY KEY)")
    node = stage.node(bare, target, target_database="bare_check", pipeline="bare", start=False)
    refused(node, "wal_level: it is 'replica', not 'logical'", "ALTER SYSTEM SET wal_level")
    stops(node, "wal_level")
    start(wal_level="logical", max_replication_slots="1")
    bare.execute("SELECT pg_create_logical_replication_slot('taken', 'pgoutput')")
    refused(node, "max_replication_slots")
    stops(node, "max_replication_slots")
    start(max_replication_slots="4", max_wal_senders="0")
    refused(node, "max_wal_senders")
    assert bare.value("SELECT count(*) FROM pg_publication") == 0


def test_slot_that_the_server_invalidated(bare, target, stage):
    bare.settings.update(wal_level="logical", max_replication_slots="4", max_wal_senders="4", max_slot_wal_keep_size="1MB",
                         min_wal_size="32MB", max_wal_size="32MB")
    bare.restart() if bare.running() else bare.start()
    bare.execute("CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY)")
    node = stage.node(bare, target, target_database="bare_lost", pipeline="lost")
    try:
        node.wait_caught_up()
        node.stop()
        for _ in range(4):
            bare.execute("SELECT pg_switch_wal()")
            bare.execute("CREATE TABLE fill AS SELECT g FROM generate_series(1, 200000) g")
            bare.execute("DROP TABLE fill")
        bare.execute("CHECKPOINT")
        wait_until(lambda: bare.value("SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'millrace_lost'") == "lost",
                   "the slot is lost", 30)
        refused(node, 'slot "millrace_lost"', "pg_drop_replication_slot")
        stops(node, 'slot "millrace_lost"')
        assert bare.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'millrace_lost'") == 1
    finally:
        node.stop()


# -- the target -------------------------------------------------------------------------------------


def test_unknown_target(nodes, shop):
    refused(nodes(start=False, configuration={"target": {"url": f"http://127.0.0.1:{free_port()}"}}), "target: ", "is the server running")


def test_wrong_and_read_only_user_of_the_target(stage, source, database, shop):
    users = os.path.join(stage.folder, "users")
    with open(users, "w") as file:
        file.write("node right\nreader right readonly\n")
    guarded = stage.olap(name="guarded", arguments=["--users-file", users], start=False)
    # Its /ping needs no user.
    guarded.start()
    try:
        for user, password, texts in (("node", "s3cr3t", ["target: ", "user"]), ("nobody", "s3cr3t", ["target: ", "user"]),
                                      ("reader", "right", ["may only read"])):
            node = stage.node(source, guarded, database=database, pipeline=f"{database}_{user}"[:40], start=False,
                              configuration={"target": {"user": user}}, environment={"MILLRACE_TARGET_PASSWORD": password})
            assert "s3cr3t" not in refused(node, *texts)
            code, _, err = node.command("run", seconds=20)
            assert code == 1 and " error " in err, err
        node = stage.node(source, guarded, database=database, pipeline=database, start=False,
                          configuration={"target": {"user": "node"}}, environment={"MILLRACE_TARGET_PASSWORD": "right"})
        code, out, _ = node.command("check")
        assert code == 0, out
    finally:
        guarded.stop()


# -- this machine -----------------------------------------------------------------------------------


def test_http_port_that_is_taken(source, target, database, nodes, shop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = nodes(start=False, configuration={"http": {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}})
        stops(node, "cannot listen on 127.0.0.1:", "http.listen")
    left_alone(source, target, database)


def test_configuration_that_is_wrong(stage, nodes, shop):
    node = nodes(start=False, configuration={"millrace": {"bufer": "direct"}, "limits": {"window-bytes": "big"}})
    for command in ("run", "check", "status"):
        code, out, err = node.command(command)
        assert (code, out) == (2, "")
        assert err.splitlines() == [
            f"{node.config_file}: millrace.bufer: unknown entry; did you mean \"buffer\"?",
            f"{node.config_file}: limits.window-bytes: expected an integer from 1048576 to 68719476736, got \"big\" (string)"], err
    done = subprocess.run([millrace_binary(), "run", "--config-file", "/nonexistent.conf"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == "/nonexistent.conf: cannot be read: No such file or directory\n"


def olap(*arguments):
    done = subprocess.run([millrace_binary(), "olap", *arguments], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


def test_olap_says_what_is_wrong(stage, target):
    folder = os.path.join(stage.folder, "olap-bad")
    code, err = olap("--data-dir", folder, "--listen", f"127.0.0.1:{target.port}")
    assert code == 1 and f"127.0.0.1:{target.port}" in err and "Address already in use" in err, err
    code, err = olap("--data-dir", target.data, "--listen", f"127.0.0.1:{free_port()}")
    assert code == 1 and target.data in err, err
    blocked = os.path.join(stage.folder, "a-file")
    open(blocked, "w").close()
    code, err = olap("--data-dir", os.path.join(blocked, "data"), "--listen", f"127.0.0.1:{free_port()}")
    assert code == 1 and blocked in err, err
    code, err = olap("--data-dir", folder, "--library", "/nonexistent/libchdb.so", "--listen", f"127.0.0.1:{free_port()}")
    assert code == 1 and "/nonexistent/libchdb.so" in err, err
    code, err = olap("--data-dir", folder, "--library", "/bin/true", "--listen", f"127.0.0.1:{free_port()}")
    assert code == 1 and "/bin/true" in err, err
    code, err = olap("--data-dir", folder, "--listen", f"0.0.0.0:{free_port()}")
    assert code == 2 and "--users-file" in err, err
    assert olap("--listen", "x")[0] == 2
