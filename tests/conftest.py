"""Shared by all tests: what is left out and how the summary reports it, and how hard Hypothesis tries.

A test marked `mosquitto`, `chromium`, `node`, … (the tables below) needs a program that pip cannot install. Where that
program is missing the test is deselected, counted, and named in the summary with the one command that provides it;
it is never skipped in silence. In CI (`CI=true`) it fails instead.

A test marked `slow` is a trial that takes long by its nature: `make test` leaves it out, and the summary reports how
many were left out; `make test-all`, which CI calls, runs it as well.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from fcntl import LOCK_EX, flock
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from gridfleet.provisioning.deploy.distribution import build_wheel
from tests.installation import Installation, install
from tests.ports import DEFAULT_PORTS

ROOT: Final = Path(__file__).resolve().parent.parent
CONSOLE: Final = ROOT / "console"
"""The sources of the page, and the libraries that it uses, mqtt.js among them."""

# marker -> names under which its program is known, and the Debian package that has it
SYSTEM_PROGRAMS: Final = {
    "mosquitto": (("mosquitto",), "mosquitto"),
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "chromium"),
    "node": (("node",), "nodejs npm"),
    "podman": (("podman",), "podman runc netavark aardvark-dns iptables mmdebstrap"),
    "influxdb": (("influxd",), "influxdb"),
    "mtools": (("mcopy",), "mtools"),
    "systemd": (("systemd-analyze",), "systemd"),
    "cloud_init": (("cloud-init",), "cloud-init"),
    "netplan": (("netplan",), "netplan.io"),
}
# marker -> the script that builds its program, which no package has, and the target that calls the script
BUILT_PROGRAMS: Final = {"influxdb2": ("tools/build-influxdb.sh", "make influxdb")}
SLOW: Final = "slow"
IN_CI: Final = os.environ.get("CI", "").lower() in {"true", "1"}

LEFT_OUT: Final = "left_out"
left_out_key = pytest.StashKey[dict[str, int]]()
"""How many tests were left out, by marker."""

settings.register_profile("default", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "default"))


@cache
def find_program(marker: str) -> Path | None:
    """Where the program behind a marker is; Debian keeps servers in sbin, off a user's PATH."""
    if marker in BUILT_PROGRAMS:
        command = [str(ROOT / BUILT_PROGRAMS[marker][0]), "--path"]
        built = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
        return built if built.is_file() else None
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    found = (shutil.which(name, path=path) for name in SYSTEM_PROGRAMS[marker][0])
    return next((Path(program) for program in found if program), None)


def missing_programs(item: pytest.Item) -> list[str]:
    markers = {mark.name for mark in item.iter_markers()}
    return [m for m in (*SYSTEM_PROGRAMS, *BUILT_PROGRAMS) if m in markers and find_program(m) is None]


def remedies(markers: Iterable[str]) -> list[str]:
    """The commands that provide what is missing."""
    packages = [SYSTEM_PROGRAMS[marker][1] for marker in markers if marker in SYSTEM_PROGRAMS]
    install = ["sudo apt-get install " + " ".join(packages)] if packages else []
    return install + [BUILT_PROGRAMS[marker][1] for marker in markers if marker in BUILT_PROGRAMS]


@pytest.hookimpl(trylast=True)  # so that tests the user left out with -k or -m are not counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(
        config, "workerinput"
    ):  # several processes: the longest first, so that none is waited for at the end
        items.sort(key=lambda item: item.get_closest_marker(SLOW) is None)
    if IN_CI:
        return
    left_out = config.stash.setdefault(left_out_key, {})
    runnable: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        missing = missing_programs(item)
        (deselected if missing else runnable).append(item)
        for marker in missing:
            left_out[marker] = left_out.get(marker, 0) + 1
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = runnable


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count what `-m "not slow"` leaves out: slow tests and no others."""
    if items and all(item.get_closest_marker(SLOW) for item in items):
        items[0].config.stash.setdefault(left_out_key, {})[SLOW] = len(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if missing := missing_programs(item):
        pytest.fail(
            f"CI must not leave this test out; provide: {'; '.join(remedies(missing))}", pytrace=False
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes: hand over to the one that prints the summary what was left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[LEFT_OUT] = session.config.stash.get(left_out_key, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:  # noqa: ANN401 - xdist's, which may be missing
    """All processes collect the same tests, and so leave out the same."""
    if left_out := getattr(node, "workeroutput", {}).get(LEFT_OUT):
        node.config.stash[left_out_key] = left_out


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash.get(left_out_key, {}).copy()
    slow = left_out.pop(SLOW, 0)
    if left_out:
        terminalreporter.section("not run: a program is missing", yellow=True)
        for marker, count in left_out.items():
            noun = "test" if count == 1 else "tests"
            terminalreporter.line(f"{count} {noun} marked `{marker}` not run: no {marker} on this machine")
        terminalreporter.line(f"Provide what is missing with: {'; '.join(remedies(left_out))}")
    if slow:
        terminalreporter.section("not run: slow", yellow=True)
        noun = "test" if slow == 1 else "tests"
        terminalreporter.line(f"{slow} slow {noun} not run; run all tests with: make test-all")


def require_program(marker: str) -> Path:
    program = find_program(marker)
    if program is None:
        pytest.fail(f"a test that uses {marker} must be marked `{marker}`", pytrace=False)
    return program


def pytest_configure() -> None:
    """Take the signals of a terminal also in the background and after `nohup`, as what the tests start inherits it."""
    for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, action)


@pytest.fixture(scope="session", autouse=True)
def default_ports_in_use() -> Iterator[None]:
    """In CI somebody listens on every default port: no test may need one, and none may meet nobody there."""
    with ExitStack() as held:
        for port in DEFAULT_PORTS if IN_CI else ():
            with suppress(OSError):  # a server of this machine listens there
                held.enter_context(socket.create_server(("127.0.0.1", port), reuse_port=True))
        yield


@pytest.fixture(scope="session")
def mosquitto_program() -> Path:
    """The Mosquitto broker; for tests marked `mosquitto`."""
    return require_program("mosquitto")


@pytest.fixture(scope="session")
def chromium_program() -> Path:
    """The Chromium browser; for tests marked `chromium`."""
    return require_program("chromium")


@pytest.fixture(scope="session")
def influxd_program() -> Path:
    """The InfluxDB 1 server; for tests marked `influxdb`."""
    return require_program("influxdb")


@pytest.fixture(scope="session")
def influxdb2_program() -> Path:
    """The InfluxDB 2.7 server; for tests marked `influxdb2`."""
    return require_program("influxdb2")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The page's tools and libraries, installed from the lock file when they are missing or older."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.fail("npm is missing: sudo apt-get install nodejs npm", pytrace=False)
    modules = CONSOLE / "node_modules"
    installed, wanted = modules / ".package-lock.json", CONSOLE / "package-lock.json"
    with wanted.open("rb") as lock:
        flock(lock, LOCK_EX)  # one of several test processes installs
        if not installed.is_file() or installed.stat().st_mtime < wanted.stat().st_mtime:
            subprocess.run([npm, "ci", "--ignore-scripts"], cwd=CONSOLE, check=True, capture_output=True)
    return modules


@pytest.fixture(scope="session")
def own_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GridFleet's wheel, built from the checkout as `make dist` builds it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installation(own_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An environment with the wheel and what its extra `run` declares, as most users install it."""
    return install(tmp_path_factory.mktemp("installation"), own_wheel, "gridfleet[run]")
