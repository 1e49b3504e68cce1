"""Rows that cannot be written are put aside with all that is known of them; the rest of the table goes on."""

import json

import pytest

from millrace_compare import assert_equal
from millrace_servers import wait_until

OWN = """_version UInt128, _deleted UInt8, _committed_at DateTime64(6, 'UTC'), _lsn UInt64 ALIAS toUInt64(bitShiftRight(_version, 64))"""
ENGINE = "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY (id)"


@pytest.fixture
def letters(target, database):
    """The open dead letters: (operation, key, event, error)."""
    return lambda table="orders": [(op, json.loads(key), json.loads(event), error) for op, key, event, error in target.rows(
        f"SELECT op, key, event, error FROM `{database}`._dead_letters FINAL WHERE table = 'public.{table}' ORDER BY version, length(key), key")]


@pytest.fixture
def orders(sql, target, database):
    """A table whose target was made by the user, with a constraint of his own."""
    sql("CREATE TABLE orders (id int PRIMARY KEY, amount int NOT NULL, note text); CREATE TABLE other (id int PRIMARY KEY, note text)")
    target.query(f"CREATE DATABASE `{database}`")
    target.query(f"CREATE TABLE `{database}`.orders (id Int32, amount Int32, note Nullable(String), {OWN}, "
                 f"CONSTRAINT positive CHECK amount > 0 OR _deleted) {ENGINE}")


def ids(target, database, table="orders"):
    return [number for number, in target.rows(f"SELECT id FROM `{database}`.{table} FINAL ORDER BY id")]


def test_rows_that_the_target_refuses_are_found(source, target, database, nodes, orders, sql, letters):
    # Some of the snapshot, then some of the stream.
    sql("INSERT INTO orders SELECT g, CASE WHEN g IN (77, 4000) THEN -g ELSE g END, 'n' FROM generate_series(1, 5000) g")
    node = nodes()
    node.wait_caught_up(60)
    assert ids(target, database) == [number for number in range(1, 5001) if number not in (77, 4000)]
    found = letters()
    assert [(op, key) for op, key, _, _ in found] == [("read", {"id": "77"}), ("read", {"id": "4000"})]
    assert found[0][2] == {"before": None, "after": {"id": "77", "amount": "-77", "note": "n"}}
    assert "Code 469" in found[0][3] and "positive" in found[0][3], found[0]
    sql("""INSERT INTO orders SELECT g, CASE WHEN g % 1000 = 0 THEN 0 ELSE g END, 'm' FROM generate_series(5001, 9000) g;
        UPDATE orders SET amount = -1, note = 'bad' WHERE id = 5; UPDATE orders SET note = 'good' WHERE id = 6; UPDATE orders SET id = -7 WHERE id = 7;
        DELETE FROM orders WHERE id = 77; INSERT INTO other VALUES (1, 'goes on')""")
    node.wait_caught_up(60)
    assert [key["id"] for _, key, _, _ in letters()] == ["77", "4000", "6000", "7000", "8000", "9000", "5"]
    assert letters()[-1][2]["after"] == {"id": "5", "amount": "-1", "note": "bad"}
    assert ids(target, database, "other") == [1]
    assert target.rows(f"SELECT amount, note FROM `{database}`.orders FINAL WHERE id = 5") == [[5, "n"]]
    # Good values mend the rows.
    sql("UPDATE orders SET amount = 1 WHERE amount <= 0")
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert node.metric("millrace_dead_letters_total", table="public.orders") == 7
    assert node.status()["restarts"] == 0


def test_a_crash_repeats_no_dead_letter(target, database, nodes, orders, sql, letters):
    node = nodes()
    node.wait_caught_up(60)
    for turn in range(3):
        sql(f"INSERT INTO orders SELECT g, g % 10, 'x' FROM generate_series({turn * 100 + 1}, {turn * 100 + 100}) g")
        node.kill()
        node.start(wait=False)
    node.wait_caught_up(60)
    assert len(letters()) == 30
    assert len(ids(target, database)) == 270


