"""make demo, as somebody who tries millrace for the first time sees it."""

import os
import re
import signal
import subprocess
import sys
import tempfile

import pytest

from millrace_servers import PROJECT, Failure, millrace_binary, wait_until

DEMO = [sys.executable, os.path.join(PROJECT, "tools", "demo.py")]


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="millrace-demo-") as path:
        os.chmod(path, 0o711)
        yield path


@pytest.fixture
def demo(folder):
    """Starts the demo without a terminal: demo("--duration", "5") -> (process, what it has printed)."""
    started = []

    def start(*arguments):
        path = os.path.join(folder, "output")
        with open(path, "wb") as output:
            process = subprocess.Popen([*DEMO, *arguments], stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                                       env={**os.environ, "TMPDIR": folder, "MILLRACE_BINARY": millrace_binary()})
        started.append(process)

        def printed():
            with open(path, encoding="utf-8") as output:
                return output.read()
        return process, printed

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def wait_for(process, printed, pattern, seconds=60):
    def there():
        if process.poll() is not None and not re.search(pattern, printed()):
            raise AssertionError(f"the demo ended with {process.returncode}:\n{printed()}")
        return re.search(pattern, printed())
    try:
        return wait_until(there, f"the demo prints {pattern}", seconds)
    except Failure as failure:
        raise AssertionError(f"{failure}\n{printed()}") from None


def left_behind(folder):
    return [name for name in os.listdir(folder) if name != "output"]


def test_it_ends_after_its_duration_with_all_tables_equal(demo, folder):
    process, printed = demo("--duration", "6")
    assert process.wait(120) == 0, printed()
    text = printed()
    assert "EQUAL: ClickHouse holds exactly what PostgreSQL holds." in text
    for table in ("customers", "products", "orders", "order_items", "outbox_events"):
        assert re.search(rf"public\.{table}: (\d+) rows in the source, \1 in the target, equal", text), text
        assert re.search(rf"(?m)^ +{table} +[\d,]+ +[\d,]+ +[\d,]+ +\d+", text), f"no line with rows, rate and lag of {table}:\n{text}"
    assert "\033[" not in text, "escape sequences without a terminal"
    assert left_behind(folder) == []


def test_the_lines_that_it_proposes_work_and_an_interrupt_ends_it(demo, folder):
    process, printed = demo()
    wait_for(process, printed, r"transactions so far, until Ctrl-C")
    lines = re.findall(r"(?m)^    ((?:psql|curl|\S*millrace status) .*)$", printed())
    assert len(lines) == 4, printed()
    for line in lines:
        if line.startswith("psql"):
            line += " -Atc 'SELECT count(*) > 0 FROM orders'"
        done = subprocess.run(["bash", "-c", line], cwd=PROJECT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        assert re.search(r"^t$|delivered|streaming", done.stdout), f"{line}: {done.stdout}"
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, printed()
    assert "EQUAL" in printed()
    assert left_behind(folder) == []


def test_a_node_that_dies_is_a_failure(demo, folder):
    process, printed = demo()
    wait_for(process, printed, r"transactions so far")
    node = subprocess.run(["pgrep", "-f", f"millrace run --config-file {folder}"], capture_output=True, text=True, check=True).stdout
    os.kill(int(node), signal.SIGKILL)
    assert process.wait(60) == 1, printed()
    assert "node has ended with -9" in printed()
    assert left_behind(folder) == []


def test_nothing_stays_when_it_is_killed(demo, folder):
    process, printed = demo()
    wait_for(process, printed, r"transactions so far")
    process.kill()
    process.wait()
    wait_until(lambda: left_behind(folder) == [], "servers and folder are gone", 20)
    assert subprocess.run(["pgrep", "-f", folder], capture_output=True, check=False).returncode == 1
