"""Every type of docs/types.md with ordinary, extreme and odd values: the same by snapshot and by stream."""

import json

import pytest

from millrace_compare import assert_equal, compare, type_differences

DIGITS = "1234567890" * 100
ODD_TEXTS = ["plain", "", "\\N", "NULL", "a\tb\nc\rd\be\ff\vg", "back\\slash \\\\ \\t", "it's \"quoted\" `ticked`", "{},;[]()", " lead and trail ",
             "äöü ß é", "日本語 \U0001f600 \U0010ffff", "\u0001\u007f", "x" * 300000]

PRELUDE = """
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('glad', 'it''s ok', '', 'a "b" \\c', 'ünïcode 日本', 'a,b{c}');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN price AS numeric(10,3);
CREATE DOMAIN dear_price AS price CHECK (VALUE > 100);
"""

# column: (type, literals); rows take them in turn.
TYPES = {
    "bool": ("bool", ["t", "f"]),
    "int2": ("int2", ["-32768", "0", "32767"]),
    "int4": ("int4", ["-2147483648", "0", "2147483647"]),
    "int8": ("int8", ["-9223372036854775808", "0", "9223372036854775807"]),
    "oid": ("oid", ["0", "4294967295"]),
    "xid": ("xid", ["3", "4294967295"]),
    "cid": ("cid", ["0", "4294967295"]),
    "xid8": ("xid8", ["3", "18446744073709551615"]),
    "float4": ("float4", ["NaN", "Infinity", "-Infinity", "-0", "0", "0.1", "1e-45", "3.4028235e38", "-1.17549435e-38", "16777217"]),
    "float8": ("float8", ["NaN", "Infinity", "-Infinity", "-0", "0", "0.1", "5e-324", "1.7976931348623157e308", "0.30000000000000004", "1e23",
                          "9007199254740993"]),
    "numeric_12_2": ("numeric(12,2)", ["0", "-0.01", "9999999999.99", "-9999999999.99", "1.5"]),
    "numeric_1_0": ("numeric(1,0)", ["9", "-9", "0"]),
    "numeric_9_9": ("numeric(9,9)", ["0.999999999", "-0.000000001", "0"]),
    "numeric_18_18": ("numeric(18,18)", ["0.999999999999999999", "-0.000000000000000001"]),
    "numeric_38_10": ("numeric(38,10)", ["9" * 28 + "." + "9" * 10, "-" + "9" * 28 + "." + "9" * 10, "0.0000000001"]),
    "numeric_76_0": ("numeric(76,0)", ["9" * 76, "-" + "9" * 76, "0"]),
    "numeric_76_38": ("numeric(76,38)", ["9" * 38 + "." + "9" * 38, "-" + "9" * 38 + "." + "9" * 38, "0." + "0" * 37 + "1"]),
    "numeric_76_76": ("numeric(76,76)", ["0." + "9" * 76, "-0." + "0" * 75 + "1"]),
    "numeric_77_0": ("numeric(77,0)", ["9" * 77, "-1"]),
    "numeric_negative_scale": ("numeric(5,-2)", ["1234567", "-100"]),
    "numeric_scale_above_precision": ("numeric(3,5)", ["0.00999", "-0.00001"]),
    "numeric_any": ("numeric", ["NaN", "Infinity", "-Infinity", "1.0", "1.00", "0", "-0.000", DIGITS, "-" + DIGITS + "." + DIGITS, "1e-300"]),
    "money": ("money", ["0", "-92233720368547758.08", "92233720368547758.07", "1234.5"]),
    "text": ("text", ODD_TEXTS),
    "varchar": ("varchar", ODD_TEXTS),
    "varchar_5": ("varchar(5)", ["", "äöüéß", "\\N", "a  "]),
    "char_5": ("char(5)", ["", "ab", "äöü", "\\N", "  x"]),
    "char_one": ('"char"', ["a", "\\", ""]),
    "name": ("name", ["", "n" * 63, "\\N"]),
    "citext": ("citext", ["MiXed", "mixed", "", "É"]),
    "xml": ("xml", ["<a b=\"c\">d &amp; e</a>", "", "<ä/>", "text\nonly"]),
    "mood": ("mood", ["glad", "it's ok", "", 'a "b" \\c', "ünïcode 日本", "a,b{c}"]),
    "uuid": ("uuid", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "01234567-89ab-cdef-0123-456789abcdef"]),
    "date": ("date", ["1970-01-01", "0001-01-01", "9999-12-31", "1899-12-31", "2300-01-01", "1582-10-10", "infinity", "-infinity", "4713-01-01 BC",
                      "5874897-12-31", "10000-01-01", "2000-02-29", "0001-12-31 BC"]),
    "timestamp": ("timestamp", ["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999",
                                "1899-12-31 23:59:59.999999", "2300-01-01 00:00:00.5", "infinity", "-infinity", "4713-01-01 00:00:00 BC",
                                "294276-12-31 23:59:59.999999", "2024-02-29 12:00:00.1", "10000-01-01 00:00:00"]),
    "timestamp_0": ("timestamp(0)", ["2024-02-29 12:00:00", "1969-12-31 23:59:59"]),
    "timestamptz": ("timestamptz", ["1970-01-01 00:00:00+00", "1969-12-31 23:59:59.999999+00", "0001-01-01 00:00:00+00",
                                    "9999-12-31 23:59:59.999999+00", "2024-03-31 01:30:00+05:45", "infinity", "-infinity",
                                    "4713-01-01 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "2024-10-27 02:30:00.123+01",
                                    "1900-01-01 00:00:00+00"]),
    "timestamptz_3": ("timestamptz(3)", ["2024-02-29 12:00:00.123+00", "1969-12-31 23:59:59.999-08"]),
    "time": ("time", ["00:00:00", "24:00:00", "23:59:59.999999", "12:34:56.5"]),
    "time_0": ("time(0)", ["00:00:01", "24:00:00"]),
    "timetz": ("timetz", ["24:00:00+15:59", "00:00:00-15:59", "12:34:56.789+05:45", "00:00:00+00"]),
    "interval": ("interval", ["0", "1 year -2 mons +3 days -04:05:06.789", "-178000000 years", "178000000 years", "-00:00:00.000001", "1 mon"]),
    "json": ("json", ['{"a": 1,   "a": 2}', "null", '"\\u00e9 \\ud83d\\ude00 \\\\"', "[]", " [1 ,2] ", '"日本"', "1e400"]),
    "jsonb": ("jsonb", ['{"b": [1, null, {"ü": "日本 \\" \\\\ \\n"}], "a": 1.0}', "null", "{}", '"\\u0001"', "12345678901234567890.10"]),
    "bytea": ("bytea", ["\\x", "\\x00", "\\x00ff5c0a0d0927225c4e", "\\x" + "00ff" * 5000]),
    "inet": ("inet", ["127.0.0.1", "10.0.0.1/8", "::1", "2001:db8::1/64"]),
    "cidr": ("cidr", ["10.0.0.0/8", "::/0"]),
    "macaddr": ("macaddr", ["08:00:2b:01:02:03"]),
    "macaddr8": ("macaddr8", ["08:00:2b:01:02:03:04:05"]),
    "bit": ("bit(8)", ["00000000", "10101010"]),
    "varbit": ("varbit", ["", "1", "0" * 100]),
    "point": ("point", ["(0,-0)", "(1e300,NaN)", "(0.1,Infinity)"]),
    "line": ("line", ["{1,2,3}"]),
    "lseg": ("lseg", ["[(0,0),(1,1)]"]),
    "box": ("box", ["(1,1),(0,0)"]),
    "path": ("path", ["[(0,0),(1,1)]", "((0,0),(1,1))"]),
    "polygon": ("polygon", ["((0,0),(1,1),(1,0))"]),
    "circle": ("circle", ["<(0,0),1>"]),
    "int4range": ("int4range", ["empty", "[1,10)", "(,)", "[5,)"]),
    "tstzrange": ("tstzrange", ["[2024-01-01 00:00:00+00,infinity)", "empty"]),
    "nummultirange": ("nummultirange", ["{}", "{[1,2),(3.5,)}"]),
    "tsvector": ("tsvector", ["'a':1A 'it''s':2", ""]),
    "tsquery": ("tsquery", ["'a' & !'b' <-> 'c'"]),
    "hstore": ("hstore", ['a=>NULL, "b c"=>"d\\"e", ""=>""', ""]),
    "pair": ("pair", ["(1,)", '(,"a ""b"", c")', "(,)", '(2,"")']),
    "positive": ("positive", ["1", "2147483647"]),
    "price": ("price", ["0.001", "-9999999.999"]),
    "dear_price": ("dear_price", ["100.001"]),
    "pg_lsn": ("pg_lsn", ["0/0", "FFFFFFFF/FFFFFFFF"]),
    "tid": ("tid", ["(0,1)"]),
    "regclass": ("regclass", ["pg_catalog.pg_class", "0"]),
    "int2vector": ("int2vector", ["1 2 3", ""]),
    "oidvector": ("oidvector", ["1 4294967295"]),
    "jsonpath": ("jsonpath", ["$.\"a\"[*]"]),
    "a_bool": ("bool[]", ["{}", "{t,f,NULL}"]),
    "a_int2": ("int2[]", ["{}", "{-32768,NULL,32767}"]),
    "a_int4": ("int4[]", ["{}", "{NULL}", "{1,NULL,-2147483648}", "{" + ",".join(["7"] * 5000) + "}"]),
    "a_int8": ("int8[]", ["{9223372036854775807,-9223372036854775808}"]),
    "a_float4": ("float4[]", ["{NaN,Infinity,-Infinity,-0,0.1,NULL}"]),
    "a_float8": ("float8[]", ["{NaN,Infinity,-Infinity,-0,5e-324,NULL}"]),
    "a_numeric": ("numeric(10,2)[]", ["{1.5,NULL,-99999999.99}", "{}"]),
    "a_numeric_any": ("numeric[]", ["{NaN,1.00,NULL," + DIGITS + "}"]),
    "a_money": ("money[]", ["{\"$1,234.50\",-1,NULL}"]),
    "a_text": ("text[]", ["{}", '{NULL,"NULL","null","",a b,"a,b","{}","it\'s","\\"q\\"","back\\\\slash","\\\\N",日本,"\n\t"}', '{""}']),
    "a_varchar": ("varchar(5)[]", ['{abcde,"",NULL}']),
    "a_char": ("char(3)[]", ['{a,"",NULL}']),
    "a_citext": ("citext[]", ["{MiXed,NULL}"]),
    "a_mood": ("mood[]", ['{glad,NULL,"it\'s ok","","a \\"b\\" \\\\c","a,b{c}"}']),
    "a_uuid": ("uuid[]", ["{01234567-89ab-cdef-0123-456789abcdef,NULL}"]),
    "a_date": ("date[]", ["{2000-02-29,NULL,1970-01-01}", "{infinity,-infinity}"]),
    "a_timestamp": ("timestamp[]", ['{"2000-01-01 00:00:00.5",NULL}']),
    "a_timestamptz": ("timestamptz[]", ['{"2000-01-01 00:00:00.000001+00",NULL}']),
    "a_time": ("time[]", ["{24:00:00,NULL}"]),
    "a_interval": ("interval[]", ['{"1 mon -1 days",NULL}']),
    "a_jsonb": ("jsonb[]", ['{"{\\"a\\": [1, \\"x\\"]}",null,NULL,"null"}']),
    "a_bytea": ("bytea[]", ['{"\\\\x00ff27","\\\\x",NULL}']),
    "a_positive": ("positive[]", ["{1,NULL}"]),
    "a_inet": ("inet[]", ["{127.0.0.1,NULL}"]),
    "a_pair": ("pair[]", ['{"(1,a)",NULL}']),
    "a_range": ("int4range[]", ['{"[1,5)",empty,NULL}']),
}
ROWS = max(len(literals) for _, literals in TYPES.values())


