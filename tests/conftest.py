"""Shared by all tests: what a missing system package means, and how hard Hypothesis tries.

A test marked `mosquitto`, `chromium`, `node`, … (the table below) needs a program that pip cannot install. Where that
program is missing the test is deselected, counted, and named in the summary with the one command that provides it;
it is never skipped in silence. In CI (`CI=true`) it fails instead.
"""

import os
import shutil
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

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
IN_CI: Final = os.environ.get("CI", "").lower() in {"true", "1"}

not_run_key = pytest.StashKey[dict[str, int]]()

settings.register_profile("default", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "default"))


def find_program(marker: str) -> Path | None:
    """Where the program behind a marker is; Debian keeps servers in sbin, off a user's PATH."""
    names, _ = SYSTEM_PROGRAMS[marker]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
    found = (shutil.which(name, path=path) for name in names)
    return next((Path(program) for program in found if program), None)


def missing_programs(item: pytest.Item) -> list[str]:
    return [m for m in SYSTEM_PROGRAMS if item.get_closest_marker(m) and find_program(m) is None]


def install_command(markers: list[str]) -> str:
    return "sudo apt-get install " + " ".join(SYSTEM_PROGRAMS[marker][1] for marker in markers)


@pytest.hookimpl(trylast=True)  # so that tests the user left out with -k or -m are not counted
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    not_run = config.stash.setdefault(not_run_key, {})
    if IN_CI:
        return
    runnable: list[pytest.Item] = []
    deselected: list[pytest.Item] = []
    for item in items:
        missing = missing_programs(item)
        (deselected if missing else runnable).append(item)
        for marker in missing:
            not_run[marker] = not_run.get(marker, 0) + 1
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = runnable


def pytest_runtest_setup(item: pytest.Item) -> None:
    if missing := missing_programs(item):
        pytest.fail(f"CI must not leave this test out; provide: {install_command(missing)}", pytrace=False)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    not_run = config.stash.get(not_run_key, {})
    if not not_run:
        return
    terminalreporter.section("not run: a system package is missing", yellow=True)
    for marker, count in not_run.items():
        noun = "test" if count == 1 else "tests"
        terminalreporter.line(f"{count} {noun} marked `{marker}` not run: no {marker} on this machine")
    terminalreporter.line(f"Provide what is missing with: {install_command(list(not_run))}")


def require_program(marker: str) -> Path:
    program = find_program(marker)
    if program is None:
        pytest.fail(f"a test that uses {marker} must be marked `{marker}`", pytrace=False)
    return program


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
