"""Tables that are altered while they are followed: each kind of change, compared row for row. Issue 4, section 2."""

import time

import pytest

from millrace_compare import assert_equal
from millrace_servers import wait_until

ROWS = "CREATE TABLE t (id int PRIMARY KEY, v text, n int NOT NULL); INSERT INTO t SELECT g, 'v' || g, g FROM generate_series(1, 3000) g"


@pytest.fixture
def sql(source, database):
    return lambda statements, values=None: source.execute(statements, values, database=database)


@pytest.fixture
def same(source, target, database):
    """Source and target are equal, and nothing was put aside on the way."""
    def check(node, letters=0, **options):
        node.wait_caught_up(90)
        results = assert_equal(source, target, database, seconds=60, **options)
        assert target.value(f"SELECT count() FROM `{database}`._dead_letters WHERE NOT resolved") == letters
        assert not any(x["quarantine"] for x in node.status()["tables"])
        assert node.metric("millrace_restarts_total") == 0, node.log_tail(30)
        return results
    return check


@pytest.fixture(params=["running", "stopped", "killed"])
def change(request, sql):
    """Runs statements while the node runs, while it is stopped, or just before it is killed."""
    def run(node, statements):
        if request.param == "stopped":
            node.stop()
        sql(statements)
        if request.param == "killed":
            node.kill()
        if request.param != "running":
            node.start()
    return run


def started(nodes, **options):
    node = nodes(**options)
    node.wait_caught_up(60)
    return node


def take_again(node):
    """The node refuses while it looks for tables."""
    wait_until(lambda: node.command("snapshot", "--table", "public.t")[0] == 0, "it takes the table again", 30, 0.5, alive=node)


def retakes(node, table="t"):
    return node.log().count(f"table public.{table} is taken again")


# -- columns that come -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("definition", [
    "int DEFAULT 7", "text NOT NULL DEFAULT 'a value'", "double precision DEFAULT random()", "timestamptz DEFAULT clock_timestamp()",
    "bigint GENERATED ALWAYS AS IDENTITY"], ids=["constant", "not_null", "volatile", "clock", "identity"])
def test_a_column_with_a_default_is_added(nodes, sql, same, change, definition):
    sql(ROWS)
    node = started(nodes)
    change(node, f"ALTER TABLE t ADD COLUMN c {definition}")
    sql("INSERT INTO t (id, v, n) SELECT g, 'later', 1 FROM generate_series(4001, 4100) g; UPDATE t SET v = 'changed' WHERE id % 7 = 0; DELETE FROM t WHERE id % 11 = 0")
    same(node)


