"""What the tests of `millrace olap` share: raw requests, and the clients that nobody here wrote."""

import fcntl
import http.client
import os
import shutil
import socket
import subprocess
import urllib.parse

import pytest

# dbt-core after 1.10 fetches a binary while it is installed.
CLIENTS = ["clickhouse-connect==1.12.*", "dbt-core>=1.10,<1.11", "dbt-clickhouse>=1.9", "clickhouse-cityhash", "lz4",
           "zstandard", "pandas", "pyarrow"]
HERE = os.path.dirname(os.path.abspath(__file__))


def cache_folder():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "millrace")


class Answer:
    def __init__(self, response, body):
        self.status, self.body = response.status, body
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def text(self):
        return self.body.decode()

    @property
    def code(self):
        return int(self.headers.get("x-clickhouse-exception-code", 0))


def request(server, sql="", parameters=None, method="POST", headers=None, body=None, path="/", connection=None):
    """One request; `sql` goes into the body unless the method is GET or there is a body."""
    parameters = dict(parameters or {})
    data = sql.encode() if isinstance(sql, str) else sql
    if method in ("GET", "HEAD") or body is not None:
        if data:
            parameters["query"] = data.decode()
        data = body
    own = connection or http.client.HTTPConnection(server.host, server.port, timeout=120)
    try:
        target = path + ("?" + urllib.parse.urlencode(parameters) if parameters else "")
        own.request(method, target, body=data, headers=headers or {})
        response = own.getresponse()
        return Answer(response, response.read())
    finally:
        if connection is None:
            own.close()


def raw(server, text):
    """Sends bytes as they are, gives the connected socket."""
    connection = socket.create_connection((server.host, server.port), timeout=60)
    connection.sendall(text)
    return connection


def read_all(connection):
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def resident_mb(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


@pytest.fixture(scope="session")
def clients_python():
    """An interpreter with the Python clients; made once and kept in the user's cache folder."""
    folder = os.path.join(cache_folder(), "clients-venv")
    os.makedirs(cache_folder(), exist_ok=True)
    with open(os.path.join(cache_folder(), "clients-venv.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = os.path.join(folder, "installed.txt")
        wanted = "\n".join(CLIENTS)
        if not os.path.exists(done) or open(done).read() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run(["/usr/bin/python3", "-m", "venv", folder], check=True)
            subprocess.run([os.path.join(folder, "bin", "pip"), "install", "-q", "--disable-pip-version-check", *CLIENTS], check=True)
            with open(done, "w") as file:
                file.write(wanted)
    return os.path.join(folder, "bin", "python")


def run_client(python, script, *arguments, timeout=300):
    """Runs a script of this folder with the clients' interpreter; its output, or an error with it."""
    done = subprocess.run([python, os.path.join(HERE, script), *map(str, arguments)], text=True, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout
