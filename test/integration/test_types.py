"""Every type of docs/types.md, by snapshot and by stream, with normal, null, extreme and odd values."""

from millrace_compare import assert_equal, type_differences

TEXTS = ["''", "'plain'", "'it''s'", r"E'tab\t, newline\n, return\r, backslash \\, null word NULL, \\N, \\.'", "'ä 京都 🙂 \u200b'", "repeat('x', 5000)",
         "'[1,2]'", "'{\"a\": 1}'", "' padded '", r"E'\b\f\x01\x7f'"]
TYPES = {
    "bool": ["true", "false"],
    "int2": ["0", "-32768", "32767"],
    "int4": ["0", "-2147483648", "2147483647"],
    "int8": ["0", "-9223372036854775808", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "xid": ["'3'::xid", "'4294967295'::xid"],
    "cid": ["'7'::cid"],
    "xid8": ["'0'::xid8", "'18446744073709551615'::xid8"],
    "float4": ["0", "'-0'", "1.1", "-3.4028235e38", "1.4e-45", "'NaN'", "'Infinity'", "'-Infinity'", "16777217"],
    "float8": ["0", "'-0'", "0.1", "1.7976931348623157e308", "5e-324", "'NaN'", "'Infinity'", "'-Infinity'", "123456789.123456789"],
    "numeric(12,2)": ["0", "-0.01", "9999999999.99", "-9999999999.99", "1.5"],
    "numeric(5,5)": ["0.00001", "-0.99999"],
    "numeric(9)": ["999999999", "-1"],
    "numeric(18,9)": ["999999999.999999999", "0.000000001"],
    "numeric(38,10)": ["9999999999999999999999999999.9999999999", "-0.0000000001"],
    "numeric(76,38)": ["99999999999999999999999999999999999999.99999999999999999999999999999999999999", "-0.00000000000000000000000000000000000001"],
    "numeric": ["0", "1.500", "-0.0", "1e-20", "12345678901234567890123456789012345678901234567890.123", "'NaN'", "'Infinity'", "10::numeric ^ 200"],
    "numeric(80,2)": ["repeat('9', 78)::numeric", "-1.25"],
    "numeric(4,-2)": ["123400", "-100"],
    "money": ["0::money", "'-92233720368547758.08'::money", "1234.5::numeric::money"],
    "text": TEXTS,
    "varchar(6000)": TEXTS,
    "char(12)": ["''", "'ab'", "'ä'", "'  lead'", "repeat('z', 12)"],
    '"char"': ["'a'", "''"],
    "name": ["'a name'", "repeat('n', 63)"],
    "xml": ["'<a b=\"c\">d &amp; e</a>'::xml"],
    "mood": ["'sad'", "'it''s ok'", "'ünï \\ , {}'"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'01234567-89AB-cdef-0123-456789abcdef'"],
    "date": ["'1970-01-01'", "'1969-12-31'", "'1900-01-01'", "'2299-12-31'", "'2024-02-29'", "'infinity'", "'-infinity'", "'0001-01-01'", "'9999-12-31'",
             "'12345-06-07'", "'0044-03-15 BC'", "'1582-10-10'"],
    "timestamp": ["'1970-01-01 00:00:00'", "'1969-12-31 23:59:59.999999'", "'2024-06-01 12:34:56.7'", "'1900-01-01'", "'2262-04-12 00:00:00'",
                  "'infinity'", "'-infinity'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'200000-01-01'", "'0099-01-01 BC'"],
    "timestamptz": ["'1970-01-01 00:00:00+00'", "'2024-03-31 02:30:00 Europe/Berlin'", "'2024-06-01 12:34:56.123456-11:30'", "'infinity'", "'-infinity'",
                    "'0001-01-01 00:00:00+00'", "'10000-01-01'", "'1883-11-18 12:00 America/New_York'"],
    "timestamp(0)": ["'2024-06-01 12:34:56.7'"],
    "time": ["'00:00'", "'24:00'", "'12:34:56.789'"],
    "timetz": ["'12:34:56.1+05:30'", "'00:00-15:59'"],
    "interval": ["'0'", "'1 year 2 mons -3 days 04:05:06.789'", "'-1 mon'", "'178000000 years'", "'-00:00:00.000001'"],
    "json": ["'{\"a\" : [1, 2.50, null],  \"a\": \"\\u00e9\"}'", "'null'", "'\"x\"'", "'1e2'"],
    "jsonb": ["'{\"b\":1,\"a\":[true,{}]}'", "'null'", "'\"\\\\ \\\" \\n\"'", "'12345678901234567890.10'"],
    "bytea": ["''", r"'\x00ff0a0d09275c22'", "decode(repeat('00', 3000), 'hex')", r"'\x5c4e'"],
    "int4[]": ["'{}'", "'{1,NULL,-3}'", "array_fill(7, array[500])"],
    "int8[]": ["'{9223372036854775807}'"],
    "text[]": ["'{}'", r"""array['', 'a,b', '{}', '"', E'\\', 'NULL', NULL, E'new\nline', 'ä''']"""],
    "numeric(10,2)[]": ["'{1.10,NULL,-99999999.99}'"],
    "date[]": ["'{2024-02-29,NULL,infinity}'"],
    "timestamptz[]": ["'{\"2024-02-29 12:00:00.5+02\",NULL}'"],
    "bool[]": ["'{t,f,NULL}'"],
    "float8[]": ["'{NaN,-Infinity,0.1,NULL}'"],
    "uuid[]": ["'{00000000-0000-0000-0000-000000000001,NULL}'"],
    "mood[]": ["array['sad', NULL, E'ünï \\\\ , {}']::mood[]"],
    "bytea[]": [r"array['\x00ff27'::bytea, ''::bytea, NULL]"],
    "jsonb[]": ["array['{\"a\": \"it''s\"}'::jsonb, NULL]"],
    "money_cents": ["1.25", "-0.75"],
    "positive": ["1", "2147483647"],
    "inet": ["'10.0.0.1'", "'::1/64'", "'10.1.2.3/8'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(5)": ["B'10101'"],
    "varbit": ["B''", "B'1'"],
    "point": ["'(1.5,-2)'"],
    "polygon": ["'((0,0),(1,1),(1,0))'"],
    "int4range": ["'[1,5)'", "'empty'", "'(,)'"],
    "tstzrange": ["'[2024-01-01 00:00+00,)'"],
    "int4multirange": ["'{[1,2),[5,9)}'"],
    "tsvector": ["'a:1 b:2,3A'"],
    "tsquery": ["'a & !b'"],
    "pair": ["row(1, 'a, \"b\"')::pair", "row(NULL, NULL)::pair"],
    "inet[]": ["'{10.0.0.1,NULL}'"],
    "pg_lsn": ["'16/B374D848'"],
    "regclass": ["'pg_class'::regclass"],
    "hstore": ["'a=>1, \"b c\"=>NULL'"],
    "citext": ["'MiXed'"],
}
SETUP = r"""
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', E'ünï \\ , {}'); CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN money_cents AS numeric(8,2); CREATE DOMAIN positive AS int CHECK (value > 0);
"""

# A text form that is the key's is unique and can be ordered; floats, dates and others in ranges that every server holds.
KEYS = {name: values for name, values in TYPES.items() if name in (
    "int2", "int4", "int8", "oid", "numeric(12,2)", "numeric", "text", "varchar(6000)", "char(12)", "mood", "uuid", "time", "interval", "bytea",
    "bool", "money_cents", "positive", "inet", "macaddr", "timetz", "citext", "name", "int4range", "money")}
KEYS |= {"float8": ["0.1", "'Infinity'", "-2.5e300"], "float4": ["1.1", "'-Infinity'"], "date": ["'1970-01-01'", "'2024-02-29'", "'1900-01-01'"],
         "timestamp": ["'2024-06-01 12:34:56.7'", "'1970-01-01'"], "timestamptz": ["'2024-06-01 12:34:56.123456+02'", "'1970-01-01 00:00+00'"],
         "text[]": ["array['a', 'b']", "'{}'"], "int4[]": ["'{1,2}'", "'{3}'"]}


KEYS["numeric"] = ["0", "1.500", "1e-20", "-12345678901234567890123456789012345678901234567890.123"]


def table_name(kind):
    return f"t{list(TYPES).index(kind)}_" + "".join(letter if letter.isalnum() else "_" for letter in kind).strip("_")


def test_every_type(source, target, database, nodes):
    source.execute(SETUP, database=database)
    statements = []
    for kind, values in TYPES.items():
        rows = ", ".join(f"({number}, {value}, {value})" for number, value in enumerate(values))
        statements.append(f"""CREATE TABLE {table_name(kind)} (id int PRIMARY KEY, v {kind}, needed {kind} NOT NULL);
            INSERT INTO {table_name(kind)} VALUES {rows}; INSERT INTO {table_name(kind)} VALUES (-1, NULL, {values[0]});""")
    source.execute("\n".join(statements), database=database)
    node = nodes()
    node.wait_caught_up()
    assert type_differences(source, target, database) == []
    assert_equal(source, target, database, seconds=20)

    statements = []
    for kind, values in TYPES.items():
        name = table_name(kind)
        statements.append(f"INSERT INTO {name} SELECT id + 1000, v, needed FROM {name}; UPDATE {name} SET v = needed WHERE id = -1;"
                          f"UPDATE {name} SET v = NULL WHERE id = 0; UPDATE {name} SET id = id + 5000 WHERE id = 1000; DELETE FROM {name} WHERE id = 1001;")
    source.execute("\n".join(statements), database=database)
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)
    assert node.command("check")[0] in (0, 1)


def test_the_session_settings_of_database_and_role_do_not_matter(source, target, database, nodes):
    source.execute(SETUP, database=database)
    for setting in ("DateStyle = 'SQL, DMY'", "IntervalStyle = 'sql_standard'", "bytea_output = 'escape'", "extra_float_digits = -2",
                    "TimeZone = 'Asia/Kathmandu'", "xmlbinary = 'hex'", "search_path = ''", "client_encoding = 'LATIN1'",
                    "quote_all_identifiers = on", "statement_timeout = '1s'", "idle_in_transaction_session_timeout = '1s'"):
        source.execute(f'ALTER DATABASE "{database}" SET {setting}')
    kinds = ["date", "timestamptz", "interval", "bytea", "float8", "text", "money", "regclass"]
    connection = source.connect(database, client_encoding="UTF8")
    application = connection.cursor()
    for kind in kinds:
        rows = ", ".join(f"({number}, {value})" for number, value in enumerate(TYPES[kind]))
        application.execute(f"CREATE TABLE public.{table_name(kind)} (id int PRIMARY KEY, v {kind});"
                            f"INSERT INTO public.{table_name(kind)} VALUES {rows}")
    node = nodes()
    for kind in kinds:
        application.execute(f"INSERT INTO public.{table_name(kind)} SELECT id + 100, v FROM public.{table_name(kind)}")
    connection.close()
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)


def test_keys_of_each_type(source, target, database, nodes):
    source.execute(SETUP, database=database)
    statements = []
    for kind, values in KEYS.items():
        rows = ", ".join(f"({value}, {number})" for number, value in enumerate(values))
        statements.append(f"CREATE TABLE k{table_name(kind)} (k {kind} PRIMARY KEY, v int); INSERT INTO k{table_name(kind)} VALUES {rows};")
    source.execute("\n".join(statements), database=database)
    node = nodes()
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)
    assert type_differences(source, target, database) == []
    statements = []
    for kind, values in KEYS.items():
        name = f"k{table_name(kind)}"
        statements.append(f"UPDATE {name} SET v = v + 100 WHERE k = {values[-1]}; DELETE FROM {name} WHERE k = {values[0]};")
        if len(values) > 2:  # a key that becomes another one
            statements.append(f"UPDATE {name} SET k = {values[0]}, v = -1 WHERE k = {values[1]};")
    source.execute("\n".join(statements), database=database)
    node.wait_caught_up()
    results = assert_equal(source, target, database, seconds=20)
    assert len(results) == len(KEYS)


