"""Values that the stream leaves out because they have not changed are restored exactly: design, section 5."""

import os
import signal

import pytest

from millrace_compare import assert_equal, compare
from millrace_servers import wait_until

BODY = "(SELECT string_agg(md5(concat(%s, g)::text), '') FROM generate_series(1, 200) g)"


@pytest.fixture
def docs(sql):
    """Fifty rows of 6,400 bytes out of line, some of them null."""
    sql("CREATE TABLE docs (id int PRIMARY KEY, title text, body text, tags text[], meta jsonb, raw bytea, n numeric)")
    for column in ("body", "tags", "meta", "raw", "n"):
        sql(f"ALTER TABLE docs ALTER {column} SET STORAGE EXTERNAL")
    sql("INSERT INTO docs " + row("g", "generate_series(1, 50)"))


def row(number, rows=None):
    """Values of a row; every other column is null in some of them."""
    body = BODY.replace("%s", f"'b', {number}, '-'") if rows is None else BODY.replace("FROM generate_series(1, 200) g", "FROM generate_series(1, 200) h") \
        .replace("%s, g", f"'b', {number}, '-', h")
    return f"""SELECT {number}, 'title ' || {number}, b, ARRAY[b, NULL, 'x'], jsonb_build_object('b', b),
        CASE WHEN {number} % 3 > 0 THEN convert_to(b, 'UTF8') END, CASE WHEN {number} % 5 > 0 THEN 10::numeric ^ 5000 + {number} END
        FROM {rows + ' g' if rows else '(SELECT 1) one'}, LATERAL (SELECT {body} AS b) x"""


@pytest.fixture
def streaming(nodes, docs):
    def start(**options):
        node = nodes(**options)
        node.wait_caught_up(60)
        return node
    return start


class Frozen:
    """The target answers nothing in the meantime: what comes is in flight."""

    def __init__(self, target):
        self.target = target

    def __enter__(self):
        os.kill(self.target.pid, signal.SIGSTOP)

    def __exit__(self, *exception):
        os.kill(self.target.pid, signal.SIGCONT)


# -- when the previous version is in ClickHouse -------------------------------------------------------------


def test_long_since_in_clickhouse(target, database, streaming, sql, same):
    node = streaming()
    sql("UPDATE docs SET title = title || '!' WHERE id % 2 = 0")
    same(node)
    assert target.value(f"SELECT count() FROM `{database}`.docs WHERE title LIKE '%!' AND length(body) = 6400") == 25
    target.query(f"OPTIMIZE TABLE `{database}`.docs FINAL")
    sql("UPDATE docs SET title = title || '?'; UPDATE docs SET body = NULL WHERE id % 7 = 0; UPDATE docs SET title = 'again' WHERE id % 7 = 0")
    same(node)


def test_right_after_a_restart(streaming, sql, same):
    node = streaming()
    node.stop()
    sql("UPDATE docs SET title = 'while away'")
    node.start()
    same(node)
    node.kill()
    sql("UPDATE docs SET title = 'after the crash', meta = NULL WHERE id % 2 = 0; UPDATE docs SET id = id + 1000 WHERE id % 3 = 0")
    node.start()
    same(node)


def test_a_replay_does_not_take_newer_values(target, streaming, sql, same):
    """After a crash the target is ahead: what it holds may be newer than the change, or a tombstone."""
    node = streaming()
    for turn in range(4):
        sql(f"UPDATE docs SET title = 'turn {turn}'")
        sql(f"UPDATE docs SET body = body || '{turn}' WHERE id % 3 = 0; DELETE FROM docs WHERE id = {turn + 1}")
        sql(f"UPDATE docs SET title = title || '.'; UPDATE docs SET id = id + 100 WHERE id % 10 = {turn + 5}")
        node.kill()
        node.start(wait=False)
    same(node)


# -- when it is on its way ----------------------------------------------------------------------------------


def test_in_the_same_transaction_and_batch(streaming, sql, same):
    node = streaming()
    sql(f"""INSERT INTO docs {row(101)}; UPDATE docs SET title = 'a' WHERE id = 101; UPDATE docs SET title = title || 'b' WHERE id = 101;
        UPDATE docs SET body = 'short', title = 'c' WHERE id = 101; UPDATE docs SET title = 'd' WHERE id = 101;
        INSERT INTO docs {row(102)}; UPDATE docs SET title = 'x' WHERE id = 102; DELETE FROM docs WHERE id = 102; INSERT INTO docs {row(102)};
        UPDATE docs SET title = 'y' WHERE id = 102;
        UPDATE docs SET body = body || '+', title = '1' WHERE id = 1; UPDATE docs SET title = '2' WHERE id = 1; UPDATE docs SET raw = NULL WHERE id = 1;
        UPDATE docs SET title = '3' WHERE id = 1""")
    same(node)


