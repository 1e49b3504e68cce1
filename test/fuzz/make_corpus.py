#!/usr/bin/python3
"""Writes the seeds of corpus/: recorded messages, values as PostgreSQL prints them, the example configurations, requests as
clients send them. Findings are added by hand, under a name that says what was found."""

import gzip
import pathlib
import re
import struct
import zlib

HERE = pathlib.Path(__file__).parent
PROJECT = HERE.parent.parent
KINDS = ("boolean int2 int4 int8 uint4 uint8 float4 float8 numeric date timestamp timestamptz uuid bytea enumeration json "
         "text").split()
ARRAY, NOT_NULL, IN_KEY, REFUSE, NULL_AS_DEFAULT = 1, 2, 4, 8, 16


def seed(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content.encode() if isinstance(content, str) else content)


def recorded_messages():
    text = (PROJECT / "test/unit/data/pgoutput_recorded.hpp").read_text()
    for body in re.findall(r'\{"[0-9A-F/]+",\s*((?:"[^"]*"\s*)+)\}', text):
        digits = "".join(re.findall(r'"([^"]*)"', body))
        # Long values are alike inside: 40 bytes of them do.
        yield bytes.fromhex(re.sub(r"([0-9a-f]{2})\{(\d+)\}", lambda m: m[1] * min(int(m[2]), 40), digits))


def shorten(message):
    """The lengths of values whose bytes were left out."""
    return message.replace(struct.pack(">I", 2100), struct.pack(">I", 40))


def pgoutput():
    messages = [shorten(x) for x in recorded_messages()]
    framed = [struct.pack(">H", len(x)) + x for x in messages]
    for choices in (0, 1, 2, 4, 8, 16, 32):
        seed("pgoutput", f"session-{choices}", bytes([choices]) + b"".join(framed))
    begins = [i for i, x in enumerate(messages) if x[:1] == b"B"] + [len(messages)]
    relations = b"".join(x for x, message in zip(framed, messages) if message[:1] == b"R")
    for number, (first, end) in enumerate(zip(begins, begins[1:])):
        body = framed[first:end]
        seed("pgoutput", f"transaction-{number}", b"\0" + body[0] + relations + b"".join(body[1:]))


def head(kind, flags=0, precision=0, scale=0, pattern=0, target=""):
    numbers = (KINDS.index(kind), flags, precision, scale, pattern)
    return bytes(x + ord("a") for x in numbers) + target.encode() + b"\n"


