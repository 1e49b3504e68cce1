"""ClickHouse's HTTP interface as `millrace olap` serves it, byte by byte and with curl."""

import gzip
import http.client
import json
import subprocess
import threading
import time
import zlib

import pytest
from millrace_servers import wait_until
from olap_fixtures import chunk, raw, read_all, request


@pytest.fixture(scope="module")
def olap(target):
    target.query("CREATE DATABASE IF NOT EXISTS other")
    return target


@pytest.fixture
def table(olap):
    request(olap, "DROP TABLE IF EXISTS t SYNC")
    assert request(olap, "CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a").status == 200
    return "t"


def rows(olap, sql="SELECT * FROM t ORDER BY a, b", **parameters):
    answer = request(olap, sql, parameters)
    assert answer.status == 200, answer.text
    return [tuple(line.split("\t")) for line in answer.text.splitlines()]


def start(olap, sql, query_id, **parameters):
    """Runs a query in a thread; gives the thread and the list that gets its answer."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(request(olap, sql, {"query_id": query_id, **parameters})))
    thread.start()
    wait_until(lambda: is_running(olap, query_id), f"{query_id} runs")
    return thread, answers


def is_running(olap, query_id):
    found = request(olap, f"SELECT count() FROM system.processes WHERE Settings['log_comment'] = '{query_id}'")
    return found.text != "0\n"


# Sleeps long in small blocks: can be cancelled between them.
SLOW = "SELECT sleepEachRow(0.05) FROM numbers(2000) SETTINGS max_block_size = 1"


# -- answers ----------------------------------------------------------------------------------------

def test_ping_and_root_say_ok(olap):
    for path in ("/ping", "/"):
        answer = request(olap, method="GET", path=path)
        assert (answer.status, answer.body) == (200, b"Ok.\n")
    assert request(olap, method="HEAD", path="/ping").status == 200
    assert request(olap, method="GET", path="/nothing").status == 404
    assert request(olap, method="PUT").status == 405


def test_headers_of_an_answer(olap):
    answer = request(olap, "SELECT number FROM numbers(10) FORMAT JSONEachRow", {"query_id": "my id"})
    assert answer.headers["x-clickhouse-query-id"] == "my id"
    assert answer.headers["x-clickhouse-format"] == "JSONEachRow"
    assert answer.headers["x-clickhouse-timezone"]
    assert answer.headers["x-clickhouse-server-display-name"]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert summary["read_rows"] == "10" and summary["result_rows"] == "10"
    assert request(olap, "SELECT 1", {"query_id": ""}).headers["x-clickhouse-query-id"]
    assert request(olap, "SELECT 1", {"session_timezone": "Asia/Tokyo"}).headers["x-clickhouse-timezone"] == "Asia/Tokyo"


@pytest.mark.parametrize("sql, code, status", [
    ("SELECT * FROM nowhere", 60, 404),
    ("SELECT nothing", 47, 404),
    ("SELEKT 1", 62, 400),
    ("", 62, 400),
    ("SELECT 1; SELECT 2", 62, 400),
    ("SELECT toUInt8('x')", 6, 400),
    ("SELECT throwIf(1)", 395, 500),
    ("CREATE USER u", 497, 403),
    ("SELECT 1 FORMAT Nothing", 73, 404),
    ("SELECT 1 INTO OUTFILE '/tmp/millrace-outfile'", 344, 500),
    ("INSERT INTO nowhere VALUES (1)", 60, 404),
    ("INSERT INTO nowhere FORMAT CSV\n1", 60, 404),
    ("exit", 62, 400),
])
def test_errors_have_code_status_and_text(olap, sql, code, status):
    answer = request(olap, sql)
    assert (answer.code, answer.status) == (code, status), answer.text
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version 26." in answer.text and answer.text.endswith(")\n")


def test_the_format_is_chosen_by_text_parameter_or_header(olap):
    assert request(olap, "SELECT 1, 'x'").text == "1\tx\n"
    assert request(olap, "SELECT 1, 'x'", {"default_format": "CSV"}).text == '1,"x"\n'
    assert request(olap, "SELECT 1, 'x'", headers={"X-ClickHouse-Format": "CSV"}).text == '1,"x"\n'
    assert request(olap, "SELECT 1, 'x' FORMAT Values", {"default_format": "CSV"}).text == "(1,'x')"


def test_the_query_may_stand_in_url_and_body(olap):
    assert request(olap, "SELECT 1 + 1", method="GET").text == "2\n"
    assert request(olap, "SELECT 1", body=b"+ 2").text == "3\n"
    assert request(olap, "SELECT 'a=b&c%', 1 WHERE 1=1", method="GET").text == "a=b&c%\t1\n"
    assert request(olap, "SELECT 1", path="/query").text == "1\n"


def test_the_database_is_chosen_by_parameter_or_header(olap):
    assert request(olap, "SELECT currentDatabase()", {"database": "other"}).text == "other\n"
    assert request(olap, "SELECT currentDatabase()", headers={"X-ClickHouse-Database": "other"}).text == "other\n"
    assert request(olap, "SELECT 1", {"database": "nowhere"}).code == 81


def test_settings_and_parameters(olap):
    assert request(olap, "SELECT getSetting('max_threads')", {"max_threads": "3"}).text == "3\n"
    assert request(olap, "SELECT 1", {"no_such_setting": "3"}).code == 115
    assert request(olap, "SELECT 1", {"a = 1, b": "3"}).code == 115
    answer = request(olap, "SELECT {a:Array(String)}, {t:Identifier}.dummy FROM {t:Identifier}",
                     {"param_a": "['x', 'b\\'c']", "param_t": "one", "database": "system"})
    assert answer.text == "['x','b\\'c']\t0\n"
    assert request(olap, "INSERT INTO FUNCTION null({s:String}) VALUES (1)", {"param_s": "a UInt8"}).status == 200


def test_a_second_question_mark_and_long_urls(olap):
    long = "x" * 200_000
    answer = request(olap, f"SELECT length('{long}'), '?'", method="GET")
    assert answer.text == "200000\t?\n"


# -- inserts ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("parameters, body", [
    ({}, b"INSERT INTO t VALUES (1, 'x'), (2, 'y');"),
    ({}, b"INSERT INTO t FORMAT CSV\n1,x\n2,y\n"),
    ({}, b"/* c */ INSERT INTO t (b, a) FORMAT TabSeparated\nx\t1\ny\t2\n"),
    ({}, b'insert into t format JSONEachRow {"a": 1, "b": "x"} {"a": 2, "b": "y"}'),
    ({"query": "INSERT INTO t FORMAT CSV"}, b"1,x\n2,y\n"),
    ({"query": "INSERT INTO t VALUES"}, b"(1, 'x'), (2, 'y')"),
    ({"query": "INSERT INTO t (a, b)"}, b"VALUES (1, 'x'), (2, 'y')"),
    ({"query": "INSERT INTO t", "default_format": "CSV"}, b"1,x\n2,y\n"),
    ({"query": "INSERT INTO t"}, b"SELECT number + 1, ['x', 'y'][number + 1] FROM numbers(2)"),
    ({"query": "INSERT INTO t SETTINGS async_insert = 0 FORMAT CSV"}, b"1,x\n2,y\n"),
    ({}, b"INSERT INTO t VALUES (1,'x') (2,'y')"),
])
def test_inserts(olap, table, parameters, body):
    answer = request(olap, parameters=parameters, body=body)
    assert answer.status == 200, answer.text
    assert rows(olap) == [("1", "x"), ("2", "y")]
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "2"


def test_a_bad_row_is_an_error_with_its_code(olap, table):
    answer = request(olap, "INSERT INTO t FORMAT CSV\n1,x\nzzz,y\n")
    assert answer.code in (6, 27, 117) and answer.status == 400
    assert rows(olap) == []


def test_an_error_before_the_body_is_read_reaches_the_client(olap):
    connection = raw(olap, b"POST /?query=INSERT+INTO+nowhere+FORMAT+CSV HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n")
    try:
        for _ in range(500):
            connection.sendall(b"x" * 100_000)
    except OSError:
        pass
    head = connection.recv(1 << 16)
    assert head.startswith(b"HTTP/1.1 404 ") and b"X-ClickHouse-Exception-Code: 60" in head


@pytest.mark.parametrize("cut", ["length", "chunked"])
def test_an_insert_that_is_cut_off_writes_nothing(olap, table, cut):
    kind = b"Content-Length: 100" if cut == "length" else b"Transfer-Encoding: chunked"
    head = b"POST /?query_id=cut&query=INSERT+INTO+t+FORMAT+CSV HTTP/1.1\r\nHost: localhost\r\n" + kind + b"\r\n\r\n"
    connection = raw(olap, head + (b"1,x\n" if cut == "length" else chunk(b"1,x\n")))
    wait_until(lambda: is_running(olap, "cut"), "the insert runs")
    connection.close()
    wait_until(lambda: not is_running(olap, "cut"), "the insert ends")
    assert rows(olap) == []


def test_a_large_insert_in_chunks(olap, table):
    def body():
        yield b"INSERT INTO t FORMAT TSV\n"
        for i in range(200):
            yield b"".join(b"%d\tsome text\n" % (i * 1000 + j) for j in range(1000))

    connection = http.client.HTTPConnection(olap.host, olap.port, timeout=60)
    connection.request("POST", "/", body=body(), headers={"Transfer-Encoding": "chunked"}, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert rows(olap, "SELECT count(), sum(a) FROM t") == [("200000", str(sum(range(200000))))]


def test_post_without_a_length_is_refused(olap):
    connection = raw(olap, b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(1 << 16).startswith(b"HTTP/1.1 411 ")


# -- encodings --------------------------------------------------------------------------------------

@pytest.mark.parametrize("encoding, pack", [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
])
def test_compressed_bodies(olap, table, encoding, pack):
    answer = request(olap, body=pack(b"INSERT INTO t FORMAT CSV\n1,x\n"), headers={"Content-Encoding": encoding})
    assert answer.status == 200, answer.text
    assert rows(olap) == [("1", "x")]
    broken = request(olap, body=pack(b"INSERT INTO t FORMAT CSV\n2,y\n")[:-6], headers={"Content-Encoding": encoding})
    assert broken.code == 271
    assert rows(olap) == [("1", "x")]
    assert request(olap, body=b"x", headers={"Content-Encoding": "br"}).code == 48


@pytest.mark.parametrize("encoding, unpack", [
    ("gzip", gzip.decompress),
    ("deflate", zlib.decompress),
])
def test_compressed_answers(olap, encoding, unpack):
    sql = "SELECT number FROM numbers(300000)"
    plain = request(olap, sql)
    packed = request(olap, sql, headers={"Accept-Encoding": encoding})
    assert packed.headers["content-encoding"] == encoding
    assert unpack(packed.body) == plain.body and len(packed.body) < len(plain.body) / 2
    off = request(olap, sql, {"enable_http_compression": 0}, headers={"Accept-Encoding": encoding})
    assert "content-encoding" not in off.headers and off.body == plain.body
    assert "content-encoding" not in plain.headers


def test_broken_native_blocks_are_refused(olap, table):
    answer = request(olap, parameters={"query": "INSERT INTO t FORMAT CSV", "decompress": 1}, body=b"x" * 100)
    assert answer.code == 89, answer.text


@pytest.mark.parametrize("sql", ["SELECT * FROM nowhere", "SELECT throwIf(1)", "INSERT INTO nowhere FORMAT CSV\n1"])
def test_with_compress_errors_come_in_blocks_too(olap, sql):
    """As clickhouse-go before 2.50 demands."""
    answer = request(olap, sql, {"compress": 1})
    assert answer.code in (60, 395) and answer.status in (404, 500)
    assert answer.body[16] == 0x82 and b"DB::Exception" in answer.body and not answer.body.startswith(b"Code")


# -- streams ----------------------------------------------------------------------------------------

def test_a_large_result_is_streamed(olap):
    connection = http.client.HTTPConnection(olap.host, olap.port, timeout=60)
    connection.request("POST", "/", body=b"SELECT number FROM numbers(3000000)")
    answer = connection.getresponse()
    assert answer.headers["Transfer-Encoding"] == "chunked"
    total = 0
    while piece := answer.read(1 << 20):
        total += piece.count(b"\n")
    assert total == 3_000_000


@pytest.mark.parametrize("output", ["TSV", "JSON", "CSVWithNames", "Native"])
def test_an_error_in_the_middle_is_marked(olap, output):
    sql = b"SELECT throwIf(number = 2000000, 'boom') FROM numbers(5000000) FORMAT " + output.encode()
    connection = raw(olap, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(sql), sql))
    text = read_all(connection)
    assert text.startswith(b"HTTP/1.1 200 ")
    tag = text.split(b"X-ClickHouse-Exception-Tag: ")[1].split(b"\r\n")[0]
    assert b"\r\n__exception__\r\n" + tag + b"\r\nCode: 395. DB::Exception: boom" in text
    assert text.endswith(b" " + tag + b"\r\n__exception__\r\n\r\n")  # no last chunk: it must not look complete
    message = text.split(tag + b"\r\n", 2)[2]
    size = int(message.rsplit(b"\n", 4)[-4].split(b" ")[0])
    assert message[:size].endswith(b")\n")


def test_with_wait_end_of_query_the_same_error_has_its_status(olap):
    answer = request(olap, "SELECT throwIf(number = 2000000, 'boom') FROM numbers(5000000)", {"wait_end_of_query": 1})
    assert (answer.status, answer.code) == (500, 395)
    large = request(olap, "SELECT number FROM numbers(3000000)", {"wait_end_of_query": 1})
    assert large.status == 200 and large.text.count("\n") == 3_000_000
    assert json.loads(large.headers["x-clickhouse-summary"])["result_rows"] == "3000000"


def test_an_early_error_of_a_stream_has_its_status(olap):
    answer = request(olap, "SELECT throwIf(number = 20000, 'boom') FROM numbers(5000000)")
    assert (answer.status, answer.code) == (500, 395)


# -- cancelling -------------------------------------------------------------------------------------

@pytest.mark.parametrize("how, status", [("SYNC", "finished"), ("ASYNC", "waiting"), ("", "waiting")])
def test_kill_query_finds_ids_that_came_over_http(olap, how, status):
    thread, answers = start(olap, SLOW, f"victim {how}'s")
    killed = request(olap, f"KILL QUERY WHERE query_id = 'victim {how}\\'s' {how}")
    assert killed.text == f"{status}\tvictim {how}\\'s\tdefault\n"
    if how == "SYNC":
        assert not is_running(olap, f"victim {how}\\'s")
    thread.join(10)
    assert answers[0].code == 394 and answers[0].status == 500


def test_kill_query_test_kills_nothing(olap):
    thread, answers = start(olap, SLOW, "tested")
    assert request(olap, "KILL QUERY WHERE query_id LIKE 'test%' TEST").text.split("\t")[1] == "tested"
    assert is_running(olap, "tested")
    assert request(olap, "KILL QUERY WHERE query_id LIKE 'test%' SYNC FORMAT JSONEachRow").text.startswith('{"kill_status":"finished"')
    thread.join(10)
    assert answers[0].code == 394
    assert request(olap, "KILL QUERY WHERE query_id = 'tested' SYNC").text == ""


def test_kill_ends_an_insert_whose_body_stalls(olap, table):
    connection = raw(olap, b"POST /?query_id=stalled&query=INSERT+INTO+t+FORMAT+CSV HTTP/1.1\r\nHost: localhost\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"1,x\n"))
    wait_until(lambda: is_running(olap, "stalled"), "the insert runs")
    begin = time.monotonic()
    assert request(olap, "KILL QUERY WHERE query_id = 'stalled' SYNC").text.startswith("finished")
    assert time.monotonic() - begin < 5
    try:
        connection.sendall(chunk(b"2,y\n") + b"0\r\n\r\n")
    except OSError:
        pass
    assert rows(olap) == []


def test_after_kill_sync_nothing_of_an_insert_appears(olap, table):
    """Either the whole insert was there before the answer of KILL, or none of it ever."""
    data = b"".join(b"%d,x\n" % i for i in range(100_000))
    outcomes = set()
    for attempt in range(12):
        request(olap, "TRUNCATE TABLE t")
        query_id = f"raced{attempt}"
        connection = raw(olap, b"POST /?query_id=%s&query=INSERT+INTO+t+FORMAT+CSV HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                         % (query_id.encode(), len(data)))
        connection.sendall(data)
        time.sleep(attempt * 0.004)
        connection.close()  # the answer is lost
        request(olap, f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
        before = rows(olap, "SELECT count() FROM t")
        time.sleep(0.3)
        assert rows(olap, "SELECT count() FROM t") == before
        outcomes.add(before[0][0])
    assert outcomes <= {"0", "100000"}


def test_kill_ends_a_stream_whose_client_does_not_read(olap):
    sql = b"SELECT number, repeat('x', 1000) FROM numbers(100000000)"
    connection = raw(olap, b"POST /?query_id=unread HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (len(sql), sql))
    wait_until(lambda: is_running(olap, "unread"), "the query runs")
    time.sleep(0.5)  # until the socket's buffers are full
    assert request(olap, "KILL QUERY WHERE query_id = 'unread' SYNC").text.startswith("finished")
    connection.close()


def test_a_query_ends_when_its_client_goes_away(olap):
    for query_id, sql in (("gone1", SLOW), ("gone2", "SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))")):
        connection = raw(olap, b"POST /?query_id=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                         % (query_id.encode(), len(sql), sql.encode()))
        wait_until(lambda: is_running(olap, query_id), "the query runs")
        connection.close()
        wait_until(lambda: not is_running(olap, query_id), "the query ends", seconds=5)


def test_one_query_id_runs_once_at_a_time(olap):
    thread, answers = start(olap, SLOW, "twice")
    assert request(olap, "SELECT 1", {"query_id": "twice"}).code == 216
    request(olap, "KILL QUERY WHERE query_id = 'twice' SYNC")
    thread.join(10)
    assert request(olap, "SELECT 1", {"query_id": "twice"}).text == "1\n"


def test_several_queries_run_at_once(olap):
    begin = time.monotonic()
    threads = [threading.Thread(target=lambda: request(olap, "SELECT sleep(1)")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin < 5


# -- sessions ---------------------------------------------------------------------------------------

def test_a_session_keeps_tables_settings_and_database(olap):
    inside = {"session_id": "keeps"}
    for sql in ("CREATE TEMPORARY TABLE tmp AS SELECT 42 AS x", "SET max_threads = 3", "USE other"):
        assert request(olap, sql, inside).status == 200
    assert request(olap, "SELECT x, getSetting('max_threads'), currentDatabase() FROM tmp", inside).text == "42\t3\tother\n"
    # What one request sets for itself ends with it.
    answer = request(olap, "SELECT getSetting('max_threads'), currentDatabase(), getSetting('max_result_rows')",
                     {**inside, "max_threads": 5, "database": "system", "max_result_rows": 7})
    assert answer.text == "5\tsystem\t7\n"
    answer = request(olap, "SELECT getSetting('max_threads'), currentDatabase(), getSetting('max_result_rows')", inside)
    assert answer.text == "3\tother\t0\n"
    assert request(olap, "SELECT * FROM tmp").code == 60
    assert request(olap, "SELECT 1", {**inside, "close_session": 1}).status == 200
    assert request(olap, "SELECT * FROM tmp", {**inside, "session_check": 1}).code == 372


def test_a_session_runs_one_query_at_a_time(olap):
    thread, _ = start(olap, SLOW, "in session", session_id="busy")
    assert request(olap, "SELECT 1", {"session_id": "busy"}).code == 373
    request(olap, "KILL QUERY WHERE query_id = 'in session' SYNC")
    thread.join(10)
    assert request(olap, "SELECT 1", {"session_id": "busy"}).text == "1\n"


def test_a_session_ends_after_its_timeout(olap):
    short = {"session_id": "short", "session_timeout": 1}
    request(olap, "CREATE TEMPORARY TABLE tmp (a UInt8)", short)
    assert request(olap, "SELECT count() FROM tmp", short).text == "0\n"
    wait_until(lambda: request(olap, "SELECT 1", {"session_id": "short", "session_check": 1, "session_timeout": 0}).code == 372,
               "the session ends", seconds=10, pause=1.2)
    assert request(olap, "SELECT 1", {"session_id": "x", "session_timeout": 4000}).code == 374


def test_a_session_may_end_an_error(olap):
    for _ in range(3):
        assert request(olap, "SELECT * FROM nowhere", {"session_id": "err", "max_threads": 2}).code == 60
        assert request(olap, "INSERT INTO nowhere VALUES (1)", {"session_id": "err"}).code == 60
    assert request(olap, "SELECT getSetting('max_block_size')", {"session_id": "err", "max_block_size": 77}).text == "77\n"


# -- multipart --------------------------------------------------------------------------------------

def multipart(*parts):
    body = b""
    for name, file, content in parts:
        body += b'--B\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (
            name.encode(), b"" if file is None else b'; filename="%s"' % file.encode(), content)
    return {"body": body + b"--B--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=B"}}


def test_external_tables_and_form_fields(olap):
    form = multipart(("m", "m.csv", b"1,x\n2,y\n"), ("n", "n", b"7\t['a,b']"), ("param_p", None, b"3"))
    for session in ({}, {"session_id": "external"}, {"session_id": "external"}):
        answer = request(olap, "SELECT sum(a), max(b), (SELECT _1 + length(_2[1]) FROM n), {p:UInt8} FROM m",
                         {"m_structure": "a UInt8, b String", "m_format": "CSV", "n_types": "UInt8,Array(String)", **session}, **form)
        assert answer.text == "3\ty\t10\t3\n"
    query = request(olap, **multipart(("query", None, b"SELECT 5")))
    assert query.text == "5\n"
    assert request(olap, "SELECT 1", **multipart(("m", "m", b"1"))).code == 36
    assert request(olap, "SELECT 1", {"m_structure": "a UInt8"}, **multipart(("m", "m", b"x"))).code in (6, 27, 72)
    cut = multipart(("query", None, b"SELECT 5"))
    cut["body"] = cut["body"][:-8]
    assert request(olap, **cut).code == 36


# -- who may do what --------------------------------------------------------------------------------

def test_get_only_reads(olap, table):
    assert request(olap, "INSERT INTO t VALUES (1, 'x')", method="GET").code == 164
    assert request(olap, "DROP TABLE t", method="GET").code == 164
    assert request(olap, "CREATE TABLE u (a UInt8) ENGINE = Memory", {"session_id": "get"}, method="GET").code == 164
    assert request(olap, "KILL QUERY WHERE 1", method="GET").code == 164
    assert request(olap, "SELECT count() FROM t", {"session_id": "get", "max_threads": 1}, method="GET").text == "0\n"
    assert request(olap, "CREATE TABLE IF NOT EXISTS u (a UInt8) ENGINE = Memory", {"session_id": "get"}).status == 200


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
])
def test_web_pages_are_kept_out(olap, table, headers):
    assert request(olap, "INSERT INTO t VALUES (1, 'x')", headers=headers).status == 403
    assert rows(olap) == []


def test_a_wrong_user_is_refused(olap):
    assert request(olap, "SELECT 1", headers={"X-ClickHouse-User": "bob"}).status == 403
    assert request(olap, "SELECT 1", {"user": "default", "password": "x"}).code == 516


def test_users_of_a_file(stage, tmp_path):
    users = tmp_path / "users"
    users.write_text("# name password\nwriter s3cret\nreader sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 readonly\n")
    olap = stage.olap(arguments=["--users-file", str(users)])
    writer = {"headers": {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "s3cret"}}
    basic = {"headers": {"Authorization": "Basic cmVhZGVyOnRlc3Q="}}  # reader:test
    assert request(olap, "SELECT 1").code == 516
    assert request(olap, method="GET", path="/ping").status == 200
    assert request(olap, "CREATE TABLE t (a UInt8) ENGINE = Memory", **writer).status == 200
    for session in ({}, {"session_id": "s"}):
        assert request(olap, "SELECT count() FROM t", session, **basic).text == "0\n"
        assert request(olap, "INSERT INTO t VALUES (1)", session, **basic).code == 164
        assert request(olap, "DROP TABLE t", session, **basic).code == 164
        assert request(olap, "SET readonly = 0", session, **basic).code == 164
        assert request(olap, "INSERT INTO FUNCTION file('x.csv') SELECT 1", session, **basic).code == 164
        assert request(olap, "SELECT getSetting('max_threads')", {**session, "max_threads": 2}, **basic).text == "2\n"
        assert request(olap, "KILL QUERY WHERE 1", session, **basic).code == 164
    # Sessions belong to their user.
    request(olap, "CREATE TEMPORARY TABLE mine (a UInt8)", {"session_id": "w"}, **writer)
    assert request(olap, "SELECT * FROM mine", {"session_id": "w"}, **basic).code == 60
    olap.stop()


# -- curl -------------------------------------------------------------------------------------------

def curl(olap, *arguments, data=None):
    done = subprocess.run(["curl", "-sS", *arguments], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_curl(olap, table, tmp_path):
    url = olap.url
    assert curl(olap, f"{url}/ping") == b"Ok.\n"
    assert curl(olap, f"{url}/?query=SELECT%201") == b"1\n"
    large = tmp_path / "data.csv"
    large.write_text("".join(f"{i},{'x' * 100}\n" for i in range(50_000)))
    # Larger than 1 MB: curl waits for "100 Continue".
    assert curl(olap, f"{url}/?query=INSERT+INTO+t+FORMAT+CSV", "--data-binary", f"@{large}") == b""
    assert curl(olap, f"{url}/?query=INSERT+INTO+t+FORMAT+CSV", "-T", "-", data=b"x") != b""  # PUT
    assert curl(olap, f"{url}/?query=INSERT+INTO+t+FORMAT+CSV", "-X", "POST", "-H", "Transfer-Encoding: chunked", "-T", "-",
                data=large.read_bytes()) == b""
    assert curl(olap, url, "--data-binary", "SELECT count() FROM t") == b"100000\n"
    assert len(curl(olap, url, "--compressed", "--data-binary", "SELECT number FROM numbers(100000)")) == 588_890
    assert curl(olap, url, "-F", "query=SELECT sum(a) FROM f", "-F", "f_structure=a UInt8", "-F", "f=@-", data=b"1\n2\n") == b"3\n"
    assert b"Code: 60" in curl(olap, url, "-d", "SELECT * FROM nowhere")