def test_a_column_with_a_default_is_added_and_nothing_else_happens(nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    change(node, "ALTER TABLE t ADD COLUMN c int DEFAULT 7; ALTER TABLE t ADD COLUMN d numeric(6,2) DEFAULT 1.5")
    same(node)


def test_a_column_without_a_default_needs_no_new_snapshot(nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    change(node, "ALTER TABLE t ADD COLUMN c int")
    sql("UPDATE t SET c = id WHERE id % 3 = 0; ALTER TABLE t ALTER COLUMN c SET DEFAULT 5; INSERT INTO t (id, n) VALUES (5000, 1)")
    same(node)
    assert retakes(node) == 0, node.log_tail(20)


def test_rows_of_the_transaction_that_adds_the_column(nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    change(node, """BEGIN; UPDATE t SET v = 'before' WHERE id <= 100; ALTER TABLE t ADD COLUMN c int DEFAULT 7;
        UPDATE t SET v = 'after', c = 8 WHERE id BETWEEN 50 AND 150; INSERT INTO t VALUES (5000, 'new', 1, 9); DELETE FROM t WHERE id = 3;
        ALTER TABLE t ADD COLUMN d text DEFAULT 'd'; INSERT INTO t VALUES (5001, 'newer', 1, 9, 'x'); COMMIT""")
    same(node)


def test_several_changes_in_a_row(nodes, sql, same, change):
    """Old shapes are in the log, the catalogue has the last one only."""
    sql(ROWS)
    node = started(nodes)
    change(node, """INSERT INTO t VALUES (5000, 'a', 1); ALTER TABLE t ADD COLUMN c int DEFAULT 7; INSERT INTO t VALUES (5001, 'b', 1, 8);
        ALTER TABLE t RENAME COLUMN c TO d; INSERT INTO t VALUES (5002, 'c', 1, 9); ALTER TABLE t ALTER COLUMN n TYPE bigint; INSERT INTO t VALUES (5003, 'd', 1 << 20, 10);
        ALTER TABLE t DROP COLUMN v; INSERT INTO t VALUES (5004, 1, 11); ALTER TABLE t ADD COLUMN v text DEFAULT 'again'; UPDATE t SET n = n + 1 WHERE id % 10 = 0""")
    same(node)


# -- columns that change their name ----------------------------------------------------------------------------------------


def test_a_column_is_renamed(target, database, nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    change(node, "ALTER TABLE t RENAME COLUMN v TO w")
    sql("UPDATE t SET w = 'changed' WHERE id % 7 = 0; INSERT INTO t VALUES (5000, 'new', 1)")
    same(node)
    assert 'column "v" has been renamed to "w"; the target\'s column "v" stays' in node.log()


def test_a_column_is_renamed_and_nothing_else_happens(nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    change(node, "ALTER TABLE t RENAME COLUMN v TO w")
    wait_until(lambda: retakes(node) > 0, "it is noticed", 60, alive=node)
    same(node)


def test_a_column_is_renamed_and_back(nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    change(node, """ALTER TABLE t RENAME COLUMN v TO w; UPDATE t SET w = 'between' WHERE id % 7 = 0; ALTER TABLE t RENAME COLUMN w TO v;
        UPDATE t SET n = 5 WHERE id % 5 = 0""")
    same(node)


def test_two_columns_swap_their_names(nodes, sql, same, change):
    sql("CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t SELECT g, 'a', 'b' FROM generate_series(1, 1000) g")
    node = started(nodes)
    change(node, "BEGIN; ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b; COMMIT")
    wait_until(lambda: retakes(node) > 0, "it is noticed", 60, alive=node)
    sql("UPDATE t SET a = 'changed' WHERE id % 7 = 0")
    same(node)


@pytest.mark.parametrize("again", ["text", "text DEFAULT 'x'"], ids=["null", "default"])
def test_a_column_is_dropped_and_added_again(nodes, sql, same, change, again):
    sql(ROWS)
    node = started(nodes)
    change(node, f"ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD COLUMN v {again}")
    wait_until(lambda: retakes(node) > 0, "it is noticed", 60, alive=node)
    sql("UPDATE t SET v = 'changed' WHERE id % 7 = 0")
    same(node)


def test_a_column_that_was_dropped_long_ago_is_added_again(nodes, sql, same):
    sql(ROWS)
    node = started(nodes)
    sql("ALTER TABLE t DROP COLUMN v; UPDATE t SET n = 0 WHERE id = 1")
    same(node)
    assert retakes(node) == 0
    node.restart()
    sql("ALTER TABLE t ADD COLUMN v text; UPDATE t SET n = 0 WHERE id = 2")
    same(node)


# -- enums -----------------------------------------------------------------------------------------------------------------


def test_labels_are_renamed(nodes, sql, same, change):
    sql("""CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN state AS mood; CREATE TABLE t (id int PRIMARY KEY, m mood);
        CREATE TABLE u (id int PRIMARY KEY, m mood[]); CREATE TABLE d (id int PRIMARY KEY, m state); CREATE TABLE other (id int PRIMARY KEY, m text);
        INSERT INTO t SELECT g, 'ok' FROM generate_series(1, 1000) g; INSERT INTO u VALUES (1, '{ok,sad}'); INSERT INTO d VALUES (1, 'ok'); INSERT INTO other VALUES (1, 'ok')""")
    node = started(nodes)
    change(node, "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'")
    for table in "tud":
        wait_until(lambda: retakes(node, table) > 0, f"{table} is taken again", 60, alive=node)
    sql("INSERT INTO t VALUES (5000, 'fine')")
    same(node)
    assert retakes(node, "other") == 0


def test_labels_are_added(nodes, sql, same, change):
    sql("CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE t (id int PRIMARY KEY, m mood); INSERT INTO t SELECT g, 'sad' FROM generate_series(1, 1000) g")
    node = started(nodes)
    change(node, "ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'; ALTER TYPE mood ADD VALUE 'joyful'")
    sql("INSERT INTO t VALUES (5000, 'ok'), (5001, 'joyful'); ALTER TABLE t ALTER COLUMN m SET DEFAULT 'ok'; INSERT INTO t VALUES (5002)")
    same(node)
    assert retakes(node) == 0, node.log_tail(20)


# -- types -----------------------------------------------------------------------------------------------------------------


def test_types_that_grow(source, target, database, nodes, sql, same, change):
    sql("""CREATE TABLE t (id int PRIMARY KEY, a int2, b int4, c float4, d varchar(5), e numeric(6,2), f int2[], g text);
        INSERT INTO t SELECT g, g, -g, g / 3.0, 'abc', g / 7.0, ARRAY[g, NULL], 'x' FROM generate_series(1, 1000) g""")
    node = started(nodes)
    change(node, """INSERT INTO t VALUES (5000, 1, 2, 3.5, 'old', 4, '{5}', 'x'); ALTER TABLE t ALTER a TYPE int4, ALTER b TYPE int8, ALTER c TYPE float8, ALTER d TYPE varchar(50),
        ALTER e TYPE numeric(12,4), ALTER f TYPE int8[]; INSERT INTO t VALUES (5001, 100000, 1::int8 << 40, 1e300, 'something longer', 12345678.1234, ARRAY[1::int8 << 40], 'y');
        ALTER TABLE t ALTER d TYPE text; INSERT INTO t VALUES (5002, 1, 2, 3.5, repeat('long', 50), 4, '{5}', 'x')""")
    same(node)
    types = dict(row[:2] for row in target.rows(f"DESCRIBE TABLE `{database}`.t"))
    assert [types[x] for x in "abcdef"] == ["Nullable(Int32)", "Nullable(Int64)", "Nullable(Float64)", "Nullable(String)", "Nullable(Decimal(12, 4))", "Array(Nullable(Int64))"]


def test_anything_becomes_text_where_the_target_has_text(source, target, database, nodes, sql, same, change):
    sql("CREATE TABLE t (id int PRIMARY KEY, a int, b interval); INSERT INTO t SELECT g, g, make_interval(mins => g) FROM generate_series(1, 1000) g")
    node = started(nodes, configuration={"target": {"columns": [{"column": "public.t.a", "type": "String"}]}})
    change(node, "ALTER TABLE t ALTER a TYPE text USING 'number ' || a, ALTER b TYPE text; INSERT INTO t VALUES (5000, 'five thousand', 'long')")
    same(node, types={"public.t": {"a": "String"}})


def test_values_are_converted(nodes, sql, same, change):
    """The type stays as it is; all rows change."""
    sql(ROWS)
    node = started(nodes)
    change(node, "ALTER TABLE t ALTER n TYPE int USING n * 2")
    wait_until(lambda: retakes(node) > 0, "it is noticed", 60, alive=node)
    same(node)


@pytest.mark.parametrize("statement", ["VACUUM FULL t", "CLUSTER t USING t_pkey", "TRUNCATE t", "ANALYZE t", "CREATE INDEX ON t (n)", "ALTER TABLE t ADD CHECK (n >= 0)"],
                         ids=["vacuum", "cluster", "truncate", "analyze", "index", "constraint"])
def test_maintenance_takes_nothing_again(nodes, sql, same, statement):
    sql(ROWS)
    node = started(nodes)
    sql(statement)
    sql("INSERT INTO t VALUES (5000, 'new', 1)")
    same(node)
    node.restart()
    sql("INSERT INTO t VALUES (5001, 'new', 1)")
    same(node)
    assert retakes(node) == 0, node.log_tail(20)


# -- NULL ------------------------------------------------------------------------------------------------------------------


def test_a_column_may_be_null_from_now_on(nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    sql("INSERT INTO t VALUES (4999, 'x', 1)")
    node.wait_caught_up(60)
    change(node, "ALTER TABLE t ALTER n DROP NOT NULL; INSERT INTO t VALUES (5000, 'new', NULL); UPDATE t SET n = NULL WHERE id % 7 = 0")
    same(node)
    assert retakes(node) == 0
    sql("UPDATE t SET n = 1; ALTER TABLE t ALTER n SET NOT NULL; UPDATE t SET n = 2 WHERE id < 100; ALTER TABLE t ALTER n DROP NOT NULL; UPDATE t SET n = NULL WHERE id > 2000")
    same(node)


# -- tables, keys, identities ----------------------------------------------------------------------------------------------


def test_a_table_is_renamed(target, database, nodes, sql, same, change):
    sql(ROWS)
    node = started(nodes)
    change(node, "ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (5000, 'new', 1); UPDATE u SET v = 'changed' WHERE id % 7 = 0")
    wait_until(lambda: any(x["table"] == "public.u" for x in node.status()["tables"]), "the new name", 60, alive=node)
    same(node)
    assert target.value(f"SELECT count() FROM `{database}`.t FINAL") == 3000, "the old one stays"


def test_the_replica_identity_changes(nodes, sql, same, change):
    sql(ROWS + "; CREATE UNIQUE INDEX by_n ON t (n)")
    node = started(nodes)
    change(node, """UPDATE t SET v = 'a' WHERE id < 10; ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET v = 'b' WHERE id BETWEEN 5 AND 20; DELETE FROM t WHERE id = 7;
        ALTER TABLE t REPLICA IDENTITY DEFAULT; UPDATE t SET v = 'c' WHERE id BETWEEN 10 AND 30; DELETE FROM t WHERE id = 11""")
    same(node)


@pytest.mark.parametrize("statement, what", [
    ("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n)", 'lacks the key column "n"'),
    ("ALTER TABLE t ALTER id TYPE bigint", 'column "id" is Int32, wanted is Int64'),
    ("ALTER TABLE t RENAME id TO number", 'no column "number" Int32, which is in the key'),
    ("ALTER TABLE t ALTER n TYPE text", 'column "n" is Int32, wanted is String'),
    ("ALTER TABLE t ALTER n TYPE smallint USING n % 100, ALTER v TYPE int USING 5", 'column "v" is Nullable(String), wanted is Nullable(Int32)')],
    ids=["key", "key_type", "key_name", "text", "narrow"])
def test_what_the_target_cannot_follow(target, database, nodes, sql, same, change, statement, what):
    """That table alone is quarantined; its text has the statement that mends it."""
    sql(ROWS + "; CREATE TABLE other (id int PRIMARY KEY)")
    node = started(nodes)
    change(node, f"{statement}; UPDATE t SET v = NULL; INSERT INTO other VALUES (1)")

    def quarantine():
        return next((x["quarantine"] for x in node.status()["tables"] if x["table"] == "public.t"), "")
    wait_until(quarantine, "it is quarantined", 60, alive=node)
    assert what in quarantine()
    wait_until(lambda: target.value(f"SELECT count() FROM `{database}`.other") == 1, "the others go on", 60, alive=node)
    mends = f"RENAME TABLE `{database}`.`t` TO `{database}`.`t_old`"
    assert mends in quarantine() and "millrace snapshot --table public.t" in quarantine()
    target.query(mends)
    take_again(node)
    wait_until(lambda: not quarantine(), "it is followed again", 60, alive=node)
    same(node)


# -- snapshots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [
    "ALTER TABLE t ADD COLUMN c int DEFAULT 7", "ALTER TABLE t RENAME v TO w", "ALTER TABLE t DROP COLUMN v", "ALTER TABLE t ALTER n TYPE bigint USING n * 2",
    "ALTER TABLE t ALTER n DROP NOT NULL; UPDATE t SET n = NULL WHERE id < 50", "ALTER TABLE t DROP COLUMN v; ALTER TABLE t ADD COLUMN v text DEFAULT 'again'"],
    ids=["default", "rename", "drop", "type", "null", "again"])
@pytest.mark.parametrize("crash", [False, True], ids=["running", "killed"])
def test_a_table_is_altered_under_its_snapshot(source, database, nodes, sql, same, statement, crash):
    sql(ROWS)
    node = started(nodes)
    # The snapshot waits, planned, for a transaction that may be in the log and not visible.
    holder = source.connect(database, autocommit=False)
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
    take_again(node)
    wait_until(lambda: "waits until these transactions have ended" in node.log(), "the snapshot waits", 60, alive=node)
    sql(statement)
    sql("UPDATE t SET id = id + 10000 WHERE id % 10 = 0; DELETE FROM t WHERE id % 11 = 0")
    if crash:
        node.kill()
        node.start()
    holder.rollback()
    holder.close()
    same(node)


# -- partitions ------------------------------------------------------------------------------------------------------------

PARTITIONS = """CREATE TABLE t (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE t1 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO t SELECT g, '2026-01-01'::date + g % 59, 'v' FROM generate_series(1, 2000) g"""


@pytest.mark.parametrize("statement", ["ALTER TABLE t DETACH PARTITION t1", "DROP TABLE t1"], ids=["detached", "dropped"])
def test_a_partition_goes(nodes, sql, same, change, statement):
    sql(PARTITIONS)
    node = started(nodes, tables=["public.t"])
    change(node, statement)
    wait_until(lambda: retakes(node) > 0, "it is noticed", 60, alive=node)
    sql("INSERT INTO t VALUES (5000, '2026-02-05', 'new')")
    same(node, tables=["public.t"])


@pytest.mark.parametrize("statement", [
    "ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
    "BEGIN; DROP TABLE t3; CREATE TABLE t3 (LIKE t INCLUDING ALL); INSERT INTO t3 VALUES (9001, '2026-03-09', 'x'); ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); COMMIT"],
    ids=["filled", "at_once"])
def test_a_partition_is_attached(nodes, sql, same, change, statement):
    sql(PARTITIONS + "; CREATE TABLE t3 (LIKE t INCLUDING ALL); INSERT INTO t3 SELECT g, '2026-03-01'::date + g % 31, 'attached' FROM generate_series(3001, 4000) g")
    node = started(nodes, tables=["public.t"])
    change(node, statement)
    sql("INSERT INTO t VALUES (5000, '2026-03-05', 'new'); UPDATE t SET v = 'changed' WHERE id % 7 = 0")
    wait_until(lambda: "table public.t has new partitions" in node.log(), "it is noticed", 60, alive=node)
    same(node, tables=["public.t"])
    assert retakes(node) == 0, node.log_tail(20)


def test_a_partition_is_made_and_filled(nodes, sql, same, change):
    sql(PARTITIONS)
    node = started(nodes, tables=["public.t"])
    change(node, "CREATE TABLE t3 PARTITION OF t FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); INSERT INTO t SELECT g, '2026-03-01'::date + g % 31, 'new' FROM generate_series(3001, 4000) g")
    sql("DELETE FROM t WHERE id % 5 = 0")
    same(node, tables=["public.t"])
    assert retakes(node) == 0, node.log_tail(20)


# -- publications ----------------------------------------------------------------------------------------------------------


def test_a_table_is_out_of_the_publication_for_a_while(nodes, sql, same, change, database):
    sql(ROWS + "; CREATE TABLE other (id int PRIMARY KEY)")
    node = started(nodes)
    name = f'"millrace_{database}"'
    change(node, f"""ALTER PUBLICATION {name} DROP TABLE t; UPDATE t SET v = 'unseen' WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0; INSERT INTO t VALUES (5000, 'unseen', 1);
        ALTER PUBLICATION {name} ADD TABLE t""")
    wait_until(lambda: retakes(node) > 0, "it is noticed", 60, alive=node)
    sql("UPDATE t SET v = 'seen' WHERE id % 7 = 0")
    same(node)
    assert retakes(node, "other") == 0


def test_a_column_list_is_lifted(source, nodes, sql, same, change):
    if source.value("SELECT current_setting('server_version_num')::int") < 150000:
        pytest.skip("column lists came with PostgreSQL 15")
    sql(ROWS + "; CREATE PUBLICATION millrace_list FOR TABLE t (id, n) WITH (publish_via_partition_root = true)")
    node = started(nodes, pipeline="list")
    change(node, "ALTER PUBLICATION millrace_list SET TABLE t")
    wait_until(lambda: retakes(node) > 0, "it is noticed", 60, alive=node)
    sql("UPDATE t SET v = 'seen' WHERE id % 7 = 0")
    same(node)


# -- tables without key ----------------------------------------------------------------------------------------------------


def quarantined(node, name="public.t"):
    return next((x["quarantine"] for x in node.status()["tables"] if x["table"] == name), "")


@pytest.mark.parametrize("statement, stopped", [("UPDATE t SET v = 'x' WHERE id = 5", False), ("DELETE FROM t WHERE id = 5", True)], ids=["update", "delete_while_stopped"])
def test_changes_of_a_table_without_key_are_noticed(target, database, nodes, sql, same, statement, stopped):
    sql("CREATE TABLE t (id int, v text); INSERT INTO t SELECT g, 'v' FROM generate_series(1, 1000) g; CREATE TABLE other (id int PRIMARY KEY)")
    node = started(nodes)
    # For half a minute what is counted may be from before the snapshot.
    time.sleep(42)
    assert not quarantined(node)
    if stopped:
        node.stop()
    sql(statement)
    sql("INSERT INTO other VALUES (1)")
    if stopped:
        node.start()
    wait_until(lambda: quarantined(node), "it is noticed", 90, alive=node)
    assert "ADD PRIMARY KEY" in quarantined(node)
    take_again(node)
    wait_until(lambda: not quarantined(node), "it is followed again", 60, alive=node)
    same(node)
