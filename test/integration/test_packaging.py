"""What surrounds the program: make's targets, installation, container files, example configurations."""

import configparser
import os
import pathlib
import re
import stat
import subprocess
import tempfile

import pytest
import yaml

from millrace_servers import PROJECT, millrace_binary

CONFIGURATIONS = ["conf/demo.conf", "conf/docker.conf", "conf/millrace.conf"]


def text_of(path):
    with open(os.path.join(PROJECT, path), encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(text_of("docker-compose.yml"))


@pytest.fixture
def destination():
    """A folder for an installation, which is large: gone at once."""
    with tempfile.TemporaryDirectory(prefix="millrace-install-") as folder:
        yield pathlib.Path(folder)


def install(destination, *arguments):
    subprocess.run(["make", "-s", "install", f"DESTDIR={destination}", *arguments], cwd=PROJECT, check=True, timeout=300,
                   capture_output=True, env={**os.environ, "BUILD_DIR": os.path.dirname(millrace_binary())})


def test_compose_has_source_target_and_node(compose):
    assert set(compose["services"]) == {"postgres", "clickhouse", "millrace"}
    assert "wal_level=logical" in compose["services"]["postgres"]["command"]
    for service in ("postgres", "clickhouse"):
        assert compose["services"][service]["healthcheck"]["test"]
        assert compose["services"]["millrace"]["depends_on"][service] == {"condition": "service_healthy"}


def test_compose_names_only_volumes_that_it_has(compose):
    for service in compose["services"].values():
        for volume in service["volumes"]:
            name = volume.split(":")[0]
            assert name in compose["volumes"] or os.path.exists(os.path.join(PROJECT, name)), volume


def test_compose_publishes_ports_on_loopback_only_and_holds_no_password(compose):
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        for key, value in service["environment"].items():
            assert "PASSWORD" not in key or value.startswith("${MILLRACE_"), key


def test_compose_and_its_configuration_agree(compose):
    conf = text_of("conf/docker.conf")
    assert re.search(r"@(\w+):5432/(\w+)\"", conf).groups() == ("postgres", compose["services"]["postgres"]["environment"]["POSTGRES_DB"])
    assert re.search(r"url = \"http://(\w+):8123\"", conf).group(1) in compose["services"]
    assert re.search(r"user = \"(\w+)\"", conf).group(1) == compose["services"]["clickhouse"]["environment"]["CLICKHOUSE_USER"]
    port = re.search(r"listen = .*:(\d+)", conf).group(1)
    assert compose["services"]["millrace"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_dockerfile_has_two_stages_and_needs_only_files_that_exist():
    lines = re.sub(r"\\\n", " ", text_of("Dockerfile")).splitlines()
    stages = [line.split() for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2 and stages[0][3] == "build"
    assert any(line.startswith("COPY --from=build ") for line in lines)
    assert any(line.startswith("USER ") and not line.endswith("root") for line in lines)
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for path in line.split()[1:-1]:
                assert os.path.exists(os.path.join(PROJECT, path)), line


def release():
    return re.search(r"(?m)^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text()).group(1)


@pytest.mark.skipif(release() != "bookworm", reason="the image is built on bookworm, whose libraries have other names elsewhere")
def test_dockerfile_installs_the_libraries_that_the_program_needs():
    linked = subprocess.run(["ldd", millrace_binary()], capture_output=True, text=True, check=True).stdout
    needed = subprocess.run(["objdump", "-p", millrace_binary()], capture_output=True, text=True, check=True).stdout
    installed = re.search(r"(?s)install .*?libcaf.*?&&", text_of("Dockerfile").split("\nFROM ")[-1]).group(0)
    for library in re.findall(r"NEEDED\s+(\S+)", needed):
        path = os.path.realpath(re.search(re.escape(library) + r" => (\S+)", linked).group(1))
        owner = subprocess.run(["dpkg-query", "-S", path, path.removeprefix("/usr")], capture_output=True, text=True).stdout
        package = re.split("[:\n]", owner)[0]
        if package not in ("libc6", "libgcc-s1", "libstdc++6"):  # in the base image, or with any of the others
            assert package in installed.split(), f"{library} of {package}"


@pytest.mark.parametrize("path", CONFIGURATIONS)
def test_example_configurations_are_accepted(path):
    done = subprocess.run([millrace_binary(), "check", "--config-file", os.path.join(PROJECT, path)], capture_output=True, text=True,
                          timeout=120, env={**os.environ, "MILLRACE_SOURCE_PASSWORD": "x", "MILLRACE_TARGET_PASSWORD": "y"})
    assert done.returncode in (0, 1), done.stdout + done.stderr  # its servers are not here; 2 would be a bad configuration


@pytest.mark.parametrize("path", ["conf/millrace.service", "conf/millrace-olap.service"])
def test_units_start_the_installed_program(path):
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(text_of(path))
    assert unit["Service"]["ExecStart"].startswith("@PREFIX@/bin/millrace ")
    assert unit["Service"]["RestartPreventExitStatus"] == "2"
    assert unit["Install"]["WantedBy"] == "multi-user.target"


def test_install_puts_everything_under_destdir(destination):
    install(destination, "PREFIX=/usr")
    found = {str(path.relative_to(destination)) for path in destination.rglob("*") if path.is_file()}
    assert found >= {"usr/bin/millrace", "usr/lib/millrace/libchdb.so", "usr/share/millrace/millrace.conf",
                     "usr/lib/systemd/system/millrace.service", "usr/lib/systemd/system/millrace-olap.service",
                     "etc/millrace/millrace.conf", "usr/share/doc/millrace/README.md"}
    documents = {str(path.relative_to(PROJECT)) for path in pathlib.Path(PROJECT, "docs").rglob("*.md")}
    assert documents and {f"usr/share/doc/millrace/{path}" for path in documents} <= found
    unit = (destination / "usr/lib/systemd/system/millrace.service").read_text()
    assert "ExecStart=/usr/bin/millrace run --config-file /etc/millrace/millrace.conf" in unit and "@" not in unit.replace("@system", "")
    program = destination / "usr/bin/millrace"
    assert program.stat().st_mode & stat.S_IXOTH
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
    assert version.returncode == 0 and re.search(r"\d+\.\d+\.\d+", version.stdout)


def test_installing_again_keeps_the_users_configuration(destination):
    (destination / "etc/millrace").mkdir(parents=True)
    (destination / "etc/millrace/millrace.conf").write_text("; mine\n")
    install(destination)
    assert (destination / "etc/millrace/millrace.conf").read_text() == "; mine\n"


def test_help_lists_every_target():
    listed = subprocess.run(["make", "-s", "help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for target in re.search(r"\.PHONY: (.*)", text_of("Makefile")).group(1).split():
        assert f"make {target} " in listed, target
