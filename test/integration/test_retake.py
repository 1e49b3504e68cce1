"""A target table that lost its rows, or that let changes go, is taken again."""

import json

from millrace_compare import assert_equal
from millrace_servers import wait_until

TABLES = """CREATE TABLE a (id int PRIMARY KEY, v text); CREATE TABLE b (id int PRIMARY KEY, v text);
    INSERT INTO a SELECT g, 'a' || g FROM generate_series(1, 5000) g; INSERT INTO b SELECT g, 'b' || g FROM generate_series(1, 5000) g"""


def table_status(node, name):
    return next(table for table in json.loads(node.get("/status")[1])["tables"] if table["table"] == name)


def test_a_target_table_that_was_dropped_is_taken_again(source, target, database, nodes):
    source.execute(TABLES, database=database)
    node = nodes()
    node.wait_caught_up()
    node.stop()
    target.query(f"DROP TABLE `{database}`.a SYNC")
    source.execute("DELETE FROM a WHERE id % 3 = 0; UPDATE b SET v = 'new' WHERE id < 9", database=database)
    node.start()
    node.wait_caught_up()
    assert_equal(source, target, database)


def test_a_table_that_does_not_fit_is_quarantined_alone_and_taken_again_when_it_fits(source, target, database, nodes):
    source.execute(TABLES, database=database)
    target.query(f"CREATE DATABASE `{database}`")
    target.query(f"CREATE TABLE `{database}`.a (id Int32, v Int8) ENGINE = MergeTree ORDER BY id")
    node = nodes()
    node.wait_caught_up()
    assert "ReplacingMergeTree" in table_status(node, "public.a")["quarantine"]
    assert node.get("/readyz")[0] == 503 and "public.a" in node.get("/readyz")[1]
    assert target.value(f"SELECT count() FROM `{database}`.a") == 0, "what is there is left alone"
    assert_equal(source, target, database, tables=["public.b"])
    source.execute("DELETE FROM a WHERE id % 3 = 0; UPDATE b SET v = 'new' WHERE id < 9", database=database)
    node.wait_caught_up()
    node.stop()
    target.query(f"DROP TABLE `{database}`.a SYNC")
    node.start()
    node.wait_caught_up()
    assert_equal(source, target, database)
    wait_until(lambda: node.get("/readyz")[0] == 200, "the node is ready", 30)


def test_rows_that_are_gone_in_the_source_disappear_when_a_table_is_taken_again(source, target, database, nodes):
    source.execute(TABLES, database=database)
    node = nodes()
    node.wait_caught_up()
    node.stop()
    target.query(f"INSERT INTO `{database}`._millrace_state (pipeline, kind, name, value, version) "
                 f"SELECT pipeline, 'quarantine', 'public.a', 'for the test', max(version) + 1 FROM `{database}`._millrace_state GROUP BY pipeline")
    target.query(f"INSERT INTO `{database}`.a (id, v, _version) VALUES (999999, 'never in the source', 1)")
    node.start()
    node.wait_caught_up()
    assert_equal(source, target, database)
    assert target.value(f"SELECT count() FROM `{database}`.a FINAL WHERE id = 999999") == 0
