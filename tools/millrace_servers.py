"""Real servers for the demo, the tests and the benchmark: PostgreSQL, `millrace olap`, `millrace run`.

    with Stage() as stage:
        source = stage.postgres(settings={"wal_keep_size": "64MB"})
        source.execute("CREATE DATABASE shop")
        target = stage.olap()
        node = stage.node(source, target, database="shop")
        node.wait_caught_up()
        assert_equal(source, target, database="shop")

Everything lives in one temporary folder and on free ports, and is gone when the stage is closed,
when the interpreter exits, and even when it is killed: a small process watches over ours.
Standard library and psycopg2 only.
"""

import atexit
import glob
import http.client
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import psycopg2

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Failure(Exception):
    """A server that did not do what it was asked for; the text says which and why."""


def olap_binary():
    """The program for `millrace olap`: $MILLRACE_OLAP_BINARY, or the one under test."""
    return os.environ.get("MILLRACE_OLAP_BINARY") or millrace_binary()


def millrace_binary():
    """The program under test: $MILLRACE_BINARY, or build/millrace."""
    path = os.environ.get("MILLRACE_BINARY") or os.path.join(PROJECT, "build", "millrace")
    if not os.access(path, os.X_OK):
        raise Failure(f"{path} is not there: run 'make build'")
    return path


def postgres_program(name):
    """The newest installed PostgreSQL's program of that name (or the one in $MILLRACE_PG_BIN)."""
    folders = glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin")
    folders.sort(key=lambda folder: [int(part) for part in re.findall(r"\d+", folder)], reverse=True)
    for folder in [os.environ.get("MILLRACE_PG_BIN"), *folders, *os.environ["PATH"].split(":")]:
        if folder and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise Failure(f"PostgreSQL's {name} is not installed: apt-get install postgresql")


