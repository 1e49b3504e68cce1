"""The README's quick start as it is written: the grants that it names are enough, and none is left out."""

import os
import re

import pytest

from millrace_compare import assert_equal
from millrace_servers import PROJECT


class QuickStart:
    """The README's three blocks of statements for PostgreSQL, without comments."""

    def __init__(self):
        with open(os.path.join(PROJECT, "README.md"), encoding="utf-8") as file:
            section = re.search(r"(?s)### 2\. Grants in PostgreSQL.*?(?=\n### 3\.)", file.read()).group(0)
        blocks = [[statement.strip() for statement in re.sub(r"(?m)--.*$", "", block).split(";") if statement.strip()]
                  for block in re.findall(r"(?s)```sql\n(.*?)```", section)]
        self.grants, self.publications, self.membership = blocks


@pytest.fixture(scope="module")
def readme():
    return QuickStart()


@pytest.fixture
def shop(source, database):
    """The application's tables, owned by the application."""
    source.execute("""CREATE ROLE shop_owner;
        CREATE TABLE customers (id int PRIMARY KEY, name text); CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers);
        CREATE TABLE events (at timestamptz, what text);
        ALTER TABLE customers OWNER TO shop_owner; ALTER TABLE orders OWNER TO shop_owner; ALTER TABLE events OWNER TO shop_owner;
        GRANT CREATE, USAGE ON SCHEMA public TO shop_owner;
        INSERT INTO customers SELECT g, 'customer ' || g FROM generate_series(1, 100) g""", database=database)
    yield
    # In one go PostgreSQL stumbles over the default privileges that belong to both.
    source.execute("DROP OWNED BY shop_owner", database=database)
    source.execute("DROP OWNED BY millrace", database=database)
    source.execute("DROP ROLE shop_owner, millrace")


def start(source, nodes, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    return lambda database: nodes(pipeline="shop", start=False, configuration={"source": {
        "uri": f"postgresql://millrace@127.0.0.1:{source.port}/{database}", "password-file": str(secret)}})


def work(source, database):
    source.execute("""SET ROLE shop_owner; INSERT INTO customers VALUES (1000, 'new'); UPDATE customers SET name = 'changed' WHERE id < 10;
        DELETE FROM customers WHERE id = 50; INSERT INTO orders VALUES (1, 1000); INSERT INTO events VALUES (now(), 'a'), (now(), 'a')""",
                   database=database)


def test_the_grants_are_enough(source, target, database, nodes, shop, readme, tmp_path):
    for statement in readme.grants + readme.publications:
        source.execute(statement, database=database)
    node = start(source, nodes, tmp_path)(database)
    code, output, errors = node.command("check")
    assert code == 0, output + errors
    node.start()
    work(source, database)
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)
    source.execute("SET ROLE shop_owner; UPDATE customers SET name = NULL", database=database)  # the application is not disturbed


def test_publications_can_be_left_to_millrace_if_it_owns_the_tables(source, target, database, nodes, shop, readme, tmp_path):
    for statement in readme.grants + readme.membership:
        source.execute(statement.replace("ON DATABASE shop", f'ON DATABASE "{database}"'), database=database)
    node = start(source, nodes, tmp_path)(database)
    node.start()
    work(source, database)
    node.wait_caught_up()
    assert_equal(source, target, database, seconds=20)


@pytest.mark.parametrize("left_out", ["LOGIN REPLICATION", "GRANT SELECT ON ALL", "GRANT USAGE"])
def test_each_of_them_is_needed(source, database, nodes, shop, readme, tmp_path, left_out):
    source.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC", database=database)
    for statement in readme.grants + readme.publications:
        if left_out not in statement:
            source.execute(statement, database=database)
        elif "CREATE ROLE" in statement:
            source.execute(statement.replace("REPLICATION", "NOREPLICATION"), database=database)
    node = start(source, nodes, tmp_path)(database)
    code, output, errors = node.command("check")
    assert code == 1, f"check finds nothing wrong:\n{output}{errors}"
    assert re.search(r"(?i)replication|select|usage|permission", output + errors)
