"""The comparison that other tests rely on: it finds every single wrong value, and only those."""

import itertools
import struct

import pytest

from millrace_compare import compare, parse_source_array, parse_target_array, type_differences

TABLE = r"""
CREATE TYPE mood AS ENUM ('a', 'b'); CREATE DOMAIN cents AS numeric(6,2);
CREATE TABLE t (id int PRIMARY KEY, b bool, f4 float4, f8 float8, n numeric(10,3), nn numeric, d date, ts timestamp, tz timestamptz,
  by bytea, e mood, a int[], ta text[], da date[], c char(5), "x.y" text, dom cents, u uuid, j jsonb, i inet, iv interval);
INSERT INTO t VALUES
 (1, true, 1.1, '-0', 1.5, 1.500, '2020-01-01', '2020-01-01 1:2:3.4', '2020-01-01 1:2:3', '\x00ff5c', 'a', '{1,NULL,3}',
  array['a"b\', 'NULL', NULL, E't\tn\n', '''q'], '{infinity,2020-01-01}', 'ab', E'\\N\t\\x', 1.5, '00112233-4455-6677-8899-aabbccddeeff',
  '{"a": 1}', '10.0.0.1', '1 day 2 hours');
INSERT INTO t (id) VALUES (2);
INSERT INTO t VALUES (3, false, 1e20, 1e-7, 0, 'NaN', '0044-03-15 BC', '12000-01-01', '1800-01-01', '', 'b', '{}', '{}', '{}', '', '', -3.10, NULL, 'null', NULL, '-1 mon');
INSERT INTO t VALUES (4, NULL, 'NaN', 'Infinity', NULL, NULL, 'infinity', '-infinity', '4000-01-01');
"""

COLUMNS = """id Int32, b Nullable(Bool), f4 Nullable(Float32), f8 Nullable(Float64), n Nullable(Decimal(10, 3)), nn Nullable(String),
d Nullable(Date32), ts Nullable(DateTime64(6, 'UTC')), tz Nullable(DateTime64(6, 'UTC')), by Nullable(String), e LowCardinality(Nullable(String)),
a Array(Nullable(Int32)), ta Array(Nullable(String)), da Array(Nullable(Date32)), c Nullable(String), x_y Nullable(String),
dom Nullable(Decimal(6, 2)), u Nullable(UUID), j Nullable(String), i Nullable(String), iv Nullable(String)"""

ROWS = {
    1: {"b": "true", "f4": "1.1", "f8": "-0.0", "n": "1.5", "nn": "'1.500'", "d": "'2020-01-01'", "ts": "'2020-01-01 01:02:03.4'",
        "tz": "'2020-01-01 01:02:03'", "by": "unhex('00ff5c')", "e": "'a'", "a": "[1, NULL, 3]",
        "ta": r"""['a"b\\', 'NULL', NULL, 't\tn\n', '\'q']""", "da": "[{last_day}, toDate32('2020-01-01')]", "c": "'ab   '", "x_y": r"'\\N\t\\x'",
        "dom": "1.5", "u": "'00112233-4455-6677-8899-aabbccddeeff'", "j": "'{\"a\": 1}'", "i": "'10.0.0.1'", "iv": "'1 day 02:00:00'"},
    2: {},
    3: {"b": "false", "f4": "1e20", "f8": "1e-7", "n": "0", "nn": "'NaN'", "d": "{first_day}", "ts": "{last_moment}",
        "tz": "{early_moment}", "by": "''", "e": "'b'", "c": "'     '", "x_y": "''", "dom": "-3.1", "j": "'null'", "iv": "'-1 mons'"},
    4: {"f4": "nan", "f8": "inf", "d": "{last_day}", "ts": "{first_moment}", "tz": "'4000-01-01 00:00:00'"},
}

# One wrong value for each column.
WRONG = {"b": "false", "f4": "1.1000001", "f8": "0.0", "n": "1.501", "nn": "'1.5'", "d": "'2020-01-02'", "ts": "'2020-01-01 01:02:03.400001'",
         "tz": "'2020-01-01 00:02:03'", "by": "unhex('00fe5c')", "e": "'b'", "a": "[1, 3]", "ta": r"""['a"b\\', NULL, NULL, 't\tn\n', '\'q']""",
         "da": "[]", "c": "'ab'", "x_y": "NULL", "dom": "1.51", "u": "NULL", "j": "'{\"a\":1}'", "i": "'10.0.0.1/32'", "iv": "'26:00:00'"}


# The ends of the ranges: text is clipped earlier by the server, so dates come from a table filled in binary.
ENDS = {"{first_day}": "(SELECT any(first) FROM comparison.ends)", "{last_day}": "(SELECT any(last) FROM comparison.ends)",
        "{first_moment}": "'0001-01-01 00:00:00'", "{last_moment}": "'9999-12-31 23:59:59.999999'", "{early_moment}": "'1800-01-01 00:00:00'"}
versions = itertools.count(1)


