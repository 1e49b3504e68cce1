"""Transactions that end long after they began, and rows that several transformers of one table share."""

import random

import pytest

from millrace_servers import wait_until
from workload import SCHEMA, Writer


@pytest.fixture
def prepare(source, database):
    """Prepares a transaction of these statements and returns its name. What is left at the end is rolled back."""
    names = []

    def prepared(statements):
        name = f"{database}_{len(names)}"
        connection = source.connect(database, autocommit=False)
        with connection.cursor() as cursor:
            cursor.execute(statements)
            cursor.execute(f"PREPARE TRANSACTION '{name}'")
        connection.close()
        names.append(name)
        return name

    yield prepared
    if not source.running():
        source.start()
    left = source.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", (database,))
    for name, in left:
        source.execute(f"ROLLBACK PREPARED '{name}'", database=database)


TABLE = """CREATE TABLE t (id int PRIMARY KEY, v text, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
    INSERT INTO t SELECT g, 'first', repeat('x', 5000) FROM generate_series(1, 100) g"""


# -- two phases -------------------------------------------------------------------------------------------------


def test_prepared_transactions_come_when_they_are_committed(source, target, database, nodes, sql, prepare, same):
    sql(TABLE)
    node = nodes()
    node.wait_caught_up(60)
    kept = prepare("UPDATE t SET v = 'prepared' WHERE id <= 10; INSERT INTO t VALUES (1000, 'prepared', 'b'); DELETE FROM t WHERE id = 20")
    lost = prepare("UPDATE t SET v = 'never' WHERE id BETWEEN 31 AND 40; INSERT INTO t VALUES (2000, 'never', 'b')")
    sql("UPDATE t SET v = 'between' WHERE id BETWEEN 50 AND 60")
    assert same(node)[0].target_rows == 100
    sql(f"ROLLBACK PREPARED '{lost}'")
    sql(f"COMMIT PREPARED '{kept}'")
    assert same(node)[0].target_rows == 100
    # The version is that of COMMIT PREPARED, not of PREPARE: later than what came between.
    rows = f"SELECT _version FROM `{database}`.t FINAL WHERE id = "
    assert int(target.value(rows + "1000")) > int(target.value(rows + "50"))


@pytest.mark.parametrize("restart, end", [("stop", "COMMIT"), ("kill", "COMMIT"), ("source", "COMMIT"), ("kill", "ROLLBACK")])
def test_prepared_across_a_restart(source, target, database, nodes, sql, prepare, end, restart, same):
    sql(TABLE)
    node = nodes()
    node.wait_caught_up(60)
    name = prepare("UPDATE t SET v = 'prepared' WHERE id <= 50; UPDATE t SET id = id + 1000 WHERE id > 90; INSERT INTO t VALUES (500, 'new', 'b')")
    sql("UPDATE t SET v = 'others' WHERE id BETWEEN 60 AND 70")
    node.wait_caught_up(60)
    if restart == "stop":
        assert node.stop() == 0
    elif restart == "kill":
        node.kill()
    else:
        source.kill()
        source.start()
    sql("UPDATE t SET v = 'meanwhile' WHERE id BETWEEN 60 AND 65")
    if restart != "source":
        node.start()
    node.wait_caught_up(60)
    sql(f"{end} PREPARED '{name}'")
    sql("UPDATE t SET v = v || ' and after' WHERE id BETWEEN 1 AND 5")
    assert same(node)[0].target_rows == (101 if end == "COMMIT" else 100)


def test_a_prepared_transaction_is_waited_for_by_snapshots(source, target, database, nodes, sql, prepare, same):
    """What it wrote before its table was published is in no stream, though it commits later."""
    sql(TABLE)
    node = nodes()
    node.wait_caught_up(60)
    sql("CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late SELECT g, 'first' FROM generate_series(1, 10) g")
    name = prepare("UPDATE late SET v = 'prepared' WHERE id <= 5; INSERT INTO late VALUES (11, 'prepared'); DELETE FROM late WHERE id = 10")
    wait_until(lambda: "transactions" in node.status()["waits"], "the snapshot waits for the transaction", 60, alive=node)
    sql("UPDATE t SET v = 'meanwhile' WHERE id = 1")
    wait_until(lambda: target.value(f"SELECT v FROM `{database}`.t FINAL WHERE id = 1") == "meanwhile", "the stream goes on", 30, alive=node)
    sql(f"COMMIT PREPARED '{name}'")
    results = {result.name: result.target_rows for result in same(node)}
    assert results == {"public.t": 100, "public.late": 10}


# -- shards -------------------------------------------------------------------------------------------------------


def test_shards_of_a_table_under_a_random_workload(source, target, database, nodes, sql, same):
    """Keys that move from one shard to another, truncates, unchanged values, a stop and a kill -9."""
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    sql(SCHEMA)
    sql("INSERT INTO accounts SELECT g, 'first', g, now(), '{}' FROM generate_series(1, 3000) g")
    node = nodes(configuration={"target": {"transformer-shards": 4}})
    writers = [Writer(lambda number=number: source.connect(database, autocommit=False), seed + number).start() for number in range(4)]
    try:
        for restart in (lambda: node.stop(), lambda: node.kill()):
            before = sum(writer.transactions for writer in writers)
            wait_until(lambda: sum(writer.transactions for writer in writers) > before + 150, "some transactions", 60)
            sql("TRUNCATE log_lines")
            restart()
            wait_until(lambda: sum(writer.transactions for writer in writers) > before + 200, "some transactions", 60)
            node.start()
    finally:
        for writer in writers:
            writer.stop()
    node.wait_caught_up(120)
    results = {result.name: result.target_rows for result in same(node)}
    assert results["public.accounts"] > 0 and results["public.documents"] > 0