def create(table, constraint=""):
    columns = ", ".join(f"{name}_ {kind} {constraint}" for name, (kind, _) in TYPES.items())
    return f"CREATE TABLE {table} (id int PRIMARY KEY, {columns})"


def fill(connection, table, first=1, with_null=True):
    """A row for each literal, and one of nulls."""
    holes = ", ".join(f"%s::{kind}" for kind, _ in TYPES.values())
    with connection.cursor() as cursor:
        for row in range(ROWS):
            values = [literals[row % len(literals)] for _, literals in TYPES.values()]
            cursor.execute(f"INSERT INTO {table} VALUES (%s, {holes})", [first + row, *values])
        if with_null:
            cursor.execute(f"INSERT INTO {table} VALUES (%s)", [first + ROWS])


def streaming(node):
    """The snapshots are over: what changes from now on comes in the stream."""
    node.wait_caught_up(60)
    return node


def turn(connection, table):
    """Each row takes the values of the next one."""
    names = ", ".join(name + "_" for name in TYPES)
    with connection.cursor() as cursor:
        cursor.execute(f"""UPDATE {table} AS a SET ({names}) = (SELECT {names} FROM {table} AS b
            WHERE b.id = (SELECT coalesce(min(id) FILTER (WHERE id > a.id), min(id)) FROM {table}))""")


