"""The main way: what is in PostgreSQL is in ClickHouse, before, while and after the node runs."""

import pytest

import shop
from millrace_compare import assert_equal, compare, type_differences
from millrace_servers import wait_until


def equal(source, target, database, node, seconds=60, **options):
    """Waits for the slot, then every table is equal."""
    node.wait_caught_up(seconds)
    return assert_equal(source, target, database, seconds=seconds, **options)


@pytest.fixture
def things(source, database):
    """A table with a thousand rows."""
    source.execute("""CREATE TABLE things (id bigint PRIMARY KEY, name text, price numeric(12,2), seen timestamptz NOT NULL DEFAULT now());
        INSERT INTO things SELECT g, 'thing ' || g, g * 1.5 FROM generate_series(1, 1000) g""", database=database)
    return lambda sql, values=None: source.execute(sql, values, database=database)


def test_rows_that_were_there_before(source, target, database, nodes, things):
    node = nodes()
    results = equal(source, target, database, node)
    assert [(result.name, result.target_rows) for result in results] == [("public.things", 1000)]
    assert type_differences(source, target, database) == []


def test_inserts_updates_and_deletes_follow(source, target, database, nodes, things):
    node = nodes()
    things("INSERT INTO things (id, name) SELECT g, NULL FROM generate_series(2001, 2100) g")
    things("UPDATE things SET name = name || ' (new)', price = NULL WHERE id % 7 = 0")
    things("DELETE FROM things WHERE id % 5 = 0")
    results = equal(source, target, database, node)
    assert results[0].target_rows == 880


def test_a_changed_key_is_a_delete_and_an_insert(source, target, database, nodes, things):
    node = nodes()
    things("UPDATE things SET id = id + 100000 WHERE id <= 50")
    things("UPDATE things SET id = id - 100000, name = 'back' WHERE id > 100040")
    equal(source, target, database, node)
    assert target.value(f"SELECT count() FROM `{database}`.things FINAL WHERE id > 100000") == 40


def test_rows_inserted_and_deleted_again_in_one_transaction(source, target, database, nodes, things):
    node = nodes()
    things("""INSERT INTO things (id, name) VALUES (5000, 'a'); DELETE FROM things WHERE id = 5000;
        INSERT INTO things (id, name) VALUES (5000, 'b'); UPDATE things SET name = 'c' WHERE id = 5000;
        DELETE FROM things WHERE id = 1; INSERT INTO things (id, name) VALUES (1, 'again')""")
    equal(source, target, database, node)
    assert target.rows(f"SELECT name FROM `{database}`.things FINAL WHERE id IN (1, 5000) ORDER BY id") == [["again"], ["c"]]


def test_what_was_rolled_back_never_arrives(source, target, database, nodes, things):
    node = nodes()
    connection = source.connect(database, autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO things (id, name) VALUES (7000, 'kept')")
        cursor.execute("SAVEPOINT a")
        cursor.execute("INSERT INTO things (id, name) VALUES (7001, 'not kept')")
        cursor.execute("ROLLBACK TO a")
        connection.commit()
        cursor.execute("DELETE FROM things")
        connection.rollback()
    connection.close()
    equal(source, target, database, node)
    assert target.value(f"SELECT count() FROM `{database}`.things FINAL WHERE id >= 7000") == 1


def test_a_restart_goes_on_where_it_stopped(source, target, database, nodes, things):
    node = nodes()
    equal(source, target, database, node)
    assert node.stop() == 0
    things("INSERT INTO things (id, name) SELECT g, 'while away' FROM generate_series(3001, 3500) g")
    things("DELETE FROM things WHERE id < 100")
    assert not compare(source, target, database)[0], "the comparison sees that the node was away"
    node.start()
    equal(source, target, database, node)


def test_kill_9_loses_nothing(source, target, database, nodes, things):
    node = nodes()
    for turn in range(3):
        things(f"INSERT INTO things (id, name) SELECT g, 'turn {turn}' FROM generate_series({10000 * (turn + 1)}, {10000 * (turn + 1)} + 4999) g")
        things(f"UPDATE things SET name = 'changed in turn {turn}' WHERE id % 3 = {turn}")
        node.kill()
        things(f"DELETE FROM things WHERE id % 11 = {turn}")
        node.start()
    equal(source, target, database, node)


def test_tables_of_several_schemas_and_odd_names(source, target, database, nodes):
    source.execute("""CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY, "select" text);
        CREATE TABLE orders (id int PRIMARY KEY, "the total" int);
        CREATE TABLE "Odd ""name"" `x`" ("id" uuid PRIMARY KEY, "a`b" int, "ä ö" text);
        INSERT INTO sales.orders VALUES (1, 'one'); INSERT INTO orders VALUES (1, 100);
        INSERT INTO "Odd ""name"" `x`" SELECT gen_random_uuid(), g, 'é' FROM generate_series(1, 10) g""", database=database)
    node = nodes(tables=["public.*", "sales.*"])
    source.execute("""INSERT INTO sales.orders VALUES (2, 'two'); UPDATE orders SET "the total" = 5;
        DELETE FROM "Odd ""name"" `x`" WHERE "a`b" > 5""", database=database)
    assert len(equal(source, target, database, node)) == 3


def test_the_slot_of_an_idle_database_advances(source, target, database, nodes, things):
    node = nodes(configuration={"source": {"tables": ["public.things"]}})
    equal(source, target, database, node)
    source.execute("CREATE TABLE other (id int PRIMARY KEY)", database=database)
    source.execute("INSERT INTO other SELECT generate_series(1, 50000)", database=database)
    node.wait_caught_up(60)


def test_a_shop_under_load(source, target, database, nodes):
    connection = source.connect(database)
    shop.seed(connection)
    connection.close()
    node = nodes()
    workload = shop.Workload(lambda: source.connect(database), rate=300, random_seed=7).start()
    try:
        wait_until(lambda: workload.transactions > 1500, "the shop has worked", 60)
    finally:
        workload.stop()
    results = equal(source, target, database, node)
    assert {result.name for result in results} == {f"public.{table}" for table in shop.TABLES}
