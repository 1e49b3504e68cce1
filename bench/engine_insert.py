#!/usr/bin/python3
"""CPU seconds that libchdb itself needs for an insert: engine_insert.py LIBCHDB DATA_FOLDER BODY TIMES CREATE INSERT SETTINGS

The body, in Native format, goes from memory into the engine's insert stream, without HTTP or millrace; one whose name ends
with .lz4 (a frame) is read by the engine itself, FROM INFILE. Prints user and system time of the process for one insert.
Started by bench.py."""

import ctypes
import os
import resource
import sys

os.environ.setdefault("JE_MALLOC_CONF", "dirty_decay_ms:1000,muzzy_decay_ms:0")  # as `millrace olap` sets it
library, folder, body, times, create, insert, settings = sys.argv[1:]
with open(body, "rb") as file:
    data = file.read()
chdb = ctypes.CDLL(library)


def function(name, result, *arguments):
    f = getattr(chdb, name)
    f.restype, f.argtypes = result, arguments
    return f


pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
connect = function("chdb_connect", ctypes.POINTER(pointer), ctypes.c_int, ctypes.POINTER(text))
run = function("chdb_query_n", pointer, pointer, text, size, text, size)
begin = function("chdb_stream_insert_n", pointer, pointer, text, size, text, size)
append = function("chdb_stream_append", ctypes.c_int, pointer, text, size)
done = function("chdb_stream_done", pointer, pointer)
error = function("chdb_result_error", text, pointer)
free_result = function("chdb_destroy_query_result", None, pointer)
free_insert = function("chdb_destroy_insert_stream", None, pointer)
function("chdb_set_signal_handlers_enabled", None, ctypes.c_int)(0)


def check(result):
    if problem := error(result):
        sys.exit(problem.decode())
    free_result(result)


def query(sql):
    check(run(connection, sql.encode(), len(sql.encode()), b"TSV", 3))


def insert_once():
    if body.endswith(".lz4"):
        return query(f"{insert} FROM INFILE '{body}' COMPRESSION 'lz4' FORMAT Native")
    stream = begin(connection, insert.encode(), len(insert.encode()), b"Native", 6)
    for piece in pieces:
        append(stream, piece, len(piece))
    check(done(stream))
    free_insert(stream)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


pieces = [data[at:at + (1 << 18)] for at in range(0, len(data), 1 << 18)]  # as they come from a socket
options = [b"engine_insert", b"--path=" + folder.encode()]
connection = connect(len(options), (text * len(options))(*options))[0]
query("SET " + settings)
query(create)
query("SYSTEM STOP MERGES")
for _ in range(5):
    insert_once()
before = cpu_seconds()
for _ in range(int(times)):
    insert_once()
print((cpu_seconds() - before) / int(times), flush=True)
os._exit(0)