def free_port(preferred=None):
    """A TCP port of the loopback interface that nobody listens on; the preferred one if it is free."""
    for port in ([preferred] if preferred else []) + [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise Failure("no free port")


def wait_until(condition, what, seconds=30.0, pause=0.05, alive=None):
    """Polls until condition() is true and returns its value; Failure after the deadline.

    An exception of the condition counts as "not yet" and is told at the end. `alive` is a process
    whose end makes waiting pointless.
    """
    deadline = time.monotonic() + seconds
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (OSError, psycopg2.Error, Failure, http.client.HTTPException) as error:
            last = error
        if alive is not None and alive.poll() is not None:
            raise Failure(f"{what}: {alive.name} ended with {alive.returncode}\n{alive.log_tail()}")
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {seconds:g} s" + (f" ({last})" if last else ""))
        time.sleep(pause)


# -- processes --------------------------------------------------------------------------------------

# Reads "+PID", "-PID" and "rm PATH" from its input; when that ends, kills and removes what is left.
_WATCHER = r"""
import os, shutil, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids, paths = set(), []
for line in sys.stdin:
    if line[0] == "+": pids.add(int(line[1:]))
    elif line[0] == "-": pids.discard(int(line[1:]))
    else: paths.append(line[3:].rstrip("\n"))
for pid in pids:
    for kill in (os.killpg, os.kill):
        try: kill(pid, signal.SIGKILL)
        except OSError: pass
for attempt in range(50):
    for path in paths: shutil.rmtree(path, ignore_errors=True)
    if not any(os.path.exists(path) for path in paths): break
    time.sleep(0.1)
"""


class _Watcher:
    def __init__(self):
        self.process = None
        self.owner = None
        self.lock = threading.Lock()

    def tell(self, line):
        with self.lock:
            if self.owner != os.getpid():
                self.owner = os.getpid()
                self.process = subprocess.Popen([sys.executable or "/usr/bin/python3", "-c", _WATCHER], stdin=subprocess.PIPE,
                                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()


_watcher = _Watcher()


class Server:
    """A child process in a process group of its own, with its output in a file."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.log_path = os.path.join(folder, f"{name}.log")
        self.process = None
        self.returncode = None

    def spawn(self, command, user=None, environment=None):
        identity = {}
        if user and os.getuid() == 0:
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            start_new_session=True, env={**os.environ, **(environment or {})},
                                            cwd=self.folder, **identity)
        self.returncode = None
        _watcher.tell(f"+{self.process.pid}")

    @property
    def pid(self):
        return self.process.pid

    def poll(self):
        if self.process is not None and self.returncode is None:
            self.returncode = self.process.poll()
            if self.returncode is not None:
                _watcher.tell(f"-{self.process.pid}")
        return self.returncode

    def running(self):
        return self.process is not None and self.poll() is None

    def wait(self, seconds):
        """The exit code; Failure if it is still running after so long."""
        wait_until(lambda: self.poll() is not None, f"{self.name} ends", seconds, 0.02)
        return self.returncode

    def family(self):
        """Our process and its children (PostgreSQL's have sessions of their own)."""
        pids = [self.pid]
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path) as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.pid:
                pids.append(int(path.split("/")[2]))
        return pids

    def send(self, number):
        for pid in self.family():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def freeze(self):
        """SIGSTOP: the process is there, connections stay open, nothing answers."""
        self.send(signal.SIGSTOP)

    def thaw(self):
        self.send(signal.SIGCONT)

    def kill(self):
        """kill -9, and waits until nothing of it is left."""
        if not self.running():
            return
        family = self.family()
        self.send(signal.SIGKILL)
        self.wait(30)
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), f"{self.name} is gone", 30, 0.01)

    def stop(self, number=signal.SIGTERM, seconds=30):
        """Asks politely; kills what has not ended after so long. Returns the exit code."""
        if not self.running():
            return self.returncode
        os.kill(self.pid, signal.SIGCONT)
        os.kill(self.pid, number)
        try:
            return self.wait(seconds)
        except Failure:
            self.kill()
            return self.returncode

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=20):
        return "\n".join(f"  {self.name}| {line}" for line in self.log().splitlines()[-lines:])

    def rss_bytes(self):
        """Resident memory of the process, 0 if it is gone."""
        try:
            with open(f"/proc/{self.pid}/statm") as statm:
                return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return 0

    def cpu_seconds(self):
        """User and system time that the process has used."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- PostgreSQL -------------------------------------------------------------------------------------

class Postgres(Server):
    """A cluster of our own: superuser `postgres`, password over TCP, none over the socket."""

    SETTINGS = {
        "wal_level": "logical",
        "max_prepared_transactions": "16",
        "max_wal_senders": "20",
        "max_replication_slots": "20",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "max_wal_size": "4GB",
        "listen_addresses": "127.0.0.1",
        "unix_socket_permissions": "0700",
        "log_min_messages": "warning",
        "timezone": "UTC",
        "lc_messages": "C",
    }

    def __init__(self, folder, name="postgres", settings=None, port=None, fsync=False):
        super().__init__(name, folder)
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self.data = os.path.join(folder, f"{name}-data")
        self.socket_folder = os.path.join(folder, f"{name}-socket")
        self.password = secrets.token_hex(8)
        self.password_path = os.path.join(folder, f"{name}-password")
        self.port = free_port(port)
        self.settings = {**self.SETTINGS, "fsync": "on" if fsync else "off", **(settings or {})}
        self._create()

    def _run(self, command):
        identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **identity)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command[:3])} ... failed: {done.stderr.strip() or done.stdout.strip()}")

    def _create(self):
        with open(os.open(self.password_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.password + "\n")
        for folder in (self.data, self.socket_folder):
            os.mkdir(folder, 0o700)
        if self.user:
            for path in (self.data, self.socket_folder, self.password_path):
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self._run([postgres_program("initdb"), "-D", self.data, "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256",
                   f"--pwfile={self.password_path}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])

    def start(self, seconds=60):
        options = {**self.settings, "port": str(self.port), "unix_socket_directories": self.socket_folder}
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        self.spawn([postgres_program("postgres"), "-D", self.data, *arguments], user=self.user)
        wait_until(lambda: self.connect("postgres").close() is None, f"{self.name} on port {self.port} answers", seconds, alive=self)
        return self

    def stop(self, number=signal.SIGINT, seconds=30):  # SIGINT is PostgreSQL's fast shutdown
        return super().stop(number, seconds)

    def restart(self):
        self.stop()
        return self.start()

    def parameters(self, database="postgres", over_socket=True):
        """psycopg2.connect's; over the socket as superuser without password."""
        where = {"host": self.socket_folder} if over_socket else {"host": "127.0.0.1", "password": self.password}
        return {**where, "port": self.port, "user": "postgres", "dbname": database}

    def uri(self, database="postgres", user="postgres", over_socket=False, password=False):
        """A libpq URI; by default over TCP and without the password."""
        if over_socket:
            return f"postgresql://{user}@/{database}?host={urllib.parse.quote(self.socket_folder, safe='')}&port={self.port}"
        secret = f":{self.password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{urllib.parse.quote(database, safe='')}"

    def connect(self, database="postgres", autocommit=True, over_socket=True, **parameters):
        connection = psycopg2.connect(**{**self.parameters(database, over_socket), "connect_timeout": 10, **parameters})
        connection.autocommit = autocommit
        return connection

    def execute(self, sql, values=None, database="postgres"):
        """Runs statements in one go (without values: one implicit transaction, unless CREATE DATABASE
        and the like); returns the rows of the last one, or None."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def value(self, sql, values=None, database="postgres"):
        """The first column of the only row."""
        rows = self.execute(sql, values, database)
        if not rows or len(rows) != 1:
            raise Failure(f"{sql}: {len(rows or [])} rows where one was expected")
        return rows[0][0]

    def current_lsn(self):
        return self.value("SELECT pg_current_wal_lsn()::text")

    def slot_behind(self, slot, lsn):
        """Bytes from the slot's confirmed position to lsn; None if there is no such slot."""
        rows = self.execute("SELECT pg_wal_lsn_diff(%s, confirmed_flush_lsn)::bigint FROM pg_replication_slots WHERE slot_name = %s",
                            (lsn, slot))
        return rows[0][0] if rows else None


