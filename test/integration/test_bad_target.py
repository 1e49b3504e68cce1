"""A target that refuses, is full, loses answers, or has settings of its own."""

import os
import subprocess

import pytest

from millrace_compare import assert_equal
from millrace_servers import wait_until
from target_proxy import TargetProxy


@pytest.fixture
def shop(source, database):
    source.execute("CREATE TABLE orders (id bigint PRIMARY KEY, note text); INSERT INTO orders SELECT g, 'n' || g FROM generate_series(1, 100) g",
                   database=database)
    return lambda sql: source.execute(sql, database=database)


@pytest.fixture
def proxy(target):
    with TargetProxy(target) as it:
        yield it


@pytest.fixture
def through(nodes, proxy):
    """Nodes whose target is behind the proxy."""
    def make(start=True, target=None, **options):
        return nodes(start=start, configuration={"target": {"url": proxy.url, **(target or {})}}, **options)
    return make


def stops(node, *expected):
    """check says it and run ends with it, both with exit code 1."""
    code, out, err = node.command("check")
    assert (code, err) == (1, ""), out + err
    for text in expected:
        assert text in out, out
    code, _, err = node.command("run", seconds=30)
    last = [line for line in err.splitlines() if " error " in line]
    assert code == 1 and last, err
    return last[-1]


# -- who may not ------------------------------------------------------------------------------------


def test_database_that_may_not_be_created(target, database, through, proxy, shop):
    denied = "node: Not enough privileges. To execute this query, it's necessary to have the grant CREATE DATABASE. (ACCESS_DENIED)"
    proxy.refuse("CREATE DATABASE", 497, denied)
    node = through(start=False)
    code, _, err = node.command("run", seconds=30)
    last = [line for line in err.splitlines() if " error " in line][-1]
    assert code == 1 and "target_refused" in last and "CREATE DATABASE" in last and "grant the user what is named" in last, err
    assert target.value(f"SELECT count() FROM system.databases WHERE name = '{database}'") == 0


@pytest.mark.parametrize("code, text", [(516, "node: Authentication failed"), (192, "There is no user node"), (497, "node: Not enough privileges")])
def test_inserts_that_are_refused_end_the_node_and_make_no_dead_letters(code, text, target, database, through, proxy, shop):
    node = through()
    node.wait_caught_up(60)
    proxy.refuse("INSERT INTO .*orders", code, text)
    shop("INSERT INTO orders VALUES (101, 'x')")
    assert node.process.wait(30) == 1
    with open(node.log_path) as log:
        assert text in log.read()
    proxy.refusals.clear()
    node.start()
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.orders FINAL") == 101
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 0


def test_read_only_user_of_a_database_that_exists(stage, source, database, shop):
    users = os.path.join(stage.folder, "some-users")
    with open(users, "w") as file:
        file.write("node right\nreader right readonly\n")
    guarded = stage.olap(name="some", arguments=["--users-file", users], start=False).start()

    def node_of(user, password="right"):
        return stage.node(source, guarded, database=database, pipeline=database, start=False, configuration={"target": {"user": user}},
                          environment={"MILLRACE_TARGET_PASSWORD": password})
    node = node_of("node")
    try:
        node.start()
        node.wait_caught_up(60)
        node.stop()
        last = stops(node_of("reader"), 'user "reader": it may only read')
        assert "readonly" in last, last
        last = stops(node_of("node", "wrong"), "target: ", "check [target] user and the password: MILLRACE_TARGET_PASSWORD")
        assert "target_refused" in last, last
    finally:
        node.stop()
        guarded.stop()


@pytest.mark.parametrize("kind, said", [("missing", "No such file"), ("folder", "is no file"), ("empty", "is empty"), ("two lines", "more than one line")])
def test_password_file_that_cannot_be_used(kind, said, stage, nodes, shop):
    path = os.path.join(stage.folder, f"password-{kind.replace(' ', '-')}")
    if kind == "folder":
        os.makedirs(path, exist_ok=True)
    elif kind != "missing":
        with open(path, "w") as file:
            file.write("" if kind == "empty" else "one\ntwo\n")
    node = nodes(start=False, configuration={"target": {"password-file": path}})
    for command in ("run", "check", "dlq"):
        code, out, err = node.command(command, *(["list"] if command == "dlq" else []))
        assert code == 2 and out == "" and path in err and "target.password-file" in err, err
        assert kind == "folder" or said in err, err


# -- what passes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [159, 236, 241, 252, 394, 999, 1001])
def test_refusals_that_pass_are_waited_for(code, target, database, through, proxy, shop):
    node = through()
    node.wait_caught_up(60)
    proxy.refuse("INSERT INTO .*orders", code, "come back later")
    shop("INSERT INTO orders VALUES (101, 'x')")
    wait_until(lambda: "come back later" in str(node.status()["waits"]), "the node says that it waits", 30, alive=node)
    proxy.refusals.clear()
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.orders FINAL") == 101
    assert node.status()["restarts"] == 0 and not node.status()["waits"]
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 0