def test_composite_keys(source, target, database, nodes):
    source.execute("""CREATE TABLE c (payload text, b text, a int, d date, v numeric(8,3), PRIMARY KEY (a, b, d));
        INSERT INTO c SELECT repeat('x', g % 50), 'b' || g % 7, g, '2024-01-01'::date + g % 30, g FROM generate_series(1, 500) g""", database=database)
    node = nodes()
    source.execute("""UPDATE c SET b = 'moved' WHERE a % 10 = 0; UPDATE c SET d = d + 1 WHERE a % 11 = 0; UPDATE c SET v = -v WHERE a % 3 = 0;
        DELETE FROM c WHERE a % 13 = 0; INSERT INTO c VALUES (NULL, '', 0, '2024-01-01', 0)""", database=database)
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)


def test_two_hundred_columns(source, target, database, nodes):
    kinds = ["int", "text", "numeric(12,2)", "timestamptz", "bool"]
    columns = ", ".join(f'"column {number}" {kinds[number % 5]}' for number in range(199))
    source.execute(f"CREATE TABLE wide (id int PRIMARY KEY, {columns})", database=database)
    values = [str(number) if number % 5 in (0, 2) else f"'v{number}'" if number % 5 == 1 else "'2024-01-01 00:00+00'" if number % 5 == 3 else "true"
              for number in range(199)]
    source.execute(f"INSERT INTO wide SELECT g, {', '.join(values)} FROM generate_series(1, 300) g", database=database)
    node = nodes()
    source.execute("""UPDATE wide SET "column 6" = repeat('y', 100), "column 198" = NULL WHERE id % 2 = 0;
        INSERT INTO wide (id) SELECT generate_series(1001, 1100)""", database=database)
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)