def everything(source, target, database, start_node):
    """All types through the snapshot, inserts and updates."""
    connection = source.connect(database, client_encoding="UTF8")
    with connection.cursor() as cursor:
        cursor.execute(PRELUDE)
        cursor.execute("; ".join([create("before"), create("after"), create("strict", "NOT NULL")]))
    fill(connection, "before")
    fill(connection, "strict", with_null=False)
    node = start_node()
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert type_differences(source, target, database) == []
    fill(connection, "after")
    fill(connection, "strict", first=1001, with_null=False)
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    names = ", ".join(name + "_" for name in TYPES)
    by_snapshot, by_stream = (target.query(f"SELECT {names} FROM `{database}`.{table} FINAL ORDER BY id FORMAT RowBinary")
                              for table in ("before", "after"))
    assert len(by_snapshot) > 1000 and by_snapshot == by_stream
    turn(connection, "after")
    turn(connection, "strict")
    connection.close()
    node.wait_caught_up(60)
    results = assert_equal(source, target, database, seconds=30)
    assert {result.name: result.target_rows for result in results} == {
        "public.before": ROWS + 1, "public.after": ROWS + 1, "public.strict": 2 * ROWS}
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 0
    return node


def test_every_type_by_snapshot_and_by_stream(source, target, database, nodes):
    everything(source, target, database, nodes)
    answers = target.rows(f"""SELECT float8_, toString(numeric_76_0_), toTypeName(mood_), time_, char_5_, money_, length(bytea_)
        FROM `{database}`.before FINAL WHERE id IN (1, 2) ORDER BY id""", {"output_format_json_quote_denormals": 1})
    assert answers == [["nan", "9" * 76, "LowCardinality(Nullable(String))", "00:00:00", "     ", "$0.00", 0],
                       ["inf", "-" + "9" * 76, "LowCardinality(Nullable(String))", "24:00:00", "ab   ", "-$92,233,720,368,547,758.08", 1]]