def test_in_flight(target, streaming, sql, same):
    node = streaming()
    with Frozen(target):
        for number in range(200, 230):
            sql(f"INSERT INTO docs {row(number)}")
            sql(f"UPDATE docs SET title = 'second' WHERE id = {number}")
            if number % 3 == 0:
                sql(f"UPDATE docs SET body = 'third' WHERE id = {number}; UPDATE docs SET title = 'fourth' WHERE id = {number}")
            if number % 5 == 0:
                sql(f"DELETE FROM docs WHERE id = {number}")
    same(node)


def test_under_a_stream_of_small_transactions(source, database, streaming, same):
    node = streaming()
    connection = source.connect(database)
    with connection.cursor() as cursor:
        for turn in range(600):
            key = turn * 7 % 50 + 1
            cursor.execute("UPDATE docs SET body = body || 'x' WHERE id = %s" if turn % 4 == 0 else "UPDATE docs SET title = %s WHERE id = %s",
                           (key,) if turn % 4 == 0 else (f"turn {turn}", key))
    connection.close()
    same(node)


# -- keys that change -----------------------------------------------------------------------------------------


def test_in_changed_keys(streaming, sql, same):
    node = streaming()
    sql("UPDATE docs SET id = id + 1000 WHERE id % 2 = 0")
    same(node)
    sql("""UPDATE docs SET id = id + 1000 WHERE id % 3 = 0; UPDATE docs SET title = 'moved' WHERE id > 1000;
        UPDATE docs SET id = -id WHERE id % 5 = 0; UPDATE docs SET id = -id, title = 'twice' WHERE id < -20; UPDATE docs SET id = 7777 WHERE id = 1""")
    sql("DELETE FROM docs WHERE id = 7777; UPDATE docs SET id = 7777 WHERE id = 7; UPDATE docs SET title = 'new' WHERE id = 7777")
    same(node)


def test_in_changed_keys_when_the_node_is_killed(target, streaming, sql, same):
    """The old key's tombstone holds defaults: if it is durable and the new row is not, the target has no copy."""
    node = streaming()
    for turn in range(3):
        with Frozen(target):
            sql(f"UPDATE docs SET id = id + 1000 WHERE id % 3 = {turn}")
            sql("UPDATE docs SET title = title || '.'")
            node.kill()
        node.start(wait=False)
    same(node)


def test_in_changed_keys_of_rows_that_are_gone_by_now(target, streaming, sql, same):
    node = streaming()
    node.stop()
    sql("UPDATE docs SET id = id + 1000 WHERE id <= 10")
    sql("UPDATE docs SET id = id + 1000 WHERE id > 1000; UPDATE docs SET body = 'newer' WHERE id = 2003; DELETE FROM docs WHERE id = 2004")
    node.start()
    same(node)


# -- during the snapshot, and without one -----------------------------------------------------------------------


def open_transaction(source, database, statement="CREATE TABLE never (id int)"):
    """A transaction with an ID: a snapshot waits until it has ended."""
    connection = source.connect(database, autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute(statement)
    return connection


def test_during_the_snapshot(source, target, database, nodes, docs, sql, same):
    node = nodes(start=False, tables=["public.docs"])
    # The slot is there, so that the open transaction does not keep it from being made.
    source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (node.slot,), database=database)
    sql(f'CREATE PUBLICATION "{node.slot}" FOR TABLE docs')
    blocker = open_transaction(source, database)
    try:
        node.start()
        wait_until(lambda: node.status()["waits"].get("transactions"), "the snapshot waits", 30, alive=node)
        sql("UPDATE docs SET title = 'before its chunk' WHERE id % 2 = 0")
        sql("UPDATE docs SET id = id + 1000 WHERE id % 5 = 0; DELETE FROM docs WHERE id = 2; UPDATE docs SET title = 'x' WHERE id = 4")
        sql("UPDATE docs SET title = 'deleted next' WHERE id = 8; DELETE FROM docs WHERE id = 8; UPDATE docs SET body = 'changed' WHERE id = 6")
        wait_until(lambda: target.value(f"SELECT count() FROM `{database}`.docs FINAL WHERE title = 'before its chunk' AND length(body) = 6400") >= 15,
                   "the stream goes on", 30, alive=node)
        assert node.status()["state"] != "streaming"
    finally:
        blocker.rollback()
        blocker.close()
    same(node)
    sql("UPDATE docs SET title = title || ' and after'")
    same(node)


