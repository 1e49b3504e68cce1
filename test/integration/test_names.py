"""Names with everything in them, and tables in numbers."""

from millrace_compare import assert_equal, quote_source, target_name, type_differences
from millrace_servers import wait_until

NAMES = ['Quo"te', "sp ace", " lead", "trail ", "dot.ted", "back\\slash", "back\\\\two\\n", "tick`ed", "it's", "日本語", "SELECT", "select", "Ünï", "1digit",
         "semi;colon", "-- comment", "/* comment */", "{brace:Type}", "[br]ack", "$1", "%s %d", "?", "@#!~^&|", "new\nline", "t\tab", "*star*", "a,b(c)",
         "_underscore", "x" * 63, "table", "order", "NULL", "true", "\\N", "=", "ẞ" * 21, "\U0001f600", "final", "prewhere", "array", "default", "Tuple(a)"]


def name_table(name, columns="id int PRIMARY KEY, v text", schema="public"):
    return f"CREATE TABLE {quote_source(schema)}.{quote_source(name)} ({columns})"


def test_names_of_tables(source, target, database, nodes, sql):
    for name in NAMES:
        sql(name_table(name))
        sql(f"INSERT INTO {quote_source(name)} VALUES (1, $$x$$), (2, $$y$$)")
    node = nodes(target_database="n")
    node.wait_caught_up(60)
    for name in NAMES:
        sql(f"UPDATE {quote_source(name)} SET v = $${name.replace('$', '')}$$ WHERE id = 1; DELETE FROM {quote_source(name)} WHERE id = 2; "
            f"INSERT INTO {quote_source(name)} VALUES (3, NULL)")
    node.wait_caught_up(60)
    try:
        results = assert_equal(source, target, database, seconds=30, target_database="n")
        assert {result.name.split(".", 1)[1]: result.target_rows for result in results} == {name: 2 for name in NAMES}
        there = {name for name, in target.rows("SELECT name FROM system.tables WHERE database = 'n'")}
        assert set(NAMES) <= there, set(NAMES) - there
        status = {table["table"] for table in node.status()["tables"]}
        assert {f"public.{name}" for name in NAMES} <= status
        assert node.metric("cdc_events_processed_total", operation="insert") == len(NAMES)
        assert node.command("status")[0] == 0
        assert node.command("check")[0] == 0
    finally:
        node.stop()
        target.query("DROP DATABASE n")


def test_names_of_columns(source, target, database, nodes, sql):
    columns = [name for name in NAMES if not name.startswith("_")]
    # The key has odd names as well, and one column has a name of ClickHouse's own words in another case.
    listed = ", ".join(f"{quote_source(name)} text" for name in columns)
    sql(f'CREATE TABLE t ("k""1.\\" int, {listed}, "k 2" text, PRIMARY KEY ("k 2", "k""1.\\"))')
    values = ", ".join(["%s"] * len(columns))
    sql(f"INSERT INTO t VALUES (1, {values}, 'a')", columns)
    node = nodes()
    node.wait_caught_up(60)
    sql(f"INSERT INTO t VALUES (2, {values}, 'b')", columns[::-1])
    for name in columns[::3]:
        quoted = quote_source(name).replace("%", "%%")
        sql(f"UPDATE t SET {quoted} = %s WHERE \"k 2\" = 'a'", ["new " + name])
    sql('UPDATE t SET "k""1.\\" = 5 WHERE "k 2" = \'b\'')
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
    assert type_differences(source, target, database) == []
    assert [row[0] for row in target.rows(f"DESCRIBE TABLE `{database}`.t")][:3] == ['k"1_\\', columns[0], columns[1]]


def test_schemas_with_tables_of_one_name(source, target, database, nodes, sql):
    schemas = ["public", "sales", "My Schema", 'q"u.o\\te', "日本"]
    for number, schema in enumerate(schemas):
        if schema != "public":
            sql(f"CREATE SCHEMA {quote_source(schema)}")
        sql(name_table("orders", "id int PRIMARY KEY, v int", schema))
        sql(f"INSERT INTO {quote_source(schema)}.orders SELECT g, {number} FROM generate_series(1, {number + 1}) g")
    node = nodes(tables=["*.orders"])
    node.wait_caught_up(60)
    for number, schema in enumerate(schemas):
        sql(f"INSERT INTO {quote_source(schema)}.orders SELECT g, {number} FROM generate_series(101, {number + 101}) g")
    node.wait_caught_up(60)
    results = assert_equal(source, target, database, seconds=30)
    assert [result.target_rows for result in sorted(results, key=lambda result: result.source_rows)] == [2, 4, 6, 8, 10]
    assert target_name("sales", "orders") == "sales_orders"