def test_a_view_of_the_user_that_fails(target, database, nodes, sql, letters):
    sql("CREATE TABLE orders (id int PRIMARY KEY, amount int NOT NULL)")
    node = nodes()
    node.wait_caught_up(60)
    target.query(f"CREATE TABLE `{database}`.checked (id Int32) ENGINE = MergeTree ORDER BY id")
    target.query(f"CREATE MATERIALIZED VIEW `{database}`.view TO `{database}`.checked AS SELECT id FROM `{database}`.orders "
                 "WHERE throwIf(amount = 13, 'unlucky') = 0")
    sql("INSERT INTO orders SELECT g, g FROM generate_series(1, 50) g")
    node.wait_caught_up(60)
    found = letters()
    assert [key for _, key, _, _ in found] == [{"id": "13"}] and "unlucky" in found[0][3], found
    assert target.value(f"SELECT count() FROM `{database}`.checked") == 49


def test_too_many_dead_letters_let_the_table_go(source, target, database, nodes, orders, sql, letters):
    sql("INSERT INTO orders SELECT g, g, 'n' FROM generate_series(1, 10) g")
    node = nodes(configuration={"limits": {"max-dead-letters": 20}})
    node.wait_caught_up(60)
    sql("INSERT INTO orders SELECT g, 0, 'n' FROM generate_series(11, 25) g")
    node.wait_caught_up(60)
    assert len(letters()) == 15
    node.kill()
    node.start()
    # What an earlier run put aside counts too.
    sql("INSERT INTO orders SELECT g, 0, 'n' FROM generate_series(31, 1030) g; INSERT INTO other VALUES (1, 'goes on')")
    sql("UPDATE other SET note = 'still' WHERE id = 1")
    node.wait_caught_up(60)
    assert len(letters()) == 20
    state, = [table for table in node.status()["tables"] if table["table"] == "public.orders"]
    assert "max-dead-letters = 20" in state["quarantine"] and "Code 469" in state["quarantine"], state
    assert node.get("/readyz")[0] == 503
    assert target.rows(f"SELECT note FROM `{database}`.other FINAL") == [["still"]]
    # Once the cause is gone, the next start takes the table again; old dead letters are of no use then.
    sql("UPDATE orders SET amount = 1 WHERE amount = 0")
    node.restart()
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert letters() == []
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters FINAL WHERE resolution = 'superseded'") == 0
    assert target.value(f"SELECT uniqExact(version, key) FROM `{database}`._dead_letters WHERE resolution = 'superseded'") == 20
    wait_until(lambda: node.get("/readyz")[0] == 200, "ready", 20, alive=node)


@pytest.mark.parametrize("statement", ["ALTER TABLE {t} DROP COLUMN note", "DROP TABLE {t} SYNC", "ALTER TABLE {t} RENAME COLUMN amount TO sum"],
                         ids=["column_dropped", "table_dropped", "column_renamed"])