HOSTILE = {
    "DateStyle": "SQL, DMY", "IntervalStyle": "iso_8601", "TimeZone": "Asia/Kathmandu", "bytea_output": "escape", "extra_float_digits": "0",
    "client_encoding": "LATIN1", "statement_timeout": "1ms", "lock_timeout": "1ms", "idle_in_transaction_session_timeout": "1ms",
    "default_transaction_read_only": "on", "default_transaction_isolation": "serializable", "search_path": "nowhere",
    "quote_all_identifiers": "on", "xmlbinary": "hex", "standard_conforming_strings": "off", "array_nulls": "off", "row_security": "off",
    "enable_tidscan": "off",
}


def test_settings_of_database_and_role_change_nothing(source, target, database, nodes):
    harmless = {name: value for name, value in HOSTILE.items() if "timeout" not in name and "read_only" not in name}
    for name, value in harmless.items():
        if name not in ("array_nulls", "search_path", "standard_conforming_strings"):
            source.execute(f"ALTER DATABASE {database} SET {name} = %s", (value,))
    money = [name for name, in source.execute("SELECT DISTINCT collcollate FROM pg_collation WHERE collcollate ~ '^[a-z]{2}_'")]
    if money:
        source.execute(f"ALTER DATABASE {database} SET lc_monetary = %s", (money[0],))
    source.execute(f"CREATE ROLE hostile LOGIN SUPERUSER PASSWORD '{source.password}'")
    try:
        for name, value in HOSTILE.items():
            source.execute(f"ALTER ROLE hostile SET {name} = %s" if name != "search_path" else f"ALTER ROLE hostile SET {name} = nowhere",
                           (value,) if name != "search_path" else None)
        node = everything(source, target, database, lambda: nodes(configuration={"source": {"uri": source.uri(database, user="hostile")}}))
        node.stop()
    finally:
        source.execute("REASSIGN OWNED BY hostile TO postgres", database=database)
        source.execute("DROP ROLE hostile")