def test_without_a_snapshot(source, target, database, nodes, docs, sql):
    node = nodes(configuration={"source": {"snapshot": "never"}})
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.docs") == 0
    sql("UPDATE docs SET title = 'seen' WHERE id % 2 = 0; UPDATE docs SET id = id + 1000 WHERE id % 3 = 0; DELETE FROM docs WHERE id = 50")
    sql("UPDATE docs SET title = 'seen' WHERE id = 49")
    node.wait_caught_up(60)
    kept = {number for number in range(1, 51) if number % 2 == 0 or number % 3 == 0 or number == 49} - {50}
    expected = {(number + 1000 if number % 3 == 0 else number) for number in kept}
    assert {key for key, in target.rows(f"SELECT id FROM `{database}`.docs FINAL")} == expected
    result, = compare(source, target, database)
    assert all("missing in the target" in line for line in result.differences), result.differences
    sql("UPDATE docs SET title = 'all of them'")
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 0


# -- where the source helps -------------------------------------------------------------------------------------


def test_a_row_filter_makes_an_insert_of_an_update(source, target, database, nodes, docs, sql):
    if source.value("SHOW server_version_num") < "150000":
        pytest.skip("row filters came with PostgreSQL 15")
    sql("CREATE PUBLICATION few FOR TABLE docs WHERE (id <= 25)")
    node = nodes(configuration={"source": {"publication": "few"}})
    node.wait_caught_up(60)
    sql("UPDATE docs SET id = id - 1000 WHERE id BETWEEN 30 AND 35")
    sql("UPDATE docs SET title = 'still' WHERE id < 10; UPDATE docs SET id = id + 1000 WHERE id IN (20, 21)")
    node.wait_caught_up(60)
    there = "groupArray((id, title, body)) FROM (SELECT id, title, body FROM"
    wanted = sql("SELECT id, title, body FROM docs WHERE id <= 25 ORDER BY id")
    assert target.rows(f"SELECT id, title, body FROM `{database}`.docs FINAL ORDER BY id") == [list(one) for one in wanted], there


def test_the_old_row_has_it_with_replica_identity_full(streaming, sql, same):
    sql("ALTER TABLE docs REPLICA IDENTITY FULL")
    node = streaming()
    sql("UPDATE docs SET title = 'new'; UPDATE docs SET id = id + 100 WHERE id % 2 = 0; DELETE FROM docs WHERE id % 7 = 0")
    same(node)


def test_nulls_as_defaults_do_not_disturb_it(target, database, streaming, sql):
    node = streaming(configuration={"target": {"nulls": "defaults"}})
    sql("UPDATE docs SET title = NULL WHERE id <= 10; UPDATE docs SET id = id + 100 WHERE id <= 5")
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.docs FINAL WHERE title = '' AND length(body) = 6400") == 10


# -- when the change before could not be written ------------------------------------------------------------------


def letters_of(target, database, table="docs"):
    return target.rows(f"SELECT op, key, error FROM `{database}`._dead_letters FINAL WHERE table = 'public.{table}' ORDER BY version")


@pytest.mark.parametrize("restarted", [False, True], ids=["same_run", "after_a_restart"])
def test_a_value_that_a_dead_letter_brought_is_not_taken_from_the_row_before(restarted, target, database, streaming, sql, same):
    sql("ALTER TABLE docs ADD COLUMN d numeric(6,2)")
    node = streaming()
    sql("UPDATE docs SET body = body || 'lost', d = 'NaN' WHERE id = 1; UPDATE docs SET title = 'other', d = 'NaN' WHERE id = 2")
    node.wait_caught_up(60)
    assert len(letters_of(target, database)) == 2
    if restarted:
        node.kill()
        node.start()
        node.wait_caught_up(60)
    # Of the first row the target has an older body, of the second one the right one.
    sql("UPDATE docs SET title = 'again', d = 1 WHERE id IN (1, 2)")
    node.wait_caught_up(60)
    found = letters_of(target, database)
    assert len(found) == 3 and 'column "body" is unchanged since' in found[2][2], found
    # The letter of before stands for a value too, whatever came between.
    sql("UPDATE docs SET title = 'third' WHERE id IN (1, 2)")
    node.wait_caught_up(60)
    assert target.rows(f"SELECT id, title, body LIKE '%lost' FROM `{database}`.docs FINAL WHERE id IN (1, 2) ORDER BY id") == [
        [1, "title 1", 0], [2, "third", 0]]
    assert len(letters_of(target, database)) == 4
    # Until a change brings the value.
    sql("UPDATE docs SET body = body || 'again', title = 'fourth' WHERE id = 1")
    sql("UPDATE docs SET title = 'fifth', meta = NULL WHERE id = 1")
    same(node, letters=4)