def test_a_target_table_that_changes_is_no_reason_for_dead_letters(statement, source, target, database, nodes, sql, letters):
    sql("CREATE TABLE orders (id int PRIMARY KEY, amount int NOT NULL, note text); CREATE TABLE other (id int PRIMARY KEY, note text)")
    sql("INSERT INTO orders SELECT g, g, 'n' FROM generate_series(1, 100) g")
    node = nodes()
    node.wait_caught_up(60)
    target.query(statement.format(t=f"`{database}`.orders"))
    sql("INSERT INTO orders SELECT g, g, 'm' FROM generate_series(101, 200) g; INSERT INTO other VALUES (1, 'goes on')")
    node.wait_caught_up(60)
    assert letters() == []
    assert node.status()["restarts"] == 0
    state, = [table for table in node.status()["tables"] if table["table"] == "public.orders"]
    assert state["quarantine"], state
    assert ids(target, database, "other") == [1]
    node.restart()
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "dropped"])
def test_the_slot_waits_for_a_quarantined_table_if_told_to(mended, source, target, database, nodes, sql):
    sql("CREATE TABLE orders (id int PRIMARY KEY, note text); CREATE TABLE other (id int PRIMARY KEY, note text)")
    sql("INSERT INTO orders SELECT g, 'n' FROM generate_series(1, 100) g")
    node = nodes(configuration={"limits": {"quarantine": "hold", "max-dead-letters": 0}})
    node.wait_caught_up(60)
    target.query(f"ALTER TABLE `{database}`.orders ADD CONSTRAINT few CHECK id <= 150")
    sql("INSERT INTO orders SELECT g, 'm' FROM generate_series(101, 200) g")
    wait_until(lambda: node.metric("millrace_table_quarantined", table="public.orders") == 1, "it is quarantined", 30, alive=node)
    sql("INSERT INTO other VALUES (1, 'goes on')")
    sql("UPDATE orders SET note = 'l' WHERE id % 7 = 0; DELETE FROM orders WHERE id % 11 = 0")
    wait_until(lambda: ids(target, database, "other") == [1], "the others go on", 30, alive=node)
    end = source.current_lsn()
    wait_until(lambda: "the slot waits at" in node.get("/status")[1], "it is shown", 30, alive=node)
    for _ in range(2):
        node.kill()
        node.start()
        sql("UPDATE other SET note = note || '.'")
        wait_until(lambda: target.value(f"SELECT note FROM `{database}`.other FINAL") == source.value("SELECT note FROM other", database=database),
                   "the others go on", 30, alive=node)
        assert source.slot_behind(node.slot, end)
    if mended:
        target.query(f"ALTER TABLE `{database}`.orders DROP CONSTRAINT few")
    else:
        target.query(f"DROP TABLE `{database}`.orders SYNC")
    node.restart()
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    last = node.log()[node.log().rindex("streaming"):]
    assert ("snapshot of public.orders" in last) == (not mended), last
    wait_until(lambda: node.get("/readyz")[0] == 200, "ready", 20, alive=node)


def test_a_truncate_makes_dead_letters_of_before_useless(target, database, nodes, orders, sql, letters):
    node = nodes()
    node.wait_caught_up(60)
    sql("INSERT INTO orders VALUES (1, 0, 'a'), (2, 2, 'b')")
    node.wait_caught_up(60)
    assert len(letters()) == 1
    sql("TRUNCATE orders; INSERT INTO orders VALUES (1, 0, 'c')")
    node.wait_caught_up(60)
    assert [event["after"]["note"] for _, _, event, _ in letters()] == ["c"]
    assert ids(target, database) == []


# -- millrace dlq -------------------------------------------------------------------------------------------


def dlq(node, *arguments, code=0):
    found, out, err = node.command("dlq", *arguments)
    assert found == code, out + err
    return json.loads(out) if "--json" in arguments else out


def test_dlq_shows_and_drops(target, database, nodes, orders, sql, letters):
    node = nodes()
    node.wait_caught_up(60)
    assert dlq(node, "list") == "0 dead letters\n"
    sql("INSERT INTO orders VALUES (1, 0, 'it''s'), (2, 2, 'b'), (3, 0, NULL)")
    node.wait_caught_up(60)
    listed = dlq(node, "list", "--json")
    assert [(entry["table"], entry["operation"], entry["key"]) for entry in listed] == [
        ("public.orders", "insert", {"id": "1"}), ("public.orders", "insert", {"id": "3"})]
    assert "Code 469" in listed[0]["error"] and "event" not in listed[0]
    shown = dlq(node, "show", "--json", "--table", "public.orders")
    assert shown[1]["event"] == {"before": None, "after": {"id": "3", "amount": "0", "note": None}}
    text = dlq(node, "show")
    assert "it's" in text and "2 dead letters" in text
    assert dlq(node, "list", "--json", "--table", "public.other") == dlq(node, "list", "--json", "--since", "2200-01-01 00:00:00") == []
    assert len(dlq(node, "list", "--json", "--since", "2020-01-01 00:00:00")) == 2
    _, _, err = node.command("dlq", "list", "--since", "yesterday'")
    assert "millrace dlq: " in err and "Code" in err
    assert dlq(node, "drop", "--json") == {"dropped": 2}
    assert letters() == [] and dlq(node, "list", "--json") == []
    # A replay of the log makes them no more than they are: dropped.
    node.kill()
    node.start()
    node.wait_caught_up(60)
    assert letters() == []