def test_a_database_of_another_encoding(source, target, database, nodes):
    # The fixture's database is UTF8; it is dropped by its name whatever made it.
    source.execute(f"DROP DATABASE {database}")
    source.execute(f"CREATE DATABASE {database} ENCODING LATIN1 TEMPLATE template0 LOCALE 'C'")
    source.execute("CREATE TABLE t (id int PRIMARY KEY, \"schön\" text); INSERT INTO t VALUES (1, 'é ß ÿ')", database=database)
    node = streaming(nodes())
    source.execute("INSERT INTO t VALUES (2, 'ÄÖÜ'); UPDATE t SET \"schön\" = \"schön\" || '¡'", database=database)
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert target.rows(f"SELECT `schön` FROM `{database}`.t FINAL ORDER BY id") == [["é ß ÿ¡"], ["ÄÖÜ¡"]]


def test_bytes_of_a_database_without_encoding_are_kept(source, target, database, nodes):
    source.execute(f"DROP DATABASE {database}")
    source.execute(f"CREATE DATABASE {database} ENCODING SQL_ASCII TEMPLATE template0 LOCALE 'C'")
    source.execute(r"CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t VALUES (1, E'a\xffb\xc3')", database=database)
    node = streaming(nodes())
    source.execute(r"INSERT INTO t VALUES (2, E'\xfe\xff'); UPDATE t SET x = x || E'\x80'", database=database)
    node.wait_caught_up(60)
    assert target.rows(f"SELECT hex(x) FROM `{database}`.t FINAL ORDER BY id") == [["61FF62C380"], ["FEFF80"]]


# -- null ---------------------------------------------------------------------------------------------


def test_nulls_as_defaults(source, target, database, nodes):
    source.execute("""CREATE TYPE mood AS ENUM ('glad');
        CREATE TABLE t (id int PRIMARY KEY, i int, f float8, n numeric(10,2), s text, e mood, u uuid, d date, t timestamptz, b bytea, l bool,
            a int[], j jsonb);
        CREATE TABLE kept (id int PRIMARY KEY, i int); CREATE TABLE strict (id int PRIMARY KEY, i int NOT NULL);
        INSERT INTO t VALUES (1); INSERT INTO kept VALUES (1); INSERT INTO strict VALUES (1, 1)""", database=database)
    node = streaming(nodes(configuration={"target": {"nulls": "defaults", "table-nulls": [{"table": "public.kept", "nulls": "nullable"}]}}))
    source.execute("""INSERT INTO t VALUES (2); INSERT INTO kept VALUES (2);
        INSERT INTO t VALUES (3, 1, 1, 1, 's', 'glad', gen_random_uuid(), '2020-01-01', now(), 'b', true, '{NULL}', '1');
        UPDATE t SET i = NULL, f = NULL, n = NULL, s = NULL, e = NULL, u = NULL, d = NULL, t = NULL, b = NULL, l = NULL, a = NULL, j = NULL
            WHERE id = 3;
        INSERT INTO t VALUES (4)""", database=database)
    node.wait_caught_up(60)
    types = dict(row[:2] for row in target.rows(f"DESCRIBE TABLE `{database}`.t"))
    assert not [kind for kind in types.values() if kind.startswith(("Nullable", "LowCardinality(Nullable"))], types
    assert dict(row[:2] for row in target.rows(f"DESCRIBE TABLE `{database}`.kept"))["i"] == "Nullable(Int32)"
    rows = target.query(f"SELECT * EXCEPT (_version, _deleted, _committed_at) FROM `{database}`.t FINAL ORDER BY id FORMAT TSV").splitlines()
    default = "0\t0\t0\t\t\t00000000-0000-0000-0000-000000000000\t1970-01-01\t1970-01-01 00:00:00.000000\t\tfalse\t[]\t"
    assert rows == [f"{number}\t{default}" for number in (1, 2, 3, 4)]
    assert target.rows(f"SELECT i FROM `{database}`.kept FINAL") == [[None], [None]]


