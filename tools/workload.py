"""A random workload over odd-shaped tables, for tests and chaos: a seed reproduces the statements of
each writer (their interleaving is the servers')."""

import random
import threading

import psycopg2

SCHEMA = """
CREATE TABLE accounts (id bigint PRIMARY KEY, owner text NOT NULL, balance numeric(18,4), opened timestamptz, flags int[]);
CREATE TABLE pairs (a int, b text, value double precision, note varchar(40), PRIMARY KEY (b, a));
CREATE TABLE documents (id uuid PRIMARY KEY, title text, body text, meta jsonb, version int NOT NULL);
ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
CREATE TABLE audited (id int PRIMARY KEY, state text, payload text);
ALTER TABLE audited REPLICA IDENTITY FULL;
ALTER TABLE audited ALTER payload SET STORAGE EXTERNAL;
CREATE TABLE log_lines (id bigserial PRIMARY KEY, line text, at timestamp DEFAULT clock_timestamp());
"""


class Writer:
    """One connection that runs random transactions until it is told to stop; survives server restarts."""

    def __init__(self, connect, seed):
        self.connect, self.random = connect, random.Random(seed)
        self.connection = None
        self.transactions = self.errors = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), "a writer hangs"

    def _run(self):
        while not self.stopping.is_set():
            try:
                with self._cursor() as cursor:
                    cursor.execute("SET statement_timeout = '20s'")
                    for _ in range(self.random.choice([1, 1, 2, 5, 20])):
                        getattr(self, self.random.choice(self.STATEMENTS))(cursor)
                if self.random.random() < 0.1:
                    self.connection.rollback()
                else:
                    self.connection.commit()
                self.transactions += 1
            except psycopg2.Error:
                self._recover()
                self.stopping.wait(0.05)

    def _cursor(self):
        if self.connection is None or self.connection.closed:
            self.connection = self.connect()
        return self.connection.cursor()

    def _recover(self):
        self.errors += 1
        try:
            self.connection and self.connection.rollback()
        except psycopg2.Error:
            self.connection = None

    STATEMENTS = ("account", "account", "many_accounts", "pair", "pair", "document", "document", "document", "audit", "audit", "line",
                  "savepoint", "remove")

    def account(self, cursor):
        i = self.random.randrange(3000)
        cursor.execute("""INSERT INTO accounts VALUES (%s, %s, %s, now(), %s) ON CONFLICT (id) DO UPDATE
            SET balance = accounts.balance + 1.0001, flags = accounts.flags || 1""",
                       (i, "owner " + "x" * self.random.randrange(20), self.random.randrange(10**9) / 7, [i, None, -i]))
        if self.random.random() < 0.2:
            cursor.execute("UPDATE accounts SET id = id + 100000 WHERE id = %s AND NOT EXISTS (SELECT FROM accounts WHERE id = %s)", (i, i + 100000))

    def many_accounts(self, cursor):
        low = self.random.randrange(3000)
        cursor.execute("UPDATE accounts SET balance = balance * 0.5 WHERE id BETWEEN %s AND %s", (low, low + 200))

    def pair(self, cursor):
        a, b = self.random.randrange(40), self.random.choice(["", "ä'\\", "b\tc\nd", "'", "日本"])
        cursor.execute("INSERT INTO pairs VALUES (%s, %s, %s, %s) ON CONFLICT (b, a) DO UPDATE SET value = EXCLUDED.value, a = pairs.a + 1000",
                       (a, b, self.random.choice([0.1, float("nan"), -0.0, 1e300]), "n" * self.random.randrange(40)))

    def document(self, cursor):
        i = self.random.randrange(200)
        key = f"00000000-0000-4000-8000-{i:012d}"
        if self.random.random() < 0.3:
            body = "".join(self.random.choice("abcdefghij") for _ in range(50)) * self.random.randrange(60, 400)
            cursor.execute("""INSERT INTO documents VALUES (%s, 't', %s, '{"a": [1, null]}', 0) ON CONFLICT (id) DO UPDATE
                SET body = EXCLUDED.body, version = documents.version + 1""", (key, body))
        elif self.random.random() < 0.1:
            other = f"00000000-0000-4000-8000-{self.random.randrange(200, 400):012d}"
            cursor.execute("UPDATE documents SET id = %s WHERE id = %s AND NOT EXISTS (SELECT FROM documents WHERE id = %s)", (other, key, other))
        else:
            cursor.execute("UPDATE documents SET title = %s, version = version + 1 WHERE id = %s", (f"title {self.random.random()}", key))

    def audit(self, cursor):
        i = self.random.randrange(100)
        cursor.execute("INSERT INTO audited VALUES (%s, 'new', repeat(md5(%s::text), 300)) ON CONFLICT (id) DO UPDATE SET state = %s",
                       (i, self.random.random(), f"s{self.random.randrange(9)}"))

    def line(self, cursor):
        cursor.execute("INSERT INTO log_lines (line) SELECT 'line ' || g FROM generate_series(1, %s) g", (self.random.choice([1, 10, 500]),))

    def savepoint(self, cursor):
        cursor.execute("SAVEPOINT s")
        self.account(cursor)
        self.pair(cursor)
        cursor.execute(self.random.choice(["ROLLBACK TO s", "RELEASE s"]))

    def remove(self, cursor):
        cursor.execute("DELETE FROM accounts WHERE id %% 50 = %s", (self.random.randrange(50),))
        cursor.execute("DELETE FROM pairs WHERE a %% 7 = %s", (self.random.randrange(7),))
        cursor.execute("DELETE FROM documents WHERE id = %s", (f"00000000-0000-4000-8000-{self.random.randrange(400):012d}",))
        cursor.execute("DELETE FROM audited WHERE id = %s", (self.random.randrange(100),))
