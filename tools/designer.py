"""Random changes of the schema beside the random workload of workload.py, each in a transaction with rows of
the old and the new shape; for tests and chaos. All of it can be followed without anybody's help."""

import random
import time

import psycopg2

from workload import Writer

SCHEMA = """
CREATE TYPE mood AS ENUM ('calm', 'glad');
CREATE TABLE shapes (id serial PRIMARY KEY, mood mood DEFAULT 'calm', small smallint DEFAULT 1, short varchar(10) DEFAULT 'x',
  price numeric(8, 2) DEFAULT 1.5, ratio real DEFAULT 0.5);
INSERT INTO shapes (small) SELECT g FROM generate_series(1, 500) g;
CREATE TABLE side (id serial PRIMARY KEY, note text);
"""


class Designer(Writer):
    """A writer whose transactions change tables, too. Gives way to whoever holds a lock."""

    PAUSE = 0.4

    def __init__(self, connect, seed):
        super().__init__(connect, seed)
        self.number = 0
        self.done = {}

    def _run(self):
        while not self.stopping.wait(self.random.random() * self.PAUSE):
            change = self.random.choice(self.CHANGES)
            try:
                with self._cursor() as cursor:
                    cursor.execute("SET statement_timeout = '20s'; SET lock_timeout = '2s'")
                    getattr(self, change)(cursor)
                self.connection.commit()
                self.transactions += 1
                self.done[change] = self.done.get(change, 0) + 1
            except psycopg2.Error:
                self._recover()

    CHANGES = ("add_column", "add_column", "drop_column", "rename_column", "widen", "enum", "truncate", "table", "rows", "rows",
               "rewrite", "prepared", "nullability", "identity", "large", "message", "partition")

    def _columns(self, cursor, prefix="c"):
        cursor.execute("SELECT attname FROM pg_attribute WHERE attrelid = 'shapes'::regclass AND attnum > 0 AND NOT attisdropped"
                       " AND attname LIKE %s ORDER BY attnum", (prefix + "%",))
        return [name for name, in cursor.fetchall()]

    def _name(self, prefix):
        self.number += 1
        return f"{prefix}{self.number}_{self.random.randrange(1000)}"

    def rows(self, cursor):
        cursor.execute("INSERT INTO shapes (small) SELECT g FROM generate_series(1, %s) g", (self.random.randrange(1, 30),))
        cursor.execute("UPDATE shapes SET ratio = ratio + 1 WHERE id %% 20 = %s", (self.random.randrange(20),))
        cursor.execute("DELETE FROM shapes WHERE id %% 90 = %s", (self.random.randrange(90),))
        for name in self._columns(cursor)[:2]:
            cursor.execute(f"UPDATE shapes SET {name} = 5 WHERE id %% 15 = %s", (self.random.randrange(15),))

    def add_column(self, cursor):
        if len(self._columns(cursor)) > 6:
            return self.drop_column(cursor)
        self.rows(cursor)
        default = self.random.choice(["", " DEFAULT 7", " DEFAULT (random() * 100)::int", " NOT NULL DEFAULT 3"])
        cursor.execute(f"ALTER TABLE shapes ADD COLUMN {self._name('c')} int{default}")
        self.rows(cursor)

    def drop_column(self, cursor):
        for name in self._columns(cursor)[:1]:
            self.rows(cursor)
            cursor.execute(f"ALTER TABLE shapes DROP COLUMN {name}")
            self.rows(cursor)

    def rename_column(self, cursor):
        for name in self._columns(cursor)[:1]:
            cursor.execute(f"ALTER TABLE shapes RENAME COLUMN {name} TO {self._name('c')}")
            self.rows(cursor)

    def widen(self, cursor):
        self.rows(cursor)
        cursor.execute(self.random.choice([
            "ALTER TABLE shapes ALTER small TYPE int", "ALTER TABLE shapes ALTER small TYPE bigint", "ALTER TABLE shapes ALTER short TYPE varchar(40)",
            "ALTER TABLE shapes ALTER short TYPE text", "ALTER TABLE shapes ALTER price TYPE numeric(12, 2)",
            "ALTER TABLE shapes ALTER ratio TYPE double precision"]))
        self.rows(cursor)

    def enum(self, cursor):
        cursor.execute("SELECT enumlabel FROM pg_enum WHERE enumtypid = 'mood'::regtype ORDER BY random() LIMIT 1")
        label = cursor.fetchone()[0]
        if self.random.random() < 0.5:
            cursor.execute(f"ALTER TYPE mood RENAME VALUE '{label}' TO '{self._name('mood')}'")
        else:
            cursor.execute(f"ALTER TYPE mood ADD VALUE '{self._name('mood')}'")
        self.connection.commit()  # a new label cannot be used before
        cursor.execute("UPDATE shapes SET mood = (SELECT enumlabel FROM pg_enum WHERE enumtypid = 'mood'::regtype ORDER BY random() LIMIT 1)::mood"
                       " WHERE id % 10 = 1")

    def truncate(self, cursor):
        cursor.execute(self.random.choice(["TRUNCATE side", "TRUNCATE side, log_lines RESTART IDENTITY", "TRUNCATE log_lines CASCADE"]))
        cursor.execute("INSERT INTO side (note) SELECT 'after' FROM generate_series(1, 20)")
        if self.random.random() < 0.3:
            cursor.execute("TRUNCATE side")

    def table(self, cursor):
        cursor.execute("SELECT relname FROM pg_class WHERE relname LIKE 'extra%%' AND relkind = 'r' ORDER BY oid")
        there = [name for name, in cursor.fetchall()]
        if len(there) > 4 or (there and self.random.random() < 0.2):
            name = self.random.choice(there)
            cursor.execute(f"DROP TABLE {name}")
            if self.random.random() < 0.5:
                cursor.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text); INSERT INTO {name} VALUES (1, 'again')")
        else:
            name = self._name("extra")
            cursor.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v text); INSERT INTO {name} SELECT g, 'new' FROM generate_series(1, 50) g")
        for name in there[:2]:
            cursor.execute("SELECT to_regclass(%s)", (name,))
            if cursor.fetchone()[0]:
                cursor.execute(f"UPDATE {name} SET v = v || '.' WHERE id % 3 = 0")

    def rewrite(self, cursor):
        self.connection.commit()
        self.connection.autocommit = True
        try:
            cursor.execute(self.random.choice(["VACUUM FULL shapes", "VACUUM FULL side", "REINDEX TABLE shapes", "CLUSTER shapes USING shapes_pkey"]))
        finally:
            self.connection.autocommit = False

    def prepared(self, cursor):
        self.connection.commit()
        name = self._name("p")
        cursor.execute("BEGIN; INSERT INTO side (note) SELECT 'prepared' FROM generate_series(1, 5); PREPARE TRANSACTION %s", (name,))
        time.sleep(self.random.random() * 0.3)
        # It outlives a crash of the server: whoever comes next ends it.
        self.connection.rollback()
        self.end_prepared()

    def end_prepared(self):
        self.connection.rollback()
        self.connection.autocommit = True
        try:
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()")
                for gid, in cursor.fetchall():
                    cursor.execute(("COMMIT" if self.random.random() < 0.7 else "ROLLBACK") + " PREPARED %s", (gid,))
        finally:
            self.connection.autocommit = False

    def nullability(self, cursor):
        self.rows(cursor)
        cursor.execute("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'shapes'::regclass AND attname = 'price'")
        if cursor.fetchone()[0]:
            cursor.execute("ALTER TABLE shapes ALTER price DROP NOT NULL; UPDATE shapes SET price = NULL WHERE id % 30 = 2")
        else:
            cursor.execute("UPDATE shapes SET price = 0 WHERE price IS NULL; ALTER TABLE shapes ALTER price SET NOT NULL")

    def identity(self, cursor):
        cursor.execute("ALTER TABLE shapes REPLICA IDENTITY " + self.random.choice(["FULL", "DEFAULT"]))
        self.rows(cursor)

    def large(self, cursor):
        cursor.execute("INSERT INTO side (note) SELECT repeat('n', 20) FROM generate_series(1, 20000)")
        if self.random.random() < 0.5:
            self.connection.rollback()
        else:
            cursor.execute("DELETE FROM side WHERE id % 100 > 2")

    def message(self, cursor):
        cursor.execute("SELECT pg_logical_emit_message(%s, 'chaos', repeat('m', %s))", (self.random.random() < 0.5, self.random.randrange(5000)))
        cursor.execute("SET LOCAL session_replication_role = replica")
        self.rows(cursor)

    def partition(self, cursor):
        cursor.execute("SELECT to_regclass('parted')")
        if not cursor.fetchone()[0]:
            cursor.execute("CREATE TABLE parted (id int, k int, v text, PRIMARY KEY (k, id)) PARTITION BY LIST (k);"
                           " CREATE TABLE parted_0 PARTITION OF parted FOR VALUES IN (0); CREATE TABLE parted_rest PARTITION OF parted DEFAULT")
        cursor.execute("INSERT INTO parted SELECT %s + g, g %% 3, 'p' FROM generate_series(1, 20) g ON CONFLICT DO NOTHING",
                       (self.random.randrange(10**6),))
        cursor.execute("UPDATE parted SET k = (k + 1) %% 3 WHERE id %% 7 = %s", (self.random.randrange(7),))