def put(target, key, values, deleted=0):
    """A row with a version above all before."""
    names, expressions = ["id", *values, "_version", "_deleted"], [str(key), *values.values(), str(next(versions)), str(deleted)]
    statement = f"INSERT INTO comparison.t ({', '.join(names)}) SELECT {', '.join(expressions)}"
    for name, expression in ENDS.items():
        statement = statement.replace(name, expression)
    target.query(statement, {"async_insert": 0})


@pytest.fixture(scope="module")
def filled(source, target):
    """Both databases with the same rows, written by hand."""
    source.execute("CREATE DATABASE comparison")
    source.execute(TABLE, database="comparison")
    target.query("CREATE DATABASE comparison")
    target.query("CREATE TABLE comparison.ends (first Date32, last Date32) ENGINE = MergeTree ORDER BY ()")
    target.query("INSERT INTO comparison.ends FORMAT RowBinary", {"async_insert": 0}, struct.pack("<ii", -719162, 2932896))
    target.query(f"CREATE TABLE comparison.t ({COLUMNS}, _version UInt128, _deleted UInt8) "
                 "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
    for key, values in ROWS.items():
        put(target, key, values)
    yield
    target.query("DROP DATABASE comparison")
    source.execute("DROP DATABASE comparison WITH (FORCE)")


@pytest.fixture
def rows(target, filled):
    """put() for one test; what is right comes back afterwards."""
    yield lambda key, values, deleted=0: put(target, key, values, deleted)
    for key, values in ROWS.items():
        put(target, key, values)
    put(target, 7, {}, deleted=1)


def test_equal_rows_are_equal(source, target, filled):
    (result,) = compare(source, target, "comparison")
    assert result, result
    assert result.source_rows == result.target_rows == 4


def test_types_as_documented(source, target, filled):
    assert type_differences(source, target, "comparison") == []


@pytest.mark.parametrize("column", WRONG)
def test_each_wrong_value_is_found(source, target, rows, column):
    rows(1, {**ROWS[1], column: WRONG[column]})
    (result,) = compare(source, target, "comparison")
    assert result.count == 1 and f"id=1: {column.replace('x_y', 'x.y')}: source " in result.differences[0], result


def test_missing_and_additional_rows_are_found(source, target, rows):
    rows(2, {}, deleted=1)
    rows(7, {})
    (result,) = compare(source, target, "comparison")
    assert sorted(result.differences) == ["id=2: missing in the target", "id=7: only in the target"]


def test_a_missing_table_is_a_difference(source, target, filled):
    source.execute("CREATE TABLE absent (id int PRIMARY KEY)", database="comparison")
    try:
        result = compare(source, target, "comparison", tables=["public.absent"])[0]
        assert not result and "UNKNOWN_TABLE" in str(result)
    finally:
        source.execute("DROP TABLE absent", database="comparison")


def test_how_often_equal_rows_occur_matters(source, target, filled):
    source.execute("CREATE TABLE bag (a int); INSERT INTO bag VALUES (1), (1), (2)", database="comparison")
    target.query("CREATE TABLE comparison.bag (a Nullable(Int32), _version UInt128, _deleted UInt8) "
                 "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY _version")
    target.query("INSERT INTO comparison.bag VALUES (1, 1, 0), (2, 2, 0), (2, 3, 0)", {"async_insert": 0})
    result = compare(source, target, "comparison", tables=["public.bag"])[0]
    source.execute("DROP TABLE bag", database="comparison")
    assert result.differences == ["a=1: 2 times in the source, 1 times in the target", "a=2: 1 times in the source, 2 times in the target"]


def test_large_tables_are_compared_in_little_memory(source, target, filled):
    source.execute("CREATE TABLE big AS SELECT g AS id, 'row ' || g AS name FROM generate_series(1, 200000) g; "
                   "ALTER TABLE big ADD PRIMARY KEY (id)", database="comparison")
    target.query("CREATE TABLE comparison.big (id Int32, name Nullable(String), _version UInt128, _deleted UInt8) "
                 "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
    target.query("INSERT INTO comparison.big SELECT number + 1, 'row ' || toString(number + 1 + (number = 77777)), 1, 0 FROM numbers(200000)",
                 {"async_insert": 0})
    result = compare(source, target, "comparison", tables=["public.big"])[0]
    source.execute("DROP TABLE big", database="comparison")
    assert result.differences == ["id=77778: name: source 'row 77778', target 'row 77779'"]


def test_array_literals():
    assert parse_source_array(rb'{1,NULL,"NULL","a\"b\\","",x y}') == [b"1", None, b"NULL", b'a"b\\', b"", b"x y"]
    assert parse_source_array(b"{}") == []
    assert parse_target_array(rb"['a\'b','c\\d\t\n',NULL,'\\N','\0']") == [b"a'b", b"c\\d\t\n", None, b"\\N", b"\0"]
    assert parse_target_array(b"[1,-2.5]") == [b"1", b"-2.5"] and parse_target_array(b"[]") == []