def test_arrays_with_another_delimiter(target, database, source, nodes):
    """Boxes alone have a semicolon between them."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a box[]); INSERT INTO t VALUES (1, '{(1,1),(0,0);(2,2),(1,1)}')", database=database)
    node = streaming(nodes())
    source.execute("INSERT INTO t SELECT 2, a || NULL::box FROM t", database=database)
    node.wait_caught_up(60)
    boxes = ["(1,1),(0,0)", "(2,2),(1,1)"]
    assert target.rows(f"SELECT a FROM `{database}`.t FINAL ORDER BY id") == [[boxes], [boxes + [None]]]


def test_null_elements_are_kept_and_null_arrays_are_empty(source, target, database, nodes):
    source.execute("CREATE TABLE t (id int PRIMARY KEY, a int[]); INSERT INTO t VALUES (1, NULL), (2, '{NULL}'), (3, '{}')", database=database)
    node = streaming(nodes())
    source.execute("INSERT INTO t VALUES (4, NULL), (5, '{1,NULL}')", database=database)
    node.wait_caught_up(60)
    assert target.rows(f"SELECT a FROM `{database}`.t FINAL ORDER BY id") == [[[]], [[None]], [[]], [[]], [[1, None]]]


# -- other types than the usual ---------------------------------------------------------------------------


def letters(target, database, columns="op, error"):
    return target.rows(f"SELECT {columns} FROM `{database}`._dead_letters ORDER BY key, version")


def test_types_that_the_user_names(source, target, database, nodes):
    source.execute("""CREATE TABLE t (id int PRIMARY KEY, day date, born date, amount numeric, flag bool, word text, small int, at timestamptz(3),
            days int[][], doc jsonb, old text);
        INSERT INTO t VALUES (1, 'infinity', '2020-05-17', 1.25, true, 'w', 255, '2020-01-01 12:00:00.123+00', '{{1,2},{3,4}}', '{"a": 1}', 'x'),
            (2, '0044-03-15 BC', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)""", database=database)
    columns = {"day": "String", "born": "Date", "amount": "Decimal(38, 10)", "flag": "UInt8", "word": "LowCardinality(String)",
               "small": "UInt8", "at": "DateTime64(3, 'Europe/Berlin')", "days": "String", "doc": "JSON"}
    chosen = [{"column": f"public.t.{name}", "type": kind} for name, kind in columns.items()]
    chosen.append({"column": "public.t.old", "name": "renamed"})
    node = streaming(nodes(configuration={"target": {"columns": chosen}}))
    source.execute("""INSERT INTO t SELECT 3, day, '2149-06-06', -9999999999999999999999999999.9999999999, false, 'v', 0, at, '[0:1]={5,6}',
            '{"b": ["x", null]}', old FROM t WHERE id = 1;
        INSERT INTO t (id, small) VALUES (4, -1); INSERT INTO t (id, born) VALUES (5, '1969-12-31');
        INSERT INTO t (id, amount) VALUES (6, 0.00000000001); INSERT INTO t (id, doc) VALUES (7, '[1]');
        INSERT INTO t (id, amount) VALUES (8, 10000000000000000000000000000);
        INSERT INTO t (id, amount) VALUES (9, 'NaN'); INSERT INTO t (id, small, born) VALUES (10, 5, '1970-01-01')""", database=database)
    node.wait_caught_up(60)
    types = dict(row[:2] for row in target.rows(f"DESCRIBE TABLE `{database}`.t"))
    assert types["day"] == "Nullable(String)" and types["born"] == "Nullable(Date)" and types["flag"] == "Nullable(UInt8)", types
    assert types["word"] == "LowCardinality(Nullable(String))" and types["at"] == "Nullable(DateTime64(3, 'Europe/Berlin'))", types
    assert types["small"] == "Nullable(UInt8)" and types["renamed"] == "Nullable(String)" and "old" not in types, types
    rows = target.rows(f"""SELECT id, day, born, toString(amount), flag, word, small, at, days, toString(doc), renamed FROM `{database}`.t FINAL
        ORDER BY id""")
    assert [row[0] for row in rows] == [1, 2, 3, 5, 10], rows
    assert rows[0][1:9] == ["infinity", "2020-05-17", "1.25", 1, "w", 255, "2020-01-01 13:00:00.123", "{{1,2},{3,4}}"]
    assert json.loads(rows[0][9]) in ({"a": 1}, {"a": "1"}) and rows[0][10] == "x"
    assert rows[1][1:9] == ["0044-03-15 BC", None, None, None, None, None, None, None]
    assert rows[2][1:9] == ["infinity", "2149-06-06", "-9999999999999999999999999999.9999999999", 0, "v", 0, "2020-01-01 13:00:00.123",
                            "[0:1]={5,6}"]
    assert rows[3][2] == "1970-01-01" and node.metric("millrace_values_saturated_total", table="public.t", column="born") == 1
    assert sorted(json.loads(key)["id"] for key, in letters(target, database, "key")) == ["4", "6", "7", "8", "9"]
    assert node.metric("millrace_dead_letters_total", table="public.t") == 5


@pytest.mark.parametrize("type_, column", [("Float64", "amount"), ("UUID", "word"), ("Nonsense", "word")])
def test_a_type_that_cannot_hold_the_values_is_refused(source, database, nodes, type_, column):
    source.execute("CREATE TABLE t (id int PRIMARY KEY, amount numeric, word text)", database=database)
    node = nodes(start=False, configuration={"target": {"columns": [{"column": f"public.t.{column}", "type": type_}]}})
    code, out, _ = node.command("check")
    assert code == 0 and f'column "{column}"' in out and type_ in out, out


# -- what the target cannot hold ----------------------------------------------------------------------------


def test_values_beyond_the_range_become_its_ends_and_are_counted(source, target, database, nodes):
    source.execute("""CREATE TABLE t (id int PRIMARY KEY, d date, t timestamptz, a date[]);
        INSERT INTO t VALUES (1, 'infinity', '-infinity', '{infinity,2020-01-01}'), (2, '2020-01-01', '2020-01-01', NULL)""", database=database)
    node = nodes()
    node.wait_caught_up(60)
    assert node.metric("millrace_values_saturated_total", table="public.t", column="d") == 1
    assert node.metric("millrace_values_saturated_total", table="public.t", column="t") == 1
    source.execute("INSERT INTO t VALUES (3, '-infinity', '294276-01-01', '{-infinity}'); UPDATE t SET d = '4000-01-01 BC' WHERE id = 2",
                   database=database)
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert node.metric("millrace_values_saturated_total", table="public.t", column="d") == 3
    assert node.metric("millrace_values_saturated_total", table="public.t", column="t") == 2
    assert node.metric("millrace_values_saturated_total", table="public.t", column="a") == 2
    assert letters(target, database) == []


def test_values_beyond_the_range_can_go_to_the_dead_letters(source, target, database, nodes):
    source.execute("""CREATE TABLE t (id int PRIMARY KEY, d date);
        INSERT INTO t VALUES (1, 'infinity'), (2, '2020-01-01')""", database=database)
    node = streaming(nodes(configuration={"target": {"out-of-range": "dead-letter"}}))
    source.execute("INSERT INTO t VALUES (3, '2021-01-01'), (4, '-infinity')", database=database)
    node.wait_caught_up(60)
    assert target.rows(f"SELECT id FROM `{database}`.t FINAL ORDER BY id") == [[2], [3]]
    assert [letter[0] for letter in letters(target, database, "key, error")] == ['{"id":"1"}', '{"id":"4"}']
    assert not node.metric("millrace_values_saturated_total", table="public.t", column="d")
    source.execute("UPDATE t SET d = '2022-02-02' WHERE id IN (1, 4)", database=database)
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)


def test_what_cannot_be_held_is_a_dead_letter_with_the_whole_event(source, target, database, nodes):
    source.execute("""CREATE TABLE t (id int PRIMARY KEY, a int[], n numeric(10,2), word text);
        INSERT INTO t VALUES (1, '{{1,2},{3,4}}', 1, 'before'), (2, '{1}', 1, 'fine')""", database=database)
    node = streaming(nodes())
    source.execute("""INSERT INTO t VALUES (3, '[0:1]={1,2}', 1, 'other bounds'), (4, '{}', 'NaN', 'no number'), (5, NULL, NULL, 'fine');
        UPDATE t SET n = 'NaN' WHERE id = 2""", database=database)
    node.wait_caught_up(60)
    found = target.rows(f"SELECT `table`, op, key, event, error, position FROM `{database}`._dead_letters ORDER BY key, version")
    assert [(table, op, json.loads(key)) for table, op, key, *_ in found] == [
        ("public.t", "read", {"id": "1"}), ("public.t", "update", {"id": "2"}), ("public.t", "insert", {"id": "3"}),
        ("public.t", "insert", {"id": "4"})], found
    assert [json.loads(row[3])["after"]["word"] for row in found] == ["before", "fine", "other bounds", "no number"]
    assert json.loads(found[0][3])["after"]["a"] == "{{1,2},{3,4}}"
    for row, column in zip(found, ("a", "n", "a", "n")):
        assert f'"{column}"' in row[4] and "String" in row[4], row
    assert all("/" in row[5] for row in found)
    assert node.metric("millrace_dead_letters_total", table="public.t") == 4
    assert target.rows(f"SELECT id FROM `{database}`.t FINAL ORDER BY id") == [[2], [5]]
    # The row comes with its next change that can be held, and its delete leaves nothing.
    source.execute("UPDATE t SET a = '{1}', n = 2 WHERE id IN (1, 2); DELETE FROM t WHERE id IN (3, 4)", database=database)
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)


def test_columns_of_the_target_are_nullable_as_in_the_source_and_carry_comments(source, target, database, nodes):
    source.execute("""CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int); COMMENT ON TABLE t IS 'the table''s \\ "comment"';
        COMMENT ON COLUMN t.b IS 'of b: ''ü''\\'""", database=database)
    nodes().wait_caught_up(60)
    columns = {row[0]: row for row in target.rows(f"DESCRIBE TABLE `{database}`.t")}
    assert (columns["id"][1], columns["a"][1], columns["b"][1]) == ("Int32", "Int32", "Nullable(Int32)")
    assert columns["b"][4] == "of b: 'ü'\\"
    assert target.value(f"SELECT comment FROM system.tables WHERE database = '{database}' AND name = 't'") == 'the table\'s \\ "comment"'
    assert [columns[name][1] for name in ("_version", "_deleted", "_committed_at", "_lsn")] == [
        "UInt128", "UInt8", "DateTime64(6, 'UTC')", "UInt64"]
    engine = target.value(f"SELECT engine_full FROM system.tables WHERE database = '{database}' AND name = 't'")
    assert engine.startswith("ReplacingMergeTree(_version, _deleted) ORDER BY (id)"), engine
    for setting in ("fsync_after_insert = 1", "fsync_part_directory = 1", "min_rows_to_fsync_after_merge = 1"):
        assert setting in engine


def test_generated_columns_are_left_out(source, target, database, nodes):
    source.execute("""CREATE TABLE t (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED);
        INSERT INTO t VALUES (1, 5)""", database=database)
    node = nodes(start=False)
    code, out, _ = node.command("check")
    assert code == 0 and "b" in out and "generated" in out, out
    streaming(node.start())
    source.execute("INSERT INTO t VALUES (2, 6); UPDATE t SET a = 7 WHERE id = 1", database=database)
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert "b" not in [row[0] for row in target.rows(f"DESCRIBE TABLE `{database}`.t")]


def test_the_comparison_sees_a_single_wrong_value(source, target, database, nodes):
    """What all tests here rest on."""
    source.execute("CREATE TABLE t (id int PRIMARY KEY, f float8, s text); INSERT INTO t VALUES (1, '-0', 'a'), (2, 0.1, NULL)", database=database)
    node = nodes()
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    node.stop()
    for change in ("f = 0.0 WHERE id = 1", "s = 'a ' WHERE id = 1", "s = '' WHERE id = 2", "f = 0.10000000000000002 WHERE id = 2"):
        source.execute(f"UPDATE t SET {change}", database=database)
        result, = compare(source, target, database)
        assert result.count == 1, change
        source.execute("UPDATE t SET f = CASE id WHEN 1 THEN '-0'::float8 ELSE 0.1 END, s = CASE id WHEN 1 THEN 'a' END", database=database)