def test_two_tables_with_one_target_name(source, target, database, nodes, sql):
    sql("""CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY, v text); CREATE TABLE sales_orders (id int PRIMARY KEY, v text);
        INSERT INTO sales.orders VALUES (1, 'one'); INSERT INTO sales_orders VALUES (1, 'uno')""")
    node = nodes(start=False, tables=["public.*", "sales.*"])
    code, out, _ = node.command("check")
    assert code == 0 and "would meet" in out and "names" in out, out
    # Their rows never mix: the second to come is left out, and says so.
    node.start()
    node.wait_caught_up(60)
    quarantined = [table for table in ("sales.orders", "public.sales_orders") if node.metric("millrace_table_quarantined", table=table)]
    assert len(quarantined) == 1, quarantined
    assert "would meet" in node.get("/status")[1]
    assert target.rows(f"SELECT v FROM `{database}`.sales_orders FINAL") == [["one" if quarantined == ["public.sales_orders"] else "uno"]]
    node.stop()
    target.query(f"DROP DATABASE `{database}`")
    source.execute("SELECT pg_drop_replication_slot(%s)", (node.slot,))
    named = nodes(tables=["public.*", "sales.*"], configuration={"target": {"names": [{"table": "sales.orders", "name": "sold"}]}})
    sql("INSERT INTO sales.orders VALUES (2, 'two'); UPDATE sales_orders SET v = 'dos'")
    named.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30, names={"sales.orders": "sold"})


def test_reserved_and_impossible_names_are_errors_with_a_remedy(source, target, database, nodes, sql):
    sql("""CREATE TABLE a (id int PRIMARY KEY, _version int); CREATE TABLE b (id int PRIMARY KEY, _row_exists bool);
        CREATE TABLE c (id int PRIMARY KEY, "x.y" int, x_y int); CREATE TABLE _dead_letters (id int PRIMARY KEY); CREATE TABLE d (id int PRIMARY KEY)""")
    long = "é" * 31
    sql(name_table(long))
    node = nodes(start=False)
    code, out, _ = node.command("check")
    assert code == 0
    for text in ("_version", "_row_exists", "x_y", "public._dead_letters", long, "columns", "names"):
        assert text in out, (text, out)
    # All of it is mended by other names.
    sql("INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (1, true); INSERT INTO c VALUES (1, 2, 3)")
    target_options = {
        "columns": [{"column": "public.a._version", "name": "version"}, {"column": "public.b._row_exists", "name": "row_exists"},
                    {"column": "public.c.x.y", "name": "xy"}],
        "names": [{"table": "public._dead_letters", "name": "letters"}, {"table": f"public.{long}", "name": "e"}]}
    node = nodes(configuration={"target": target_options})
    node.wait_caught_up(60)
    sql("UPDATE a SET _version = 5; UPDATE b SET _row_exists = false; UPDATE c SET \"x.y\" = 6")
    node.wait_caught_up(60)
    assert target.rows(f"SELECT version FROM `{database}`.a FINAL") == [[5]]
    assert target.rows(f"SELECT row_exists FROM `{database}`.b FINAL") == [[False]]
    assert target.rows(f"SELECT xy, x_y FROM `{database}`.c FINAL") == [[6, 3]]


def test_array_columns_with_a_common_prefix_are_not_nested(source, target, database, nodes, sql):
    """ClickHouse takes array columns n.a and n.b for one Nested, which must have equal lengths."""
    sql('CREATE TABLE t (id int PRIMARY KEY, "n.a" int[], "n.b" int[]); INSERT INTO t VALUES (1, \'{1,2}\', \'{1}\')')
    node = nodes()
    node.wait_caught_up(60)
    sql("INSERT INTO t VALUES (2, '{}', '{1,2,3}')")
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)