# -- ClickHouse -------------------------------------------------------------------------------------

class ClickHouseError(Failure):
    """What the server said instead of a result."""

    def __init__(self, status, text):
        super().__init__(f"ClickHouse says {status}: {text.strip()[:2000]}")
        self.status = status
        code = re.search(r"Code: (\d+)", text)
        self.code = int(code.group(1)) if code else None


class ClickHouse:
    """Queries over ClickHouse's HTTP interface, any server's."""

    def __init__(self, host, port, user="default", password=""):
        self.host, self.port, self.user, self.password = host, port, user, password

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def stream(self, sql, settings=None, body=None, seconds=600, chunk=1 << 20):
        """The answer in pieces of bytes. The statement goes into the body, or in front of one."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=seconds)
        try:
            parameters = urllib.parse.urlencode(settings or {})
            headers = {"X-ClickHouse-User": self.user}
            if self.password:
                headers["X-ClickHouse-Key"] = self.password
            text = sql.encode() + (b"\n" + body if body is not None else b"")
            connection.request("POST", "/?" + parameters, body=text, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise ClickHouseError(answer.status, answer.read().decode(errors="replace"))
            while piece := answer.read1(chunk):
                yield piece
        finally:
            connection.close()

    def query(self, sql, settings=None, body=None, seconds=600):
        """The whole answer as text. An error in the middle of a result is an error."""
        text = b"".join(self.stream(sql, {"wait_end_of_query": 1, **(settings or {})}, body, seconds)).decode(errors="surrogateescape")
        return text

    def rows(self, sql, settings=None):
        """Rows as lists of JSON values."""
        text = self.query(sql + "\nFORMAT JSONCompact", {"output_format_json_quote_64bit_integers": 0, **(settings or {})})
        return json.loads(text)["data"]

    def value(self, sql, settings=None):
        rows = self.rows(sql, settings)
        if len(rows) != 1:
            raise Failure(f"{sql}: {len(rows)} rows where one was expected")
        return rows[0][0]

    def ping(self):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=5)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        finally:
            connection.close()


class Olap(Server, ClickHouse):
    """`millrace olap`: embedded ClickHouse in a folder of its own."""

    def __init__(self, folder, name="olap", port=None, arguments=()):
        Server.__init__(self, name, folder)
        ClickHouse.__init__(self, "127.0.0.1", free_port(port))
        self.data = os.path.join(folder, f"{name}-data")
        self.arguments = list(arguments)

    def start(self, seconds=60):
        self.spawn([olap_binary(), "olap", "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}", *self.arguments])
        wait_until(self.ping, f"{self.name} on port {self.port} answers", seconds, alive=self)
        return self

    def restart(self):
        self.stop()
        return self.start()


# -- the node ---------------------------------------------------------------------------------------

def _render(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_render(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_render(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


class Literal:
    """A configuration value that is written as it is: Literal("10s")."""

    def __init__(self, text):
        self.text = text


class Node(Server):
    """`millrace run` with a configuration file made from {section: {key: value}}, or a given one."""

    def __init__(self, folder, name="node", configuration=None, config_file=None, http_port=None, source=None, target=None,
                 environment=None, binary=None):
        super().__init__(name, folder)
        self.configuration = configuration or {}
        self.config_file = config_file or os.path.join(folder, f"{name}.conf")
        self.http_port = http_port
        self.source, self.target = source, target
        self.environment = environment or {}
        self.binary = binary or millrace_binary()
        if config_file is None:
            self.write_configuration()

    def write_configuration(self):
        with open(self.config_file, "w") as file:
            for section, entries in self.configuration.items():
                file.write(f"[{section}]\n")
                for key, value in entries.items():
                    file.write(f"{key} = {_render(value)}\n")

    @property
    def pipeline(self):
        return self.configuration["millrace"]["pipeline"]

    @property
    def slot(self):
        source = self.configuration.get("source", {})
        return source.get("slot") or "millrace_" + self.pipeline

    def command(self, *arguments, seconds=60):
        """Runs another subcommand with the same file: (exit code, output, errors)."""
        done = subprocess.run([millrace_binary(), *arguments, "--config-file", self.config_file], capture_output=True, text=True,
                              timeout=seconds, env={**os.environ, **self.environment}, cwd=self.folder, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def start(self, seconds=30, wait=True):
        """Starts; by default waits until its HTTP endpoint answers."""
        self.spawn([self.binary, "run", "--config-file", self.config_file], environment=self.environment)
        if wait:
            wait_until(lambda: self.get("/healthz")[0] == 200, f"{self.name} is healthy", seconds, alive=self)
        return self

    def restart(self):
        self.stop()
        return self.start()

    def get(self, path):
        """(status, text) of a page of the node's HTTP endpoint."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.get("/status")[1])

    def metric(self, name, **labels):
        """A metric's value, summed over the series that have these labels; None if there is none."""
        total = None
        for line in self.get("/metrics")[1].splitlines():
            found = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if not found or found.group(1) != name:
                continue
            series = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found.group(2) or ""))
            if all(series.get(key) == value for key, value in labels.items()):
                total = (total or 0) + float(found.group(3))
        return total

    def wait_caught_up(self, seconds=120, lsn=None):
        """Waits until the slot has confirmed what is in the log now and no snapshot runs: all of it is
        durable in the target. The node must run."""
        lsn = lsn or self.source.current_lsn()

        def confirmed():
            if json.loads(self.get("/status")[1])["state"] != "streaming":
                return False
            behind = self.source.slot_behind(self.slot, lsn)
            return behind is not None and behind <= 0

        wait_until(confirmed, f"slot {self.slot} confirms {lsn}", seconds, alive=self)