def test_a_hundred_tables(source, target, database, nodes):
    source.execute("".join(f"CREATE TABLE t{n} (id int PRIMARY KEY, v text); INSERT INTO t{n} SELECT g, 'table {n}' FROM generate_series(1, 20) g;"
                           for n in range(100)), database=database)
    node = nodes()
    source.execute("".join(f"UPDATE t{n} SET v = v || '!' WHERE id % 2 = 0; DELETE FROM t{n} WHERE id = {n % 20 + 1};" for n in range(100)),
                   database=database)
    node.wait_caught_up()
    results = assert_equal(source, target, database, seconds=60)
    assert len(results) == 100


def test_a_value_of_200_mb(source, target, database, nodes):
    source.execute("CREATE TABLE large (id int PRIMARY KEY, v text, n int); INSERT INTO large VALUES (1, repeat('0123456789abcdef', 200 * 65536), 0)",
                   database=database)
    node = nodes()
    node.wait_caught_up()
    source.execute("INSERT INTO large VALUES (2, repeat('fedcba9876543210', 200 * 65536), 0)", database=database)
    node.wait_caught_up()
    source.execute("UPDATE large SET n = 1", database=database)  # v is unchanged, and not in the log
    node.wait_caught_up()
    wanted = source.execute("SELECT id, md5(v), n FROM large ORDER BY id", database=database)
    assert target.rows(f"SELECT id, lower(hex(MD5(assumeNotNull(v)))), n FROM `{database}`.large FINAL ORDER BY id") == [list(row) for row in wanted]
    target.query(f"DROP TABLE `{database}`.large SYNC")


def test_unchanged_large_values_are_restored(source, target, database, nodes):
    source.execute("""CREATE TABLE toast (id int PRIMARY KEY, v text, w text, n int); ALTER TABLE toast ALTER v SET STORAGE EXTERNAL;
        INSERT INTO toast SELECT g, repeat(md5(g::text), 200), NULL, 0 FROM generate_series(1, 50) g""", database=database)
    node = nodes()
    node.wait_caught_up()
    source.execute("UPDATE toast SET n = 1 WHERE id <= 25", database=database)  # from the target
    source.execute("""UPDATE toast SET v = repeat('new', 5000) WHERE id <= 5; UPDATE toast SET n = n + 1 WHERE id <= 5;
        INSERT INTO toast VALUES (100, repeat('q', 9000), 'w', 0); UPDATE toast SET n = 7 WHERE id = 100""", database=database)  # from the batch
    source.execute("UPDATE toast SET id = id + 1000 WHERE id BETWEEN 20 AND 30", database=database)  # under another key
    node.stop()
    source.execute("UPDATE toast SET w = 'after the restart' WHERE id % 3 = 0", database=database)
    node.start()
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)