def test_dlq_replays_what_nothing_newer_was_written_for(source, target, database, nodes, orders, sql, letters):
    sql("INSERT INTO orders SELECT g, g, 'n' FROM generate_series(1, 10) g")
    node = nodes()
    node.wait_caught_up(60)
    sql("UPDATE orders SET amount = 0, note = 'refused' WHERE id <= 4; INSERT INTO orders VALUES (11, 0, 'new'), (12, 0, 'new')")
    sql("UPDATE orders SET id = 105, amount = 0 WHERE id = 5; UPDATE orders SET id = 106, amount = 0 WHERE id = 6")
    # Written later: changes of 3 and 106, deletes of 4 and 12.
    sql("UPDATE orders SET amount = 3, note = 'newer' WHERE id = 3; DELETE FROM orders WHERE id IN (4, 12); UPDATE orders SET amount = 6 WHERE id = 106")
    node.wait_caught_up(60)
    assert len(letters()) == 8
    # The cause is still there.
    still = dlq(node, "replay", "--json", "--table", "public.orders", code=1)
    assert still["replayed"] == 0 and still["superseded"] == 3, still
    assert len(still["left"]) == 5 and all("Code 469" in entry["error"] for entry in still["left"]), still
    target.query(f"ALTER TABLE `{database}`.orders DROP CONSTRAINT positive")
    assert dlq(node, "replay") == "5 replayed, 0 superseded by newer changes, 0 left\n"
    assert letters() == []
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert dlq(node, "replay") == "0 replayed, 0 superseded by newer changes, 0 left\n"


def test_dlq_replays_values_that_the_stream_left_out(source, target, database, nodes, sql, letters):
    body = "(SELECT string_agg(md5(g::text || id), '') FROM generate_series(1, 200) g)"
    sql(f"CREATE TABLE docs (id int PRIMARY KEY, n numeric(6,2), a text, b text, gone int); ALTER TABLE docs ALTER a SET STORAGE EXTERNAL, "
        f"ALTER b SET STORAGE EXTERNAL; INSERT INTO docs SELECT id, 1, {body}, {body}, 1 FROM generate_series(1, 3) id")
    node = nodes()
    node.wait_caught_up(60)
    target.query(f"ALTER TABLE `{database}`.docs ADD CONSTRAINT small CHECK ifNull(n, 0) < 10 OR _deleted")
    sql("UPDATE docs SET n = 11, a = a || 'x' WHERE id = 1")
    # In one batch with the next change of the row it would be known there.
    node.wait_caught_up(60)
    sql("UPDATE docs SET n = 2 WHERE id = 1; UPDATE docs SET n = 12, b = NULL WHERE id = 2; DELETE FROM docs WHERE id = 3")
    node.wait_caught_up(60)
    assert len(letters("docs")) == 3, letters("docs")
    target.query(f"ALTER TABLE `{database}`.docs DROP CONSTRAINT small")
    # The second change of row 1 needs the first one.
    assert dlq(node, "replay", "--json") == {"replayed": 3, "superseded": 0, "left": []}
    assert_equal(source, target, database, seconds=30)


def test_dlq_says_what_is_wrong(source, database, nodes, sql):
    sql("CREATE TABLE orders (id int PRIMARY KEY)")
    node = nodes(start=False)
    # Nothing has been made yet.
    assert dlq(node, "list", "--json") == []
    code, _, err = node.command("dlq", "undo")
    assert code == 2 and "dlq cannot \"undo\"" in err
    node.configuration["target"]["url"] = "http://127.0.0.1:1"
    node.write_configuration()
    code, out, err = node.command("dlq", "list")
    assert code == 1 and out == "" and "127.0.0.1:1" in err, err