# -- all together -----------------------------------------------------------------------------------

_stages = []


class Stage:
    """A temporary folder and the servers in it; closes everything when it ends, however it ends."""

    def __init__(self, keep=False):
        self.folder = tempfile.mkdtemp(prefix="millrace-")
        os.chmod(self.folder, 0o711)  # PostgreSQL's user must get through
        self.servers = []
        self.keep = keep
        if not keep:
            _watcher.tell(f"rm {self.folder}")
        _stages.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def postgres(self, start=True, **options):
        return self._add(Postgres, "postgres", start, options)

    def olap(self, start=True, **options):
        return self._add(Olap, "olap", start, options)

    def node(self, source, target, database="postgres", target_database=None, tables=("public.*",), pipeline="test", start=True,
             configuration=None, wait=True, **options):
        """A node from source to target; `configuration` adds to and overrides the generated one."""
        http_port = free_port()
        generated = {
            "millrace": {"pipeline": pipeline},
            "source": {"uri": source.uri(database), "password-file": source.password_path, "tables": list(tables)},
            "target": {"url": target.url, "database": target_database or database},
            "http": {"listen": f"127.0.0.1:{http_port}"},
        }
        for section, entries in (configuration or {}).items():
            generated.setdefault(section, {}).update(entries)
        node = self._add(Node, "node", False,
                         {"configuration": generated, "http_port": http_port, "source": source, "target": target, **options})
        return node.start(wait=wait) if start else node

    def _add(self, kind, name, start, options):
        taken = sum(isinstance(server, kind) for server in self.servers)
        options.setdefault("name", name if not taken else f"{name}{taken + 1}")
        server = kind(self.folder, **options)
        self.servers.append(server)
        return server.start() if start else server

    def logs(self, lines=30):
        """The ends of all logs, for the report of a failed test."""
        return "\n".join(server.log_tail(lines) for server in self.servers)

    def close(self):
        if self not in _stages:
            return
        _stages.remove(self)
        for server in reversed(self.servers):  # nodes before the servers they talk to
            start = time.monotonic()
            try:
                # PostgreSQL need not write anything any more: its immediate shutdown.
                server.stop(signal.SIGQUIT if isinstance(server, Postgres) else signal.SIGTERM, seconds=12)
            except (Failure, OSError) as error:
                print(f"{server.name}: {error}", file=sys.stderr)
            if time.monotonic() - start > 5:
                print(f"{server.name} took {time.monotonic() - start:.1f} s to stop\n{server.log_tail(5)}", file=sys.stderr)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


@atexit.register
def _close_all():
    for stage in list(_stages):
        stage.close()