def test_full_disk(stage, source, database, shop):
    small = stage.olap(name="small", start=False)
    os.makedirs(small.data)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192m", "tmpfs", small.data], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a file system")
    node = None
    try:
        small.start()
        node = stage.node(source, small, database=database, pipeline=database)
        node.wait_caught_up(60)
        filler = os.path.join(small.data, "filler")
        free = os.statvfs(small.data)
        with open(filler, "wb") as file:
            left = free.f_bavail * free.f_frsize
            while left > 0:
                try:
                    left -= os.write(file.fileno(), b"x" * min(left, 1 << 20))
                except OSError:
                    break
        shop("INSERT INTO orders SELECT g, repeat('y', 100) FROM generate_series(1001, 3000) g; UPDATE orders SET note = 'z' WHERE id <= 50")
        wait_until(lambda: "disk" in str(node.status()["waits"]), "the node says that the disk is full", 60, alive=node)
        assert node.get("/readyz")[0] == 503
        os.unlink(filler)
        node.wait_caught_up(120)
        assert_equal(source, small, database, seconds=60)
        assert small.value(f"SELECT count() FROM `{database}`._dead_letters") == 0
        assert node.status()["restarts"] == 0
    finally:
        if node:
            node.stop(seconds=12)
        small.stop()
        subprocess.run(["umount", "-l", small.data], check=True)


# -- answers that are lost ---------------------------------------------------------------------------


def test_an_insert_whose_answer_was_lost_is_ended_before_it_is_repeated(source, target, database, through, proxy, shop):
    node = through()
    node.wait_caught_up(60)
    del proxy.statements[:]
    proxy.lose = "INSERT INTO .*orders"
    shop("INSERT INTO orders SELECT g, 'late' FROM generate_series(101, 200) g")
    node.wait_caught_up(60)
    inserts = proxy.seen("INSERT INTO .*orders")
    kills = proxy.seen("KILL QUERY WHERE query_id")
    # The HTTP library may have repeated the request by itself, under its ID.
    first = inserts[0][0]
    again = [insert for insert in inserts if insert[0] != first]
    assert again and len(kills) == 1 and first in kills[0][1], (inserts, kills)
    order = [proxy.statements.index(one) for one in (inserts[0], kills[0], again[0])]
    assert order == sorted(order) and all(insert[0] != first for insert in proxy.statements[order[1]:]), inserts
    wait_until(lambda: proxy.late is not None, "the server has answered the first one", 30)
    # It came to nothing: each row is there once, even without FINAL.
    assert target.value(f"SELECT count() FROM `{database}`.orders WHERE id > 100") == 100, proxy.late
    shop("TRUNCATE orders")
    node.wait_caught_up(60)
    assert_equal(source, target, database, seconds=30)


# -- settings of the user's -------------------------------------------------------------------------


def test_settings_of_the_users_profile_do_not_matter(source, target, database, through, proxy, shop):
    proxy.profile = {"async_insert": "1", "wait_for_async_insert": "0", "async_insert_busy_timeout_ms": "60000",
                     "async_insert_busy_timeout_min_ms": "60000", "async_insert_busy_timeout_max_ms": "60000", "async_insert_max_data_size": "1000000000",
                     "insert_deduplicate": "1", "input_format_null_as_default": "1", "insert_null_as_default": "1",
                     "max_partitions_per_insert_block": "1", "max_insert_block_size": "10", "wait_end_of_query": "0",
                     "final": "1", "limit": "3", "max_result_rows": "0", "join_use_nulls": "1", "transform_null_in": "1"}
    own = "_version UInt128, _deleted UInt8, _committed_at DateTime64(6, 'UTC'), _lsn UInt64 ALIAS toUInt64(bitShiftRight(_version, 64))"
    target.query(f"CREATE DATABASE `{database}`")
    target.query(f"CREATE TABLE `{database}`.orders (id Int64, note Nullable(String), {own}) ENGINE = ReplacingMergeTree(_version, _deleted) "
                 "PARTITION BY id % 50 ORDER BY id SETTINGS non_replicated_deduplication_window = 100")
    shop("CREATE TABLE docs (id int PRIMARY KEY, n int, body text); ALTER TABLE docs ALTER body SET STORAGE EXTERNAL; "
         "INSERT INTO docs SELECT id, NULL, (SELECT string_agg(md5(g::text || id), '') FROM generate_series(1, 200) g) FROM generate_series(1, 20) id")
    node = through()
    node.wait_caught_up(60)
    assert target.value(f"SELECT count() FROM `{database}`.orders FINAL") == 100
    shop("UPDATE orders SET note = NULL WHERE id <= 10; UPDATE docs SET n = id; DELETE FROM orders WHERE id > 90; DELETE FROM docs WHERE id = 3")
    node.wait_caught_up(60)
    # What was confirmed is there at once.
    assert_equal(source, target, database)
    shop("TRUNCATE orders; INSERT INTO orders SELECT g, NULL FROM generate_series(1, 70) g; INSERT INTO docs VALUES (100, NULL, NULL)")
    node.kill()
    node.start()
    node.wait_caught_up(60)
    assert_equal(source, target, database)
    assert target.value(f"SELECT count() FROM `{database}`._dead_letters") == 0


# -- what an existing table does with its rows ---------------------------------------------------------------------------


def test_an_existing_table_with_values_that_expire(target, database, nodes, shop):
    own = "_version UInt128, _deleted UInt8, _committed_at DateTime64(6, 'UTC'), _lsn UInt64 ALIAS toUInt64(bitShiftRight(_version, 64))"
    target.query(f"CREATE DATABASE `{database}`")
    target.query(f"CREATE TABLE `{database}`.orders (id Int64, note Nullable(String) TTL toDateTime(_committed_at) + INTERVAL 1 DAY, {own}) "
                 "ENGINE = ReplacingMergeTree(_version, _deleted) ORDER BY id")
    node = nodes(start=False)
    code, out, _ = node.command("check")
    assert code == 0 and "would be quarantined" in out and 'column "note" has TTL toDateTime(_committed_at) + toIntervalDay(1)' in out, out
    target.query(f"ALTER TABLE `{database}`.orders MODIFY COLUMN note REMOVE TTL")
    code, out, _ = node.command("check")
    assert code == 0, out
