"""The suites of test/server/: classes that are of no use without PostgreSQL or the engine, each against a real one."""

import os
import subprocess

import pytest

from millrace_servers import PROJECT, millrace_binary, olap_binary

FOLDER = os.path.join(PROJECT, "test", "server")
SUITES = sorted(name.removesuffix("_test.cpp") for name in os.listdir(FOLDER) if name.endswith("_test.cpp"))


def program(suite):
    # libchdb brings an allocator of its own, which sanitizers do not bear.
    if suite.startswith("olap") and os.environ.get("MILLRACE_OLAP_BINARY"):
        return os.path.join(os.path.dirname(olap_binary()), "test", "server_tests")
    return os.environ.get("MILLRACE_SERVER_TESTS") or os.path.join(os.path.dirname(millrace_binary()), "test", "server_tests")


@pytest.mark.parametrize("suite", SUITES)
def test_suite(source, suite):
    done = subprocess.run([program(suite), "--no-colors", "-v", "4", "-r", "100", "-s", f"^{suite}$"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "MILLRACE_TEST_SOURCE": f"host={source.socket_folder} port={source.port} user=postgres"})
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "suites:  1" in output, output