def values():
    integers = "0 -0 1 -1 127 -128 255 32767 -32768 65535 2147483647 -2147483648 4294967295 9223372036854775807 \
-9223372036854775808 18446744073709551615 99999999999999999999999 - +1 1.0".split()
    floats = "0 -0 1.5 -1.5e-10 3.4028235e+38 1.7976931348623157e+308 5e-324 NaN Infinity -Infinity 1e999 .5 0x1p3".split()
    numerics = "0 0.00 1.50 -1.5 12345678901234567890.123456789 0.0000000001 99999999.99 NaN Infinity 1e5 -.5 1. 00012".split()
    dates = "1970-01-01|2024-02-29|0001-01-01|4713-01-01 BC|5874897-12-31|1900-01-01|2299-12-31|infinity|-infinity|2023-02-30".split("|")
    times = [f"{x} {y}" for x in ("1970-01-01", "2024-02-29", "0001-01-01") for y in ("00:00:00", "23:59:59.999999", "12:00:00.5")]
    times += ["4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity"]
    zoned = [x + y for x in times if x[0].isdigit() and "BC" not in x for y in ("+00", "-08", "+05:30", "-15:59:59")]
    texts = [r"\N", "", "a", r"tab\tnew\nline\\", r"\x41\101", "ü€😀", "x" * 70, r"\0", "\\"]
    uuids = ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A1", "a0eebc999c0b4ef8bb6d6bb9bd380a11"]
    byteas = [r"\\x", r"\\x00ff", r"\\xabc", r"\\xzz", "abc"]
    jsons = ["{}", '{"a": [1, 2.5, null, "x"]}', "[1]", "null", '{"a"', '"text"', '{"\\\\u0000": 1}']
    of_kind = {"boolean": ["t", "f", "true", ""], "date": dates, "timestamp": times, "timestamptz": zoned + times, "uuid": uuids,
               "bytea": byteas, "json": jsons, "enumeration": ["ok", "sad", ""], "text": texts, "numeric": numerics}
    of_kind.update({x: integers for x in ("int2", "int4", "int8", "uint4", "uint8")}, float4=floats, float8=floats)
    for kind, lines in of_kind.items():
        rows = "\n".join([*lines, r"\N"]).encode()
        arrays = [f"{{{lines[0]},NULL}}", '{"' + '","'.join(x.replace('"', r"\\\"") for x in lines[:4]) + '"}', "{}", "{{1,2},{3,4}}",
                  "[0:1]={1,2}", "{", '{"a', "{1,}", r"\N"]
        for name, flags in (("plain", 0), ("key", IN_KEY | REFUSE), ("strict", NOT_NULL | REFUSE), ("defaults", NULL_AS_DEFAULT)):
            seed("values", f"{kind}-{name}", head(kind, flags, pattern=0b1010) + rows)
        seed("values", f"{kind}-array", head(kind, ARRAY, pattern=0b100) + "\n".join(arrays).encode())
    decimals = "\n".join(numerics).encode()
    for precision, scale in ((4, 2), (12, 2), (18, 0), (38, 10), (76, 20)):
        seed("values", f"numeric-{precision}-{scale}", head("numeric", 0, precision, scale) + decimals)
    chosen = (("int8", "UInt32"), ("int8", "Int128"), ("numeric", "Decimal(20, 5)"), ("numeric", "Int256"), ("numeric", "UInt64"),
              ("float4", "Float64"), ("date", "Date"), ("timestamp", "DateTime"), ("timestamp", "DateTime64(3)"),
              ("timestamptz", "DateTime64(9, 'Europe/Berlin')"), ("json", "JSON"), ("text", "LowCardinality(String)"),
              ("text", "FixedString(4)"), ("uuid", "String"), ("bytea", "String"), ("boolean", "UInt8"))
    for kind, target in chosen:
        name = re.sub(r"\W+", "_", target).strip("_")
        seed("values", f"{kind}-as-{name}", head(kind, 0, target=target) + "\n".join(of_kind[kind]).encode())


def configuration():
    for path in sorted(PROJECT.glob("conf/*.conf")):
        text = path.read_text()
        seed("configuration", path.stem, text)
        seed("configuration", f"{path.stem}-short", re.sub(r"(?m)^\s*;.*\n", "", text))
    seed("configuration", "minimal", '[millrace]\npipeline = "shop"\n[source]\nuri = "postgresql://millrace@127.0.0.1:5432/shop"\n')
    seed("configuration", "lists", '''[millrace]
pipeline = "shop"
[source]
uri = "postgresql://u@h1:1,h2:2/d?sslmode=require"
tables = ["public.*", "sales.orders"]
[target]
url = "https://[::1]:8443/"
names = [ { table = "public.a", name = "b" } ]
columns = [ { column = "public.a.b", type = "Decimal(10, 2)", name = "c" } ]
[limits]
flush-wait = 20ms
window-bytes = 1048576
[scheduler]
policy = 'stealing'
''')
    seed("configuration", "wrong", '[millrace]\npipeline = 1\nrole = ["x"]\n[sourc]\nuri = "x\n[limits]\nflush-wait = "20"\n')
    seed("configuration", "braces", 'millrace { pipeline = "x" } source { uri = "postgresql://h/d" }\n')