# -- keys that have several forms ---------------------------------------------------------------------------------


def test_values_are_found_by_floating_keys(target, database, nodes, sql, same):
    sql(f"""CREATE TABLE points (x float8, y float4, n numeric(6,2), title text, body text, PRIMARY KEY (x, y)); ALTER TABLE points ALTER body SET STORAGE EXTERNAL;
        INSERT INTO points SELECT x, y, 1, 'first', {BODY.replace('%s', "x, '/', y")}
        FROM unnest('{{0,1.5,NaN,Infinity,-Infinity,1e-300}}'::float8[]) x, unnest('{{0,NaN,2.5}}'::float4[]) y""")
    node = nodes()
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.points FINAL WHERE length(body) = 6400") == 18
    sql("UPDATE points SET title = 'second'; UPDATE points SET x = '-0' WHERE x = 0; UPDATE points SET y = '-0' WHERE y = 0 AND x <> 'NaN'")
    node.wait_caught_up(60)
    sql("UPDATE points SET title = 'third' WHERE x = 0; UPDATE points SET title = 'fourth' WHERE x = 'NaN' OR y = 'NaN'; UPDATE points SET x = 0 WHERE x = 0")
    node.wait_caught_up(60)
    sql("UPDATE points SET title = title || '!'; DELETE FROM points WHERE x = '-0' AND y = 0")
    same(node)
    assert target.value(f"SELECT count() FROM `{database}`.points FINAL WHERE length(body) = 6400 AND endsWith(title, '!')") == 17
    # A dead letter of one form is one of the other.
    sql("UPDATE points SET body = body || 'x', n = 'NaN' WHERE x = 0 AND y = 2.5")
    sql("UPDATE points SET x = '-0', n = 'NaN' WHERE x = 0 AND y = 2.5; UPDATE points SET title = 'known?', n = 1 WHERE x = 0 AND y = 2.5")
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.points FINAL WHERE title = 'known?' AND body NOT LIKE '%x'") == 0


# -- columns that are added ----------------------------------------------------------------------------------------


def test_an_added_column_arrives_before_its_first_row(source, target, database, streaming, sql, same):
    node = streaming()
    sql("ALTER TABLE docs ADD COLUMN extra int")
    sql("INSERT INTO docs (id, extra) VALUES (500, 5)")
    # Rows of the old and the new shape in one transaction.
    sql("""UPDATE docs SET title = 'old shape' WHERE id = 1; ALTER TABLE docs ADD COLUMN more text, ADD COLUMN "odd name" timestamptz;
        INSERT INTO docs (id, more, "odd name") VALUES (501, 'more', now()); UPDATE docs SET extra = 7, title = 'new shape' WHERE id <= 3;
        ALTER TABLE docs ADD COLUMN last int[]; UPDATE docs SET last = '{1,NULL}' WHERE id = 2""")
    same(node)
    types = dict(one[:2] for one in target.rows(f"DESCRIBE TABLE `{database}`.docs"))
    assert (types["extra"], types["more"], types["last"]) == ("Nullable(Int32)", "Nullable(String)", "Array(Nullable(Int32))")


def test_a_column_added_with_a_constant_default(target, database, streaming, sql):
    node = streaming()
    sql("ALTER TABLE docs ADD COLUMN state text NOT NULL DEFAULT 'fresh'; INSERT INTO docs (id) VALUES (600); "
        "UPDATE docs SET title = 'touched' WHERE id = 1; INSERT INTO docs (id, state) VALUES (601, 'other')")
    node.wait_caught_up(60)
    assert target.rows(f"SELECT id, state FROM `{database}`.docs FINAL WHERE id IN (1, 600, 601) ORDER BY id") == [
        [1, "fresh"], [600, "fresh"], [601, "other"]]
    assert dict(one[:2] for one in target.rows(f"DESCRIBE TABLE `{database}`.docs"))["state"] == "String"
