"""`millrace olap` as a process: start, what keeps it from starting, memory, stop, kill -9."""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from millrace_servers import millrace_binary, wait_until
from olap_fixtures import raw, request, resident_mb


def run(*arguments, environment=None, timeout=60):
    """`millrace olap` with arguments with which it must end by itself: exit code and what it said."""
    command = [millrace_binary(), "olap", *map(str, arguments)]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          env={**os.environ, **(environment or {})})
    return done.returncode, done.stderr


def one_line(said):
    """The message: one line, however libchdb complains above it."""
    lines = [line for line in said.splitlines() if line.startswith("millrace")]
    assert len(lines) == 1, said
    return lines[0]


# -- what keeps it from starting --------------------------------------------------------------------

def test_port_taken(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, said = run("--data-dir", tmp_path / "d", "--listen", f"127.0.0.1:{port}")
    assert code == 1
    assert f"127.0.0.1:{port}" in one_line(said) and "in use" in said
    assert not (tmp_path / "d").exists()  # nothing is half done


def test_data_folder_in_use(target):
    code, said = run("--data-dir", target.data, "--listen", "127.0.0.1:0")
    assert code == 1
    assert target.data in one_line(said) and f"PID {target.process.pid}" in said
    assert request(target, "SELECT 1").text == "1\n"


def test_data_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "d", "/proc/none"):
        code, said = run("--data-dir", folder, "--listen", "127.0.0.1:0")
        assert code == 1 and str(folder) in one_line(said)


@pytest.mark.skipif(os.getuid() != 0, reason="needs another user")
def test_data_folder_not_writable(stage):
    folder = os.path.join(stage.folder, "readonly")
    os.mkdir(folder, 0o755)
    library = os.path.join(stage.folder, "libchdb.so")
    open(library, "w").close()
    program = shutil.copy(millrace_binary(), stage.folder)  # where another user can reach it
    command = [program, "olap", "--data-dir", folder, "--listen", "127.0.0.1:0", "--library", library]
    done = subprocess.run(command, text=True, stderr=subprocess.PIPE, timeout=60, user="nobody", cwd="/")
    assert done.returncode == 1 and "not writable" in one_line(done.stderr) and folder in done.stderr


def test_libchdb_missing_or_of_the_wrong_kind(tmp_path):
    arguments = ("--data-dir", tmp_path / "d", "--listen", "127.0.0.1:0")
    missing = str(tmp_path / "missing.so")
    code, said = run(*arguments, "--library", missing)
    assert code == 1 and missing in one_line(said) and "make build" in said
    code, said = run(*arguments, environment={"MILLRACE_LIBCHDB": missing})
    assert code == 1 and missing in one_line(said)
    text = tmp_path / "text.so"
    text.write_text("no library\n")
    code, said = run(*arguments, "--library", text)
    assert code == 1 and "cannot load" in one_line(said) and str(text) in said
    # A library without the C interface, as the one of the Python wheel.
    other = next(path for path in ("/lib/x86_64-linux-gnu/libz.so.1", "/lib/aarch64-linux-gnu/libz.so.1") if os.path.exists(path))
    code, said = run(*arguments, "--library", other)
    assert code == 1 and "chdb_" in one_line(said) and other in said


def test_bad_arguments(tmp_path):
    folder = ("--data-dir", tmp_path / "d")
    bad_users = tmp_path / "users"
    bad_users.write_text("only-a-name\n")
    for arguments, words in [
        ((), "--data-dir"),
        ((*folder, "--listen", "8123"), "8123"),
        ((*folder, "--listen", "0.0.0.0:0"), "--users-file"),
        ((*folder, "--listen", "[::]:0"), "--users-file"),
        ((*folder, "--users-file", bad_users), ":1:"),
        ((*folder, "--users-file", tmp_path / "none"), "none"),
        ((*folder, "--nothing"), "--nothing"),
    ]:
        code, said = run(*arguments)
        assert code == 2 and words in one_line(said), said


def test_other_addresses_with_a_users_file(stage, tmp_path):
    users = tmp_path / "users"
    users.write_text("u p\n")
    log = open(tmp_path / "out", "w+")
    process = subprocess.Popen([millrace_binary(), "olap", "--data-dir", tmp_path / "d", "--listen", "0.0.0.0:0", "--users-file", users],
                               stdout=log, text=True)
    try:
        found = wait_until(lambda: re.search(r"listening on http://0\.0\.0\.0:(\d+)\n", open(log.name).read()), "it is ready")

        class Server:
            host, port = "127.0.0.1", int(found.group(1))

        me = {"X-ClickHouse-User": "u", "X-ClickHouse-Key": "p"}
        assert request(Server, "SELECT 1", headers={**me, "Host": "any.name"}).text == "1\n"
        assert request(Server, "SELECT 1", headers={**me, "Host": "any.name", "Origin": "http://evil.example"}).status == 403
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


