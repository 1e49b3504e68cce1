"""clickhouse-connect against a running server: `olap_client_python.py PORT`. Run by test_olap_clients."""

import datetime
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData


def check(value, wanted):
    assert value == wanted, f"{value!r} instead of {wanted!r}"


def refused(function, code, kind=DatabaseError):
    try:
        function()
    except kind as error:
        assert f"ode: {code}" in str(error), error
        return
    raise AssertionError(f"no error {code}")


port = int(sys.argv[1])
client = clickhouse_connect.get_client(host="127.0.0.1", port=port)
client.command("CREATE DATABASE IF NOT EXISTS connect")
client = clickhouse_connect.get_client(host="127.0.0.1", port=port, database="connect")
client.command("CREATE TABLE t (id UInt64, s String, d DateTime64(6, 'UTC'), n Nullable(Int32), l LowCardinality(String)) "
               "ENGINE = MergeTree ORDER BY id")
begin = datetime.datetime(2024, 1, 2, 3, 4, 5)
data = [[i, f"text {i}", begin + datetime.timedelta(microseconds=i), None if i % 2 else i, f"l{i % 3}"] for i in range(100_000)]
names = ["id", "s", "d", "n", "l"]

for compress in ("lz4", "zstd", "gzip", False):
    client.command("TRUNCATE TABLE t")
    other = clickhouse_connect.get_client(host="127.0.0.1", port=port, database="connect", compress=compress)
    check(other.insert("t", data, column_names=names).written_rows, 100_000)
    rows = other.query("SELECT * FROM t ORDER BY id").result_rows
    check(len(rows), 100_000)
    check([rows[12345][0], rows[12345][1], rows[12345][3], rows[12345][4]], [12345, "text 12345", None, "l0"])
    check(rows[12345][2].replace(tzinfo=None), data[12345][2])

odd = {"a": ["x", "b'c\\"], "b": "q\\'\t\n", "c": None, "d": datetime.date(2024, 2, 29)}
row = client.query("SELECT {a:Array(String)}, {b:String}, {c:Nullable(String)}, {d:Date}", parameters=odd).result_rows[0]
check(row, (odd["a"], odd["b"], None, odd["d"]))
check(len(client.query("SELECT {b:String}", parameters={"b": "y" * 500_000}).result_rows[0][0]), 500_000)
check(list(client.query_df("SELECT id, s FROM t ORDER BY id LIMIT 3")["s"]), ["text 0", "text 1", "text 2"])
check(client.query_arrow("SELECT id FROM t ORDER BY id LIMIT 3").column(0).to_pylist(), [0, 1, 2])
client.insert_df("t", client.query_df("SELECT id + 100000 AS id, s, d, n, l FROM t LIMIT 5"))
check(client.raw_query("SELECT count() FROM t FORMAT CSV"), b"100005\n")
client.raw_insert("t", column_names=["id", "s"], insert_block=b'7,"raw"\n', fmt="CSV")
with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
    check(sum(len(block) for block in stream), 1_000_000)

refused(lambda: client.query("SELECT * FROM nowhere"), 60)
refused(lambda: client.insert("nowhere", [[1]], column_names=["a"]), 60)


def read_on(compress):
    reader = clickhouse_connect.get_client(host="127.0.0.1", port=port, compress=compress)
    with reader.query_rows_stream("SELECT throwIf(number = 3000000, 'boom') FROM numbers(10000000)") as stream:
        for _ in stream:
            pass


for compress in ("lz4", "zstd", "gzip", False):
    refused(lambda: read_on(compress), 395, StreamFailureError)

external = ExternalData(file_name="movies", data=b"1,a\n2,b\n", fmt="CSV", structure=["id UInt32", "title String"])
external.add_file(file_name="more", data=b"7", fmt="TSV", structure="x UInt8")
check(client.query("SELECT id, title, x FROM movies, more ORDER BY id", external_data=external).result_rows, [(1, "a", 7), (2, "b", 7)])

client.command("CREATE TEMPORARY TABLE tmp (a UInt8)")
client.insert("tmp", [[1], [2]], column_names=["a"])
check(client.query("SELECT sum(a) FROM tmp").result_rows, [(3,)])
check(client.query("SELECT getSetting('max_threads')", settings={"max_threads": 5}).result_rows, [(5,)])
client.set_client_setting("max_threads", 3)
check(client.query("SELECT getSetting('max_threads')").result_rows, [(3,)])
client.close()
print("ok")