def request(line, body=b"", *fields, length=True):
    body = body.encode() if isinstance(body, str) else body
    lines = [f"{line} HTTP/1.1", "Host: 127.0.0.1:8123", *fields]
    if body and length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def olap_http():
    boundary = "Content-Type: multipart/form-data; boundary=xyz"
    form = ('--xyz\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT * FROM e\r\n'
            '--xyz\r\nContent-Disposition: form-data; name="e_structure"\r\n\r\na Int8, b Array(String)\r\n'
            '--xyz\r\nContent-Disposition: form-data; name="e"; filename="e.tsv"\r\nContent-Type: text/plain\r\n\r\n1\t[]\n\r\n--xyz--\r\n')
    deflate = zlib.compressobj(wbits=-15)
    raw = deflate.compress(b"SELECT 1") + deflate.flush()
    chunked = b"7\r\nINSERT \r\n1d\r\nINTO t FORMAT TabSeparated 1\n\r\n0\r\n\r\n"
    requests = {
        "ping": request("GET /ping"), "root": request("GET /"), "absolute": request("GET http://127.0.0.1:8123/?query=SELECT%201"),
        "select": request("GET /?query=SELECT+%7Bx:Int8%7D+FORMAT+JSON&param_x=1&max_threads=2&database=d"),
        "three": request("POST /", "SELECT three", "Accept-Encoding: gzip, deflate", "X-ClickHouse-Format: Native"),
        "blocks": request("POST /?compress=1&query_id=a", "SELECT large three FORMAT Native", "Accept-Encoding: zstd"),
        "wait": request("POST /?wait_end_of_query=1", "SELECT large FORMAT CSV"),
        "wrong": request("POST /?session_id=s&session_timeout=9", "SELECT wrong"),
        "insert": request("POST /?query=INSERT+INTO+t+FORMAT+CSV", "1,2\n3,4\n"),
        "insert-values": request("POST /", "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')"),
        "insert-chunked": request("POST /", chunked, "Transfer-Encoding: chunked", length=False),
        "insert-continue": request("POST /?query=INSERT+INTO+t+FORMAT+CSV", "1\n", "Expect: 100-continue"),
        "gzip": request("POST /", gzip.compress(b"SELECT 1", mtime=0), "Content-Encoding: gzip"),
        "deflate": request("POST /", zlib.compress(b"SELECT 1"), "Content-Encoding: deflate"),
        "deflate-raw": request("POST /", raw, "Content-Encoding: deflate"),
        "zstd": request("POST /", bytes.fromhex("28b52ffd200841000053454c4543542031"), "Content-Encoding: zstd"),
        "lz4": request("POST /", bytes.fromhex("04224d186040820800008053454c454354203100000000"), "Content-Encoding: lz4"),
        "decompress": request("POST /?decompress=1", bytes(16) + b"\x02" + struct.pack("<II", 17, 8) + b"SELECT 1"),
        "multipart": request("POST /", form, boundary),
        "types": request("POST /?query=SELECT+1&e_types=UInt8,Array(Tuple(a+Int8))&e_format=CSV",
                         '--xyz\r\nContent-Disposition: form-data; name="e"; filename="e"\r\n\r\n1\r\n--xyz--\r\n', boundary),
        "kill": request("POST /", "KILL QUERY WHERE query_id = 'x\\'y' ASYNC FORMAT JSON"),
        "kill-test": request("POST /", "KILL QUERY WHERE user = 'u' AND query_id != 'a' TEST"),
        "use": request("POST /?session_id=s", "USE d") + request("POST /?session_id=s&close_session=1", "SET a = 1"),
        "basic": request("GET /?query=SELECT+1", "", "Authorization: Basic bm9kZTpzZWNyZXQ="),
        "key": request("GET /?query=SELECT+1", "", "X-ClickHouse-User: guest", "X-ClickHouse-Key: pass"),
        "parameters": request("GET /?query=SELECT+1&user=node&password=secret"),
        "origin": request("POST /", "SELECT 1", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site"),
        "options": request("OPTIONS /"), "put": request("PUT /", "x"), "nowhere": request("GET /nowhere?x=%zz"),
        "old": b"GET /?query=SELECT%201 HTTP/1.0\r\n\r\n", "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "revision": request("POST /?client_protocol_version=54460",
                            "SELECT displayName(), version(), revision(), timezone()"),
        "heredoc": request("POST /", "/* a */ SELECT $x$ ' $x$, 'a''b', \"c\", `d` -- e\n FORMAT TSV; "),
        "outfile": request("POST /", "SELECT 1 INTO OUTFILE 'x'"), "several": request("POST /", "SELECT 1; SELECT 2"),
    }
    for name, text in requests.items():
        seed("olap_http", name, b"\0" + text)
    for choices in (1, 2, 4, 7 << 3, 31 << 3 | 2):
        together = b"".join(requests[x] for x in ("ping", "select", "insert", "multipart", "basic", "key", "parameters"))
        seed("olap_http", f"pipeline-{choices}", bytes([choices]) + together)


if __name__ == "__main__":
    pgoutput()
    values()
    configuration()
    olap_http()
