"""Tables that come, go, and come back while the node runs; tables that are taken again. Issue 4, section 1."""

import pytest

from millrace_servers import wait_until


def table(node, name):
    return next((x for x in node.status()["tables"] if x["table"] == name), None)


def rows(target, database, name="t"):
    try:
        return target.rows(f"SELECT * EXCEPT (_version, _deleted, _committed_at) FROM `{database}`.{name} FINAL ORDER BY ALL")
    except Exception:
        return None


def gone(node, name):
    found = table(node, name)
    return found and "gone from the source" in (found["note"] or "")


def is_ready(node):
    return node.get("/readyz")[0] == 200


def test_new_tables_while_others_go_on(source, target, database, nodes, sql, same):
    sql("CREATE TABLE old (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    # One of them cannot be added now: somebody maintains it. Nobody else waits for that.
    sql("CREATE TABLE busy (id int PRIMARY KEY); INSERT INTO busy VALUES (1); CREATE TABLE free (id int PRIMARY KEY); INSERT INTO free VALUES (1)")
    holder = source.connect(database, autocommit=False)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE busy IN SHARE UPDATE EXCLUSIVE MODE")
    wait_until(lambda: rows(target, database, "free") == [[1]], "the new table that is free", 60, alive=node)
    for i in range(5):
        sql(f"INSERT INTO old VALUES ({i})")
        wait_until(lambda: len(rows(target, database, "old")) == i + 1, "the stream goes on", 5, alive=node)
    holder.rollback()
    holder.close()
    wait_until(lambda: rows(target, database, "busy") == [[1]], "the new table that was busy", 60, alive=node)
    assert node.metric("millrace_restarts_total") == 0
    assert len(same(node)) == 3


def test_a_table_that_is_locked_at_the_first_start(source, target, database, nodes, sql, same):
    """It holds up no other, shows, and comes when it is free."""
    sql("""CREATE TABLE busy (id int PRIMARY KEY); INSERT INTO busy VALUES (1); CREATE TABLE free (id int PRIMARY KEY); INSERT INTO free VALUES (1);
        CREATE TABLE nothing ()""")
    holder = source.connect(database, autocommit=False)
    with holder.cursor() as cursor:
        # As a VACUUM does. PostgreSQL gives an ACCESS EXCLUSIVE lock a transaction ID, and makes a new slot wait for that.
        cursor.execute("LOCK TABLE busy IN SHARE UPDATE EXCLUSIVE MODE")
    try:
        node = nodes()
        wait_until(lambda: rows(target, database, "free") == [[1]], "the table that is free", 60, alive=node)
        sql("INSERT INTO free VALUES (2)")
        wait_until(lambda: len(rows(target, database, "free")) == 2, "the stream goes on", 30, alive=node)
        assert "lock timeout" in node.status()["waits"]["public.busy"]["why"]
    finally:
        holder.rollback()
        holder.close()
    wait_until(lambda: rows(target, database, "busy") == [[1]], "the table that was locked", 60, alive=node)
    assert "public.busy" not in node.status()["waits"]
    assert node.metric("millrace_restarts_total") == 0
    # One without columns is taken in when it gets some.
    assert table(node, "public.nothing") is None and "public.nothing: it has no column" in node.log()
    sql("ALTER TABLE nothing ADD COLUMN id int PRIMARY KEY; INSERT INTO nothing VALUES (7)")
    wait_until(lambda: rows(target, database, "nothing") == [[7]], "the table that had no columns", 60, alive=node)
    assert len(same(node)) == 3


def test_partitions_are_no_tables_of_their_own(source, target, database, nodes, sql, same):
    sql("""CREATE TABLE parent (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE low PARTITION OF parent FOR VALUES FROM (0) TO (10);
        CREATE TABLE high PARTITION OF parent FOR VALUES FROM (10) TO (20); INSERT INTO parent VALUES (1), (11)""")
    node = nodes()
    node.wait_caught_up(60)
    sql("INSERT INTO parent VALUES (2), (12); UPDATE parent SET id = id + 3")
    node.wait_caught_up(60)
    same(node)
    assert [x["table"] for x in node.status()["tables"]] == ["public.parent"]


def test_a_dropped_table_stays_in_the_target_and_the_node_is_well(source, target, database, nodes, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g; CREATE TABLE other (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    sql("UPDATE t SET v = 'y'")
    sql("DROP TABLE t; INSERT INTO other VALUES (1)")
    wait_until(lambda: gone(node, "public.t"), "the node notices", 60, alive=node)
    node.wait_caught_up(60)
    assert is_ready(node), node.get("/readyz")[1]
    assert len(rows(target, database)) == 100
    node.restart()
    node.wait_caught_up(60)
    assert is_ready(node), node.get("/readyz")[1]
    assert len(rows(target, database)) == 100 and rows(target, database, "other") == [[1]]
    assert node.metric("millrace_restarts_total") == 0


def test_changes_of_a_table_that_is_dropped_before_they_are_read(source, target, database, nodes, sql):
    """The Relation message is of then; the catalogue has nothing of it any more."""
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE other (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    node.stop()
    sql("INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g; ALTER TABLE t ADD COLUMN n int; INSERT INTO t VALUES (0, '', 1)")
    sql("DROP TABLE t; INSERT INTO other VALUES (1)")
    node.start()
    node.wait_caught_up(60)
    assert rows(target, database, "other") == [[1]]
    assert is_ready(node), node.get("/readyz")[1]


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize("columns", ["id int PRIMARY KEY, v text", "id int PRIMARY KEY, v text, more numeric(6,2)"], ids=["same", "wider"])
def test_a_table_that_is_made_again_under_its_name(source, target, database, nodes, sql, same, running, columns):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'old' FROM generate_series(1, 1000) g")
    node = nodes()
    node.wait_caught_up(60)
    if not running:
        node.stop()
    sql("UPDATE t SET v = 'older'")
    sql(f"DROP TABLE t; CREATE TABLE t ({columns}); INSERT INTO t (id, v) SELECT g, 'new' FROM generate_series(1, 20) g")
    if not running:
        node.start()
    wait_until(lambda: len(rows(target, database) or []) == 20, "the new table's rows alone", 90, alive=node)
    sql("INSERT INTO t (id, v) VALUES (21, 'streamed'); DELETE FROM t WHERE id = 1; UPDATE t SET v = 'changed' WHERE id = 2")
    assert same(node)[0].target_rows == 20
    assert is_ready(node), node.get("/readyz")[1]


def test_a_table_that_does_not_fit_is_made_again_so_that_it_fits(source, target, database, nodes, sql, same):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x')")
    node = nodes()
    node.wait_caught_up(60)
    sql("DROP TABLE t; CREATE TABLE t (id text PRIMARY KEY, v int); INSERT INTO t VALUES ('a', 1)")
    wait_until(lambda: (table(node, "public.t") or {}).get("quarantine"), "it does not fit", 60, alive=node)
    assert not is_ready(node)
    sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (2, 'y')")
    wait_until(lambda: rows(target, database) == [[2, "y"]], "it is followed again", 90, alive=node)
    same(node)
    assert is_ready(node), node.get("/readyz")[1]


# -- millrace snapshot ---------------------------------------------------------------------------------------------------


def test_a_table_is_taken_again_when_somebody_asks(source, target, database, nodes, sql, same):
    sql("""CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'x' FROM generate_series(1, 5000) g;
        CREATE TABLE other (id int PRIMARY KEY, v text)""")
    node = nodes()
    node.wait_caught_up(60)
    # What no log carries: a column with a default, and rows that somebody broke in the target.
    sql("ALTER TABLE t ADD COLUMN n int DEFAULT 7; INSERT INTO t VALUES (5001, 'y', 8)")
    node.wait_caught_up(60)
    target.query(f"INSERT INTO `{database}`.t (id, v, _version) VALUES (-1, 'nobody knows', 1)")
    target.query(f"ALTER TABLE `{database}`.t DELETE WHERE id = 17 SETTINGS mutations_sync = 2")
    assert node.command("snapshot", "--table", "public.t") == (0, "the node takes public.t again\n", "")
    sql("UPDATE t SET v = 'z' WHERE id % 10 = 0; DELETE FROM t WHERE id % 10 = 1; INSERT INTO other VALUES (1, 'x')")
    same(node)
    assert target.value(f"SELECT sum(n) FROM `{database}`.t FINAL") == 7 * 4500
    assert node.metric("millrace_restarts_total") == 0
    node.restart()
    same(node)


def test_it_is_the_way_out_of_quarantine(source, target, database, nodes, sql, same):
    sql("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1); CREATE TABLE other (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    sql("ALTER TABLE t ALTER COLUMN v TYPE text; INSERT INTO t VALUES (2, 'two')")
    wait_until(lambda: table(node, "public.t")["quarantine"], "it does not fit", 60, alive=node)
    sql("INSERT INTO t VALUES (3, 'three'); INSERT INTO other VALUES (1)")
    node.wait_caught_up(60)
    target.query(f"DROP TABLE `{database}`.t SYNC")
    code, out, err = node.command("snapshot", "--table", "public.t")
    assert code == 0, err
    sql("INSERT INTO t VALUES (4, 'four')")
    wait_until(lambda: len(rows(target, database) or []) == 4, "it is followed again", 60, alive=node)
    same(node)
    assert is_ready(node), node.get("/readyz")[1]
    node.restart()
    same(node)


def test_what_cannot_be_taken_again(nodes, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY)")
    node = nodes()
    node.wait_caught_up(60)
    code, out, err = node.command("snapshot", "--table", "public.none")
    assert (code, err) == (1, "millrace snapshot: table public.none is not followed\n")
    code, out, err = node.command("snapshot")
    assert code == 2 and "--table" in err
    node.stop()
    code, out, err = node.command("snapshot", "--table", "public.t")
    assert code == 1 and "is the node running" in err
