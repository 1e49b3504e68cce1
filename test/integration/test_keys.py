"""Keys of every kind and type, and what happens to them: docs/types.md, "Keys"."""

import json

import pytest

from millrace_compare import assert_equal, type_differences
from millrace_servers import wait_until


@pytest.fixture
def streaming(source, target, database, nodes):
    """Starts a node and waits for the end of its snapshots; `equal` of it waits for the stream."""
    def start(**options):
        node = nodes(**options)
        node.wait_caught_up(60)

        def equal(**more):
            node.wait_caught_up(60)
            return assert_equal(source, target, database, seconds=30, **more)

        node.equal = equal
        return node
    return start


def order_by(target, database, table):
    return target.value(f"SELECT sorting_key FROM system.tables WHERE database = '{database}' AND name = '{table}'").strip("()")


# -- every type ---------------------------------------------------------------------------------------

PRELUDE = """
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'it''s', '', 'glad'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
"""
# type: keys that are there, and what the first two become (equal in PostgreSQL's eyes where there is a choice).
KEYS = {
    "bool": (["t", "f"], []),
    "int2": (["-32768", "0", "32767"], ["1", "2"]),
    "int4": (["-2147483648", "0", "2147483647"], ["1", "2"]),
    "int8": (["-9223372036854775808", "0", "9223372036854775807"], ["1", "2"]),
    "oid": (["0", "4294967295", "7"], ["1", "2"]),
    "xid8": (["3", "18446744073709551615", "7"], ["4", "5"]),
    "float4": (["NaN", "0.1", "-Infinity", "0"], ["1.5", "3.4028235e38"]),
    "float8": (["NaN", "0.1", "Infinity", "0"], ["5e-324", "1e300"]),
    "numeric(10,2)": (["1.5", "-99999999.99", "0"], ["2.5", "3.5"]),
    "numeric(76,38)": (["9" * 38 + "." + "9" * 38, "-0.5", "0"], ["1", "2"]),
    "numeric": (["1.0", "NaN", "Infinity", "1e50"], ["1.00", "-7"]),
    "money": (["1.50", "-1", "0"], ["2", "3"]),
    "text": (["", "a\tb\\", "it's", "日本", "\\N", "x" * 1000], ["NULL", "ä"]),
    "varchar(10)": (["", "a b", "a"], ["a ", "ab"]),
    "char(5)": (["", "a", "ä"], ["b", "c"]),
    '"char"': (["a", "b", "c"], ["d", "e"]),
    "name": (["a", "b", "n" * 63], ["c", "d"]),
    "citext": (["MiXed", "other", ""], ["mIXED", "OTHER"]),
    "mood": (["sad", "it's", ""], ["glad"]),
    "uuid": (["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "01234567-89ab-cdef-0123-456789abcdef"],
             ["11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"]),
    "date": (["1970-01-01", "1950-05-05", "2200-01-01"], ["2024-02-29", "2024-02-28"]),
    "timestamp": (["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2200-01-01 00:00:00.000001"], ["2024-02-29 00:00:00", "2024-02-28 00:00:00"]),
    "timestamptz": (["1970-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00", "2200-01-01 00:00:00.000001+00"],
                    ["2024-02-29 00:00:00+02", "2024-02-28 00:00:00+00"]),
    "time": (["00:00:00", "24:00:00", "12:00:00.5"], ["01:00:00", "02:00:00"]),
    "timetz": (["00:00:00+00", "24:00:00-15:59", "12:00:00+02"], ["01:00:00+00", "11:00:00+01"]),
    "interval": (["1 day", "0", "-1 mon"], ["24:00:00", "1 sec"]),
    "jsonb": (['{"a": 1.0}', '"x"', "[1, null]"], ['{"a": 1.00}', "null"]),
    "bytea": (["\\x", "\\x00", "\\x00ff0a5c27"], ["\\x0000", "\\x01"]),
    "inet": (["127.0.0.1", "10.0.0.1/8", "::1"], ["127.0.0.2", "10.0.0.0/8"]),
    "cidr": (["10.0.0.0/8", "::/0", "1.0.0.0/8"], ["11.0.0.0/8", "12.0.0.0/8"]),
    "macaddr": (["08:00:2b:01:02:03", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"], ["08:00:2b:01:02:04", "08:00:2b:01:02:05"]),
    "bit(8)": (["00000000", "10101010", "11111111"], ["00000001", "00000010"]),
    "varbit": (["", "1", "10"], ["11", "111"]),
    "int4range": (["empty", "[1,10)", "(,)"], ["[2,3)", "[5,)"]),
    "tsvector": (["'a':1A", "", "'b'"], ["'c'", "'d'"]),
    "hstore": (["a=>NULL", "", "b=>1"], ["c=>2", "d=>3"]),
    "pair": (["(1,)", '(,"a, b")', "(3,x)"], ["(4,y)", "(5,z)"]),
    "positive": (["1", "2", "2147483647"], ["3", "4"]),
    "pg_lsn": (["0/0", "FFFFFFFF/FFFFFFFF", "0/1"], ["0/2", "0/3"]),
    "int4[]": (["{}", "{1,NULL}", "{NULL}", "{1,2}"], ["{7}", "{1}"]),
    "text[]": (["{}", '{a,"b,c",NULL}', '{""}'], ['{"\\"q\\"","\\\\"}', "{NULL,NULL}"]),
    "numeric(10,2)[]": (["{}", "{1.50}", "{NULL}"], ["{2}", "{3,NULL}"]),
    "uuid[]": (["{}", "{01234567-89ab-cdef-0123-456789abcdef}", "{NULL}"], ["{11111111-1111-1111-1111-111111111111}", "{NULL,NULL}"]),
    "mood[]": (["{}", "{glad,NULL}", '{""}'], ["{sad}", "{glad,glad}"]),
}


def test_keys_of_every_type(source, target, database, streaming, sql):
    tables = {f"k{number}": kind for number, kind in enumerate(KEYS)}
    sql(PRELUDE)
    for table, kind in tables.items():
        keys, _ = KEYS[kind]
        sql(f"CREATE TABLE {table} (v int, k {kind} PRIMARY KEY, w text); INSERT INTO {table} SELECT n, k::{kind}, 'old' FROM "
            f"unnest(%s::text[]) WITH ORDINALITY AS x (k, n)", (keys,))
    node = streaming()
    node.equal()
    assert type_differences(source, target, database) == []
    for table, kind in tables.items():
        keys, after = KEYS[kind]
        # Each key changes its row, the first ones change themselves, the last one goes.
        sql(f"UPDATE {table} SET v = v + 100, w = NULL")
        for old, new in zip(keys, after):
            sql(f"UPDATE {table} SET k = %s::{kind} WHERE k = %s::{kind}", (new, old))
        sql(f"DELETE FROM {table} WHERE k = %s::{kind}", (keys[-1],))
    results = node.equal()
    assert {result.name: result.target_rows for result in results} == {
        f"public.{table}": len(KEYS[kind][0]) - 1 for table, kind in tables.items()}
    # And back again: what was deleted comes again, changed keys take their old values.
    for table, kind in tables.items():
        keys, after = KEYS[kind]
        sql(f"INSERT INTO {table} VALUES (1000, %s::{kind}, 'again')", (keys[-1],))
        for old, new in zip(keys, after):
            sql(f"UPDATE {table} SET k = %s::{kind} WHERE k = %s::{kind}", (old, new))
    results = node.equal()
    assert sum(result.target_rows for result in results) == sum(len(keys) for keys, _ in KEYS.values())
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 0


# -- composite ----------------------------------------------------------------------------------------


def test_composite_keys_in_their_own_order(target, database, streaming, sql):
    sql("""CREATE TABLE t (v int, a int, "b b" text, c timestamptz, PRIMARY KEY (c, "b b", a));
        INSERT INTO t SELECT g, g % 10, CASE g % 3 WHEN 0 THEN '' ELSE 'x' || g END, '2024-01-01'::timestamptz + g % 7 * interval '1 day'
        FROM generate_series(1, 200) g""")
    node = streaming()
    sql("UPDATE t SET v = -v WHERE a = 3")
    sql("UPDATE t SET a = a + 100 WHERE v % 5 = 0")
    sql("UPDATE t SET \"b b\" = \"b b\" || 'y', c = c + interval '1 year' WHERE v % 7 = 0")
    sql("DELETE FROM t WHERE a = 4; INSERT INTO t SELECT 0, 4, '', '2024-01-01'")
    node.equal()
    assert order_by(target, database, "t") == "c, `b b`, a"


def test_a_table_that_is_nothing_but_its_key(streaming, sql):
    sql("CREATE TABLE t (a int, b int, PRIMARY KEY (a, b)); INSERT INTO t SELECT g, g * 2 FROM generate_series(1, 50) g")
    node = streaming()
    sql("DELETE FROM t WHERE a % 2 = 0; UPDATE t SET b = b + 1 WHERE a < 20; INSERT INTO t VALUES (2, 4), (1000, 1)")
    node.equal()


# -- keys that change ---------------------------------------------------------------------------------


def test_keys_swapped_through_a_temporary_value(target, database, streaming, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 100) g")
    node = streaming()
    for transactions in (True, False):
        steps = [f"UPDATE t SET id = {new} WHERE id = {old}" for old, new in ((1, -1), (2, 1), (-1, 2), (3, -1), (4, 3), (5, 4), (-1, 5))]
        for step in ["; ".join(steps)] if transactions else steps:
            sql(step)
    node.equal()
    rows = dict(target.rows(f"SELECT id, v FROM `{database}`.t FINAL WHERE id <= 5"))
    assert rows == {1: "v1", 2: "v2", 3: "v5", 4: "v3", 5: "v4"}


def test_all_keys_shifted_at_once(streaming, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 20000) g")
    node = streaming()
    # More than one batch in one transaction.
    sql("UPDATE t SET id = -id; UPDATE t SET id = -id + 1")
    sql("UPDATE t SET id = id + 20000; UPDATE t SET id = id - 20000, v = v || '!'")
    results = node.equal()
    assert results[0].target_rows == 20000


def test_a_key_that_goes_away_and_comes_back(target, database, streaming, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')")
    node = streaming()
    sql("UPDATE t SET id = 10 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 10")
    sql("UPDATE t SET id = 20 WHERE id = 2")
    sql("UPDATE t SET id = 2, v = 'back' WHERE id = 20; DELETE FROM t WHERE id = 3; UPDATE t SET id = 3 WHERE id = 2; INSERT INTO t VALUES (2, 'new')")
    node.equal()
    assert target.rows(f"SELECT id, v FROM `{database}`.t FINAL ORDER BY id") == [[1, "one"], [2, "new"], [3, "back"]]


def test_an_update_that_leaves_the_key_is_no_delete(target, database, streaming, sql):
    sql("CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 'one')")
    node = streaming()
    sql("UPDATE t SET id = 1, v = 'uno'; UPDATE t SET id = id")
    node.equal()
    assert target.value(f"SELECT count() FROM `{database}`.t WHERE _deleted = 1") == 0


# -- other identities than the primary key ----------------------------------------------------------------


def test_replica_identity_using_index(target, database, streaming, sql):
    sql("""CREATE TABLE t (id int PRIMARY KEY, b text NOT NULL, a int NOT NULL, v text);
        CREATE UNIQUE INDEX by_code ON t (a, b); ALTER TABLE t REPLICA IDENTITY USING INDEX by_code;
        INSERT INTO t SELECT g, 'b' || g, g % 3, 'v' FROM generate_series(1, 100) g""")
    node = streaming()
    sql("UPDATE t SET id = id + 1000 WHERE id % 2 = 0")
    sql("UPDATE t SET b = b || '!' WHERE id % 5 = 0; UPDATE t SET a = a + 3, v = NULL WHERE id % 7 = 0; DELETE FROM t WHERE a = 1")
    node.equal()
    assert order_by(target, database, "t") == "a, b"


def test_replica_identity_full_keeps_the_primary_key(target, database, streaming, sql):
    sql("""CREATE TABLE t (v text, id int PRIMARY KEY, n numeric(6,2)); ALTER TABLE t REPLICA IDENTITY FULL;
        INSERT INTO t SELECT 'v' || g, g, g FROM generate_series(1, 100) g""")
    node = streaming()
    sql("UPDATE t SET v = NULL WHERE id % 2 = 0; UPDATE t SET id = id + 1000 WHERE id % 5 = 0; DELETE FROM t WHERE id % 7 = 0")
    node.equal()
    assert order_by(target, database, "t") == "id"


def test_a_deferrable_key_is_no_key(source, database, nodes, sql):
    """Two rows may swap it in one transaction, and the stream has it as two inserts and two deletes of the same keys."""
    sql("""CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, v text); ALTER TABLE t REPLICA IDENTITY FULL;
        CREATE TABLE plain (id int PRIMARY KEY DEFERRABLE, v text); CREATE TABLE fine (id int PRIMARY KEY);
        INSERT INTO t VALUES (1, 'one'), (2, 'two'); INSERT INTO plain VALUES (1, 'one')""")
    node = nodes(start=False)
    code, out, _ = node.command("check")
    assert "public.t: " in out and "deferrable" in out, out
    assert "public.plain: " in out, out
    # Whatever millrace does with them, the application's statements work.
    node.start()
    wait_until(lambda: source.value("SELECT count(*) FROM pg_publication", database=database) >= 2, "publications", 30, alive=node)
    wait_until(lambda: source.slot_behind(node.slot, "0/0") is not None, "the slot", 30, alive=node)
    sql("UPDATE t SET id = 3 - id; UPDATE plain SET v = 'uno'; DELETE FROM plain")


def test_a_table_without_identity_gets_inserts_only_and_refuses_nothing(source, target, database, streaming, sql):
    sql("CREATE TABLE events (at timestamptz, what text); CREATE TABLE other (id int PRIMARY KEY); INSERT INTO events VALUES (now(), 'before')")
    node = streaming()
    sql("INSERT INTO events SELECT now(), 'event' FROM generate_series(1, 10); INSERT INTO events SELECT now(), 'event'")
    node.equal()
    assert target.value(f"SELECT count() FROM `{database}`.events FINAL") == 12
    sql("UPDATE events SET what = 'changed'; DELETE FROM events WHERE what = 'none'; INSERT INTO other VALUES (1)")
    node.wait_caught_up(60)
    assert source.execute("SELECT pubname, pubupdate FROM pg_publication_tables JOIN pg_publication USING (pubname) WHERE tablename = 'events'",
                          database=database) == [(f"millrace_{node.pipeline}_inserts", False)]


# -- odd key values -----------------------------------------------------------------------------------


def test_a_key_column_that_is_toasted(target, database, streaming, sql):
    """With it the old tuple comes with every update, and in the new one the key column is "unchanged"."""
    long = "concat(%s::text, substr((SELECT string_agg(md5(g::text), '') FROM generate_series(1, 80) g), 1, 2400))"
    sql("CREATE TABLE t (k text PRIMARY KEY, v int, w text); ALTER TABLE t ALTER k SET STORAGE EXTERNAL")
    for name in ("a", "b", "c", "d"):
        sql(f"INSERT INTO t VALUES ({long}, 0, repeat('w', 2000))", (name,))
    node = streaming()
    sql(f"INSERT INTO t VALUES ({long}, 0, 'short')", ("e",))
    node.equal()
    sql("UPDATE t SET v = v + 1")
    sql("UPDATE t SET v = v + 1 WHERE k LIKE 'a%'; UPDATE t SET w = 'x' WHERE k LIKE 'b%'")
    sql("UPDATE t SET k = 'A' || k WHERE k LIKE 'c%'; DELETE FROM t WHERE k LIKE 'd%'; UPDATE t SET k = 'short' WHERE k LIKE 'e%'")
    results = node.equal()
    assert results[0].target_rows == 4
    assert target.value(f"SELECT count() FROM `{database}`.t FINAL WHERE length(k) > 2000 AND v >= 1") == 3
    # Only what has another key now has left a tombstone.
    assert target.value(f"SELECT count() FROM `{database}`.t WHERE _deleted = 1") == 3


@pytest.mark.parametrize("kind", ["float4", "float8"])
def test_zeros_of_either_sign_are_one_key(target, database, streaming, sql, kind):
    sql(f"CREATE TABLE t (k {kind} PRIMARY KEY, v text); INSERT INTO t VALUES (0, 'zero'), (1, 'one')")
    sql(f"CREATE TABLE two (a int, k {kind}, v text, PRIMARY KEY (k, a)); INSERT INTO two VALUES (1, 0, 'zero'), (2, '-0', 'minus')")
    node = streaming()
    sql("UPDATE t SET k = '-0' WHERE k = 0")
    node.equal()
    sql("UPDATE t SET v = 'minus zero' WHERE k = 0; UPDATE two SET k = -k; UPDATE t SET k = 0, v = 'zero again' WHERE k = 0")
    node.equal()
    sql("UPDATE t SET k = '-0' WHERE k = 0; DELETE FROM t WHERE k = 0; INSERT INTO t VALUES ('-0', 'new'); UPDATE two SET k = 5 WHERE a = 1")
    node.equal()
    assert target.value(f"SELECT count() FROM `{database}`.t FINAL") == 2
    sql("DELETE FROM t WHERE k = 0")
    node.equal()
    target.query(f"OPTIMIZE TABLE `{database}`.t FINAL")
    node.equal()


def test_dates_beyond_the_range_are_never_moved_in_keys(target, database, nodes, streaming, sql):
    """infinity and 9999-12-31 (2299-12-31) would become one row."""
    sql("""CREATE TABLE t (id int, valid_to date, v text, PRIMARY KEY (id, valid_to));
        INSERT INTO t VALUES (1, 'infinity', 'now'), (1, '9999-12-31', 'end'), (1, '2299-12-31', 'old end'), (2, '2020-01-01', 'past')""")
    node = nodes(start=False)
    _, out, _ = node.command("check")
    assert "valid_to" in out and "String" in out, out
    node = streaming()
    sql("INSERT INTO t VALUES (3, '-infinity', 'x'), (4, '2021-01-01', 'y')")
    node.wait_caught_up(60)
    found = target.rows(f"SELECT key FROM `{database}`._dead_letters ORDER BY key")
    assert {"id": "1", "valid_to": "infinity"} in [json.loads(key) for key, in found]
    assert {"id": "3", "valid_to": "-infinity"} in [json.loads(key) for key, in found]
    assert target.rows(f"SELECT id, v FROM `{database}`.t FINAL WHERE id IN (2, 4) ORDER BY id") == [[2, "past"], [4, "y"]]
    assert target.value(f"SELECT count() FROM `{database}`.t FINAL") + len(found) == 6, "each row is in one of the two"
    assert not node.metric("millrace_values_saturated_total", table="public.t", column="valid_to")


def test_dates_beyond_the_range_in_keys_as_text(source, target, database, streaming, sql):
    sql("""CREATE TABLE t (id int, valid_to date, v text, PRIMARY KEY (id, valid_to));
        INSERT INTO t VALUES (1, 'infinity', 'now'), (1, '9999-12-31', 'end')""")
    node = streaming(configuration={"target": {"columns": [{"column": "public.t.valid_to", "type": "String"}]}})
    sql("UPDATE t SET valid_to = '-infinity' WHERE v = 'end'; INSERT INTO t VALUES (1, '0044-03-15 BC', 'ides')")
    node.wait_caught_up(60)
    assert target.rows(f"SELECT valid_to, v FROM `{database}`.t FINAL ORDER BY v") == [
        ["-infinity", "end"], ["0044-03-15 BC", "ides"], ["infinity", "now"]]


def test_a_key_that_cannot_be_held_is_a_dead_letter(target, database, streaming, sql):
    sql("CREATE TABLE t (k numeric(10,2) PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
    node = streaming()
    sql("INSERT INTO t VALUES ('NaN', 1); UPDATE t SET v = 2 WHERE k = 'NaN'; INSERT INTO t VALUES (2, 2); DELETE FROM t WHERE k = 'NaN'")
    node.equal()
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 3


# -- tables that are there already ------------------------------------------------------------------------

COLUMNS = "id Int32, a Int32, at DateTime64(6, 'UTC'), _version UInt128, _deleted UInt8, _committed_at DateTime64(6, 'UTC'), " \
          "_lsn UInt64 ALIAS toUInt64(bitShiftRight(_version, 64))"
ENGINE = "ENGINE = ReplacingMergeTree(_version, _deleted)"
LAYOUTS = {
    "partition": f"{ENGINE} PARTITION BY toYYYYMM(at) ORDER BY (id, a)",
    "ttl": f"{ENGINE} ORDER BY (id, a) TTL toDateTime(at) + INTERVAL 10 YEAR",
    "order": f"{ENGINE} ORDER BY (at, id, a)",
    "too_few": f"{ENGINE} ORDER BY id",
    "engine": "ENGINE = ReplacingMergeTree(_version) ORDER BY (id, a)",
    "merge_tree": "ENGINE = MergeTree ORDER BY (id, a)",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_existing_target_that_would_bring_deleted_rows_back_is_refused(target, database, nodes, sql, layout):
    sql("CREATE TABLE t (id int, a int, at timestamp NOT NULL, PRIMARY KEY (id, a)); INSERT INTO t VALUES (1, 1, now())")
    sql("CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1)")
    target.query(f"CREATE DATABASE `{database}`")
    target.query(f"CREATE TABLE `{database}`.t ({COLUMNS}) {LAYOUTS[layout]}")
    node = nodes(start=False)
    code, out, _ = node.command("check")
    assert code == 0 and "public.t" in out, out
    made = target.value(f"SELECT create_table_query FROM system.tables WHERE database = '{database}' AND name = 't'")
    node.start()
    wait_until(lambda: target.value(f"SELECT count() FROM `{database}`.other FINAL") == 1, "the other table goes on", 30, alive=node)
    wait_until(lambda: node.metric("millrace_table_quarantined", table="public.t") == 1, "the table is quarantined", 30, alive=node)
    assert target.value(f"SELECT count() FROM `{database}`.t") == 0
    assert target.value(f"SELECT create_table_query FROM system.tables WHERE database = '{database}' AND name = 't'") == made


def test_an_existing_target_that_fits_is_used_as_it_is(target, database, streaming, sql):
    sql("CREATE TABLE t (id int, a int, at timestamp NOT NULL, PRIMARY KEY (id, a)); INSERT INTO t SELECT g, g % 9, now() FROM generate_series(1, 99) g")
    target.query(f"CREATE DATABASE `{database}`")
    target.query(f"CREATE TABLE `{database}`.t ({COLUMNS}) {ENGINE} PARTITION BY a % 4 ORDER BY (a, id)")
    made = target.value(f"SELECT create_table_query FROM system.tables WHERE database = '{database}' AND name = 't'")
    node = streaming()
    sql("UPDATE t SET a = a + 1 WHERE id % 2 = 0; DELETE FROM t WHERE id % 5 = 0; UPDATE t SET at = '1999-01-01' WHERE id % 3 = 0")
    node.equal()
    target.query(f"OPTIMIZE TABLE `{database}`.t FINAL")
    node.equal()
    assert target.value(f"SELECT create_table_query FROM system.tables WHERE database = '{database}' AND name = 't'") == made
