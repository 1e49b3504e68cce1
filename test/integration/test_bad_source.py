"""What `run` does about what `check` names (test_commands.py): it ends with the message, or waits for it visibly; nothing is half done."""

import pytest

from millrace_compare import assert_equal
from millrace_servers import free_port, wait_until
from tcp_proxy import TcpProxy


@pytest.fixture(autouse=True)
def orders(sql):
    sql("CREATE TABLE orders (id bigint PRIMARY KEY, note text); INSERT INTO orders SELECT g, 'n' || g FROM generate_series(1, 100) g")


def slots(source, database):
    return source.value("SELECT count(*) FROM pg_replication_slots WHERE database = %s", (database,))


def databases(target, database):
    return target.value(f"SELECT count() FROM system.databases WHERE name = '{database}'")


def waits(node, whom):
    found = node.status()["waits"].get(whom)
    return found["why"] if found else ""


# -- for good -----------------------------------------------------------------------------------------------------


WRONG = {
    "row_security": ("ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY; CREATE POLICY few ON orders"
                     " USING (id < 10); CREATE PUBLICATION p FOR TABLE orders", "BYPASSRLS"),
    "no_updates": ("CREATE PUBLICATION p FOR TABLE orders WITH (publish = 'insert, delete, truncate')", "does not publish updates"),
    "no_deletes": ("CREATE PUBLICATION p FOR TABLE orders WITH (publish = 'insert, update, truncate')", "does not publish deletes"),
    "refused_writes": ("CREATE TABLE keyless (a int); CREATE PUBLICATION p FOR TABLE orders, keyless", "PostgreSQL refuses the application's UPDATE"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_source_that_will_not_do_is_left_as_it_is(what, source, target, database, nodes, sql):
    statements, said = WRONG[what]
    role = f"watcher_{what}"
    source.execute(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD '{source.password}'")
    try:
        sql(f"{statements}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        node = nodes(start=False, configuration={"source": {"uri": source.uri(database, user=role), "publication": "p"}})
        node.start(wait=False)
        assert node.wait(30) == 1
        last = [line for line in node.log().splitlines() if " error " in line][-1]
        assert said in last, last
        assert slots(source, database) == 0
        assert source.value("SELECT count(*) FROM pg_publication", database=database) == 1
        assert databases(target, database) == 0
    finally:
        sql(f"DROP OWNED BY {role}")
        source.execute(f"DROP ROLE {role}")


# -- until it is there ---------------------------------------------------------------------------------------------


def test_a_source_that_is_not_there_is_waited_for(source, target, database, nodes, sql):
    port = free_port()
    node = nodes(configuration={"source": {"uri": f"postgresql://postgres@127.0.0.1:{port}/{database}"}})
    wait_until(lambda: "Connection refused" in waits(node, "source"), "it waits for the source", 30, alive=node)
    assert node.get("/healthz")[0] == 200 and node.get("/readyz")[0] == 503
    assert databases(target, database) == 0
    with TcpProxy(source.port, listen=port):
        node.wait_caught_up(60)
        assert assert_equal(source, target, database, seconds=30)[0].target_rows == 100
        assert waits(node, "source") == ""
        assert node.stop() == 0


def test_a_target_that_is_not_there_is_waited_for(source, target, database, nodes, sql):
    port = free_port()
    node = nodes(configuration={"target": {"url": f"http://127.0.0.1:{port}"}})
    wait_until(lambda: "connect" in waits(node, "target"), "it waits for the target", 30, alive=node)
    assert node.get("/healthz")[0] == 200 and node.get("/readyz")[0] == 503
    # A slot would hold back the log of a server that nobody reads.
    assert slots(source, database) == 0
    with TcpProxy(target.port, listen=port):
        node.wait_caught_up(60)
        assert_equal(source, target, database, seconds=30)
        assert waits(node, "target") == ""
        assert node.stop() == 0


def test_a_slot_in_use_is_waited_for(source, target, database, nodes, sql):
    first = nodes()
    first.wait_caught_up(60)
    second = nodes()
    wait_until(lambda: "in use by process" in waits(second, "source"), "the second node waits", 30, alive=second)
    sql("UPDATE orders SET note = 'while both run' WHERE id < 50")
    first.wait_caught_up(60)
    assert first.stop() == 0
    sql("DELETE FROM orders WHERE id < 10")
    second.wait_caught_up(60)
    assert assert_equal(source, target, database, seconds=30)[0].target_rows == 91


# -- some tables only ---------------------------------------------------------------------------------------------


def test_a_publication_without_the_table_gets_it(source, target, database, nodes, sql):
    sql("CREATE TABLE other (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE other")
    node = nodes(configuration={"source": {"publication": "p"}})
    node.wait_caught_up(60)
    assert {result.name for result in assert_equal(source, target, database, seconds=30)} == {"public.orders", "public.other"}


def test_tables_that_cannot_be_do_not_stop_the_others(source, target, database, nodes, sql):
    sql("""CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY, v text); CREATE TABLE sales_orders (id int PRIMARY KEY, v text);
        CREATE TABLE reserved (id int PRIMARY KEY, _version int);
        INSERT INTO sales.orders VALUES (1, 'sales'); INSERT INTO sales_orders VALUES (2, 'public'); INSERT INTO reserved VALUES (1, 1)""")
    node = nodes(tables=["public.*", "sales.*"])
    node.wait_caught_up(60)
    left_out = {table["table"]: table["quarantine"] for table in node.status()["tables"] if table.get("quarantine")}
    assert "_version" in left_out.pop("public.reserved")
    (loser, why), = left_out.items()
    assert "would meet" in why and loser in ("sales.orders", "public.sales_orders")
    sql("INSERT INTO orders VALUES (1000, 'more'); INSERT INTO sales.orders VALUES (3, 'sales'); INSERT INTO sales_orders VALUES (4, 'public')")
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.orders FINAL") == 101
    # The rows of one table, not of two.
    assert [row[0] for row in target.rows(f"SELECT DISTINCT v FROM `{database}`.sales_orders FINAL")] == ["public" if loser == "sales.orders" else "sales"]