# -- memory -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("sql", [
    "SELECT number, repeat('x', 1000) FROM numbers(10000000)",
    "SELECT * FROM wide",
    "SELECT * FROM wide FORMAT Native",
    "SELECT * FROM wide FORMAT JSON",
    # Wide by a function: the engine does not know it beforehand.
    "SELECT number, repeat('x', 50000) FROM numbers(1000000)",
    "SELECT number, repeat('x', 50000) FROM numbers(1000000) FORMAT XML",
    "SELECT id, repeat(s, 3) FROM wide FORMAT CSVWithNames",
])
def test_a_slow_reader_of_wide_rows_does_not_make_it_grow(stage, sql):
    olap = stage.olap(name="wide")
    request(olap, "CREATE TABLE IF NOT EXISTS wide (id UInt64, s String) ENGINE = MergeTree ORDER BY id")
    if request(olap, "SELECT count() FROM wide").text == "0\n":  # no more parts: merges take memory
        request(olap, "INSERT INTO wide SELECT number, repeat(toString(number % 97), 700) FROM numbers(150000)")
    olap.restart()
    request(olap, "SELECT count() FROM wide")
    idle = resident_mb(olap)
    connection = raw(olap, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(sql), sql.encode()))
    received = most = 0
    while received < 60 << 20:
        received += len(connection.recv(1 << 18))
        time.sleep(0.01)
        most = max(most, resident_mb(olap))
    connection.close()
    olap.stop()
    stage.servers.remove(olap)
    assert most - idle < 300, f"{most - idle:.0f} MB above {idle:.0f}"


def test_a_large_insert_does_not_make_it_grow(stage):
    """200 MB that arrive faster than they are written."""
    olap = stage.olap(name="large")
    request(olap, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    row = b"%d\t" + b"x" * 1000 + b"\n"
    piece = b"".join(row % i for i in range(1000))
    size = len(piece) * 200
    connection = raw(olap, b"POST /?max_insert_block_size=10000&min_insert_block_size_rows=10000&query=INSERT+INTO+t+FORMAT+TSV HTTP/1.1\r\n"
                           b"Host: localhost\r\nContent-Length: %d\r\n\r\n" % size)
    request(olap, "SELECT 1")
    idle, most = resident_mb(olap), 0
    for _ in range(200):
        connection.sendall(piece)
        most = max(most, resident_mb(olap))
    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    assert request(olap, "SELECT count() FROM t").text == "200000\n"
    olap.stop()
    stage.servers.remove(olap)
    assert most - idle < 400, f"{most - idle:.0f} MB above {idle:.0f}"


# -- stop and crash ---------------------------------------------------------------------------------

def test_it_stops_within_seconds_whatever_runs(stage):
    olap = stage.olap(name="stopped")
    request(olap, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    request(olap, "INSERT INTO t VALUES (1)")
    answers = []
    idle = raw(olap, b"")
    stalled = raw(olap, b"POST /?query=INSERT+INTO+t+FORMAT+CSV HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n2\n")
    unread_sql = b"SELECT repeat('x', 1000) FROM numbers(100000000)"
    unread = raw(olap, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(unread_sql), unread_sql))
    threads = [threading.Thread(target=lambda sql=sql: answers.append(request(olap, sql))) for sql in (
        "SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))",
        "SELECT sleepEachRow(0.05) FROM numbers(10000) SETTINGS max_block_size = 1",
    )]
    for thread in threads:
        thread.start()
    wait_until(lambda: int(request(olap, "SELECT count() FROM system.processes").text) >= 5, "all of them run")
    begin = time.monotonic()
    olap.process.send_signal(signal.SIGTERM)
    assert olap.process.wait(10) == 0
    assert time.monotonic() - begin < 6
    for thread in threads:
        thread.join(10)
    assert [answer.code for answer in answers] == [394, 394]
    for connection in (idle, stalled, unread):
        connection.close()
    olap.start()
    assert request(olap, "SELECT * FROM t").text == "1\n"
    olap.stop()
    stage.servers.remove(olap)


def test_kill_9_loses_no_answered_insert(stage):
    olap = stage.olap(name="killed")
    request(olap, "CREATE TABLE t (a UInt64, b UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1")
    answered = 0
    for attempt in range(4):
        stop = threading.Event()
        done = []

        def insert():
            number = answered
            while not stop.is_set():
                rows = "".join(f"({number + 1}, {i})" for i in range(1000))
                try:
                    if request(olap, f"INSERT INTO t VALUES {rows}").status != 200:
                        return
                except OSError:
                    return
                number += 1
                done.append(number)

        thread = threading.Thread(target=insert)
        thread.start()
        time.sleep(0.4 + 0.3 * attempt)
        olap.process.kill()
        olap.process.wait()
        stop.set()
        thread.join()
        answered = done[-1] if done else answered
        olap.start()
        found = request(olap, f"SELECT count(), uniqExact(a), min(c), max(c) FROM (SELECT a, count() AS c FROM t WHERE a <= {answered} GROUP BY a)")
        assert found.text == f"{answered}\t{answered}\t1000\t1000\n"
        # The insert that was not answered is there as a whole or not at all.
        rest = request(olap, f"SELECT count() FROM t WHERE a > {answered}").text
        assert rest in ("0\n", "1000\n")
        request(olap, f"ALTER TABLE t DELETE WHERE a > {answered} SETTINGS mutations_sync = 2")
    olap.stop()
    stage.servers.remove(olap)


def test_files_of_the_working_directory_do_not_hide_tables(stage, tmp_path):
    (tmp_path / "t").write_text("1\n")
    olap = stage.olap(name="cwd")
    assert os.listdir(f"/proc/{olap.process.pid}/cwd") == []
    assert request(olap, "CREATE TABLE t (a UInt8) ENGINE = Memory").status == 200
    olap.stop()
    stage.servers.remove(olap)
