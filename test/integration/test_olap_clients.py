"""`millrace olap` with clients that nobody here wrote: clickhouse-connect, dbt, clickhouse-go."""

import os
import shutil
import subprocess

from olap_fixtures import HERE, cache_folder, clients_python, request, run_client  # noqa: F401


def test_clickhouse_connect(target, clients_python):  # noqa: F811
    assert run_client(clients_python, "olap_client_python.py", target.port).endswith("ok\n")


def test_dbt(target, clients_python, tmp_path):  # noqa: F811
    project = tmp_path / "shop"
    shutil.copytree(os.path.join(HERE, "dbt_shop"), project)
    environment = {**os.environ, "OLAP_PORT": str(target.port), "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}

    def dbt(*arguments):
        command = [os.path.join(os.path.dirname(clients_python), "dbt"), "--no-use-colors", "--no-version-check", *arguments,
                   "--project-dir", str(project), "--profiles-dir", str(project)]
        done = subprocess.run(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        assert done.returncode == 0, done.stdout
        return done.stdout

    assert "All checks passed!" in dbt("debug")
    for _ in range(2):  # the second time over what is there: exchange, incremental
        assert "Completed successfully" in dbt("build")
    assert "Completed successfully" in dbt("build", "--full-refresh")
    answer = request(target, "SELECT name, orders FROM dbt_shop.by_country ORDER BY name")
    assert answer.text == "France, the\t333\nGermany\t334\nItaly\t333\n"
    assert "Catalog written" in dbt("docs", "generate")


def test_clickhouse_go(target, tmp_path):
    """2.13.4, the last one that Debian 12's Go can build."""
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod -modcacherw",
                   "GOPATH": os.path.join(cache_folder(), "go"), "GOCACHE": os.path.join(cache_folder(), "go-build")}
    program = str(tmp_path / "clickhouse_go")
    subprocess.run(["go", "build", "-o", program, "."], cwd=os.path.join(HERE, "clickhouse_go"), env=environment, check=True, timeout=600)
    done = subprocess.run([program, f"127.0.0.1:{target.port}"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done.stdout