def test_odd_names_of_publication_and_databases(stage, source, target, nodes, database):
    odd = 'we ird "db" ü'
    source.execute(f"CREATE DATABASE {quote_source(odd)}")
    node = None
    try:
        source.execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)", database=odd)
        node = stage.node(source, target, database=odd, target_database="tar-get `x` \\ 日", pipeline="odd_names",
                          configuration={"source": {"publication": 'Pub "x", \\ é\'s'}})
        node.wait_caught_up(60)
        source.execute("INSERT INTO t VALUES (2)", database=odd)
        node.wait_caught_up(60)
        assert target.value("SELECT count() FROM `tar-get \\`x\\` \\\\ 日`.t FINAL") == 2
        assert source.value("SELECT count(*) FROM pg_publication WHERE pubname = %s", ('Pub "x", \\ é\'s',), database=odd) == 1
        assert node.command("check")[0] == 0
    finally:
        if node:
            node.stop()
            source.execute("SELECT pg_drop_replication_slot(%s)", (node.slot,))
        source.execute(f"DROP DATABASE {quote_source(odd)} WITH (FORCE)")
        target.query("DROP DATABASE IF EXISTS `tar-get \\`x\\` \\\\ 日`")


def test_a_table_of_200_columns(source, target, database, nodes, sql):
    kinds = ["int", "text", "numeric(10,2)", "timestamptz", "bool", "float8", "int[]", "jsonb", "date", "uuid"]
    values = ["g", "'t' || g", "g * 1.5", "'2024-01-01'::timestamptz + g * interval '1 hour'", "g % 2 = 0", "g / 7.0", "ARRAY[g, NULL]",
              "jsonb_build_object('a', g)", "'2024-01-01'::date + g", "md5(g::text)::uuid"]
    columns = ", ".join(f"c{number} {kinds[number % 10]}" for number in range(199))
    row = ", ".join(f"CASE WHEN g % {number + 2} = 0 THEN NULL ELSE {values[number % 10]} END" for number in range(199))
    sql(f"CREATE TABLE wide (id int PRIMARY KEY, {columns}); INSERT INTO wide SELECT g, {row} FROM generate_series(1, 500) g")
    node = nodes()
    node.wait_caught_up(60)
    sql(f"INSERT INTO wide SELECT g, {row} FROM generate_series(501, 1000) g")
    sql("UPDATE wide SET c0 = NULL, c1 = 'new' WHERE id % 3 = 0")
    sql("DELETE FROM wide WHERE id % 10 = 0")
    node.wait_caught_up(60)
    results = assert_equal(source, target, database, seconds=30)
    assert results[0].target_rows == 900 and type_differences(source, target, database) == []


def test_100_tables(source, target, database, nodes, sql):
    tables = [f"t{number:03}" for number in range(100)]
    sql("; ".join(f"CREATE TABLE {table} (id int PRIMARY KEY, v text); INSERT INTO {table} SELECT g, 'v' FROM generate_series(1, {number}) g"
                  for number, table in enumerate(tables)))
    node = nodes()
    node.wait_caught_up(90)
    for turn in range(3):
        sql("; ".join(f"INSERT INTO {table} VALUES ({1000 + turn}, 'turn {turn}'); UPDATE {table} SET v = v || '{turn}' WHERE id % 3 = {turn}"
                      for table in tables[turn::2]))
    sql("; ".join(f"DELETE FROM {table} WHERE id < 3" for table in tables))
    node.wait_caught_up(90)
    results = assert_equal(source, target, database, seconds=30)
    assert len(results) == 100
    assert len(node.status()["tables"]) == 100


def test_a_name_that_is_waited_for(source, target, database, nodes, sql):
    sql("CREATE TABLE there (id int PRIMARY KEY)")
    node = nodes(tables=["public.there", 'public.Not "there" yet'])
    wait_until(lambda: 'public.Not "there" yet' in node.status()["waits"], "status names it", 30, alive=node)
    sql(name_table('Not "there" yet'))
    sql("INSERT INTO \"Not \"\"there\"\" yet\" VALUES (1, 'first')")
    wait_until(lambda: target.value(f"SELECT count() FROM `{database}`.`Not \"there\" yet` FINAL") == 1, "it is followed", 60, alive=node)
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)
