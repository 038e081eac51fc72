"""GridFleet's own wheel and source distribution: complete, reproducible, and in use without the checkout."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import pytest

from gridfleet.dashboards.console.assets import page_files
from gridfleet.dashboards.grafana.names import FILES
from gridfleet.dashboards.recording.recording import STORE
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.deploy.distribution import (
    ROOT,
    SOURCE_DATE_EPOCH,
    UMASK,
    build_all,
    build_sdist,
    build_wheel,
)
from tests.installation import Installation
from tests.provisioning.shell import end, press_ctrl_c, recorded_ticks
from tests.waiting import wait_until

USE: Final = """\
import json
import sys
from urllib.request import urlopen

import gridfleet
from gridfleet.dashboards.console.assets import page_files
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.grafana import client
from gridfleet.provisioning.chaos.plan import shipped_plans
from gridfleet.provisioning.flash import units

with ConsoleServer(ConsoleConfig("ws://127.0.0.1:9001", "germany")) as server:
    served = {path: len(urlopen(server.url.rstrip("/") + path).read()) for path in page_files()}
json.dump(
    {
        "package": gridfleet.__file__,
        "elsewhere": [
            name
            for name, module in sys.modules.items()
            if name.partition(".")[0] == "gridfleet" and not module.__file__.startswith(sys.prefix)
        ],
        "served": served,
        "pages": sorted(page["uid"] for page in client.pages()),
        "rules": len(client.rules()["rules"]),
        "plans": sorted(shipped_plans()),
        "unit": units.unit(units.FIRST_BOOT),
    },
    sys.stdout,
)
"""
"""Uses an installation as a person would; prints what it found."""


@pytest.fixture(scope="module")
def own_sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sdist(tmp_path_factory.mktemp("sdist"))


def package_files() -> Iterator[str]:
    """Every file of the package in the checkout, as its path in an installation."""
    package = ROOT / "src" / "gridfleet"
    for entry in package.iterdir():
        for path in entry.rglob("*") if entry.is_dir() else [entry]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(package.parent))


def test_the_wheel_installs_one_import_name(own_wheel: Path) -> None:
    name, version, *_ = own_wheel.name.split("-")
    with zipfile.ZipFile(own_wheel) as archive:
        top_level = {Path(entry).parts[0] for entry in archive.namelist()}
    assert (
        top_level == {name, f"{name}-{version}.dist-info"} == {"gridfleet", f"gridfleet-{version}.dist-info"}
    )


def test_the_wheel_has_every_file_of_the_package_and_no_other(own_wheel: Path) -> None:
    with zipfile.ZipFile(own_wheel) as archive:
        packed = {entry for entry in archive.namelist() if ".dist-info/" not in entry}
    expected = set(package_files())
    assert {"gridfleet/py.typed", "gridfleet/dashboards/console/page/assets/console.js"} < expected
    assert packed == expected


def test_the_sdist_has_each_file_once_and_no_links(own_sdist: Path) -> None:
    with tarfile.open(own_sdist) as archive:
        members = archive.getmembers()
    assert all(member.isreg() or member.isdir() for member in members)
    names = [member.name.partition("/")[2] for member in members if member.isreg()]
    assert len(names) == len(set(names))
    package = {f"src/{name}" for name in package_files()}
    others = {name for name in names if not name.startswith("src/gridfleet.egg-info/")} - package
    assert package <= set(names)
    assert others == {
        "CHANGELOG.md",
        "LICENSE",
        "MANIFEST.in",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
        "setup.cfg",
    }


def test_the_sdist_builds_the_same_wheel(own_sdist: Path, own_wheel: Path, tmp_path: Path) -> None:
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", f"--wheel-dir={tmp_path}")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(own_sdist)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)},
        umask=UMASK,
        check=True,
    )
    assert (tmp_path / own_wheel.name).read_bytes() == own_wheel.read_bytes()


def test_files_do_not_depend_on_who_builds_them(own_sdist: Path, own_wheel: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = build_sdist(tmp_path), build_wheel(tmp_path)
    finally:
        os.umask(before)
    assert [path.read_bytes() for path in again] == [own_sdist.read_bytes(), own_wheel.read_bytes()]


def test_the_folder_of_make_dist_has_one_wheel(own_sdist: Path, own_wheel: Path, tmp_path: Path) -> None:
    for name in ("gridfleet-0.0.1-py3-none-any.whl", "gridfleet-0.0.1.tar.gz", "other-1.0-py3-none-any.whl"):
        (tmp_path / name).write_bytes(b"")
    build_all(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        own_wheel.name,
        own_sdist.name,
        "other-1.0-py3-none-any.whl",
    }
    assert (tmp_path / own_wheel.name).read_bytes() == own_wheel.read_bytes()


def test_the_first_boot_runs_from_the_wheel_with_the_standard_library_alone(own_wheel: Path) -> None:
    """As on a Pi: the system's Python without site-packages, and the wheel as its path."""
    run = "; ".join(
        (
            f"import sys; sys.path.insert(0, {str(own_wheel)!r})",
            "from gridfleet.provisioning.flash import first_boot, units",
            "print('.whl' in first_boot.__file__, first_boot.BOOT_PARTITION, bool(units.unit(units.FIRST_BOOT)))",
        )
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", run], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True /boot/firmware True\n", "")


def output(installation: Installation, folder: Path, program: str, *words: str) -> str:
    """Run a program of the installation in a folder; return its output."""
    ended = installation.run(folder, program, *words)
    assert ended.code == 0, ended.out + ended.err
    return ended.out


@pytest.mark.slow
def test_an_installed_wheel_finds_all_its_files(installation: Installation, tmp_path: Path) -> None:
    found = json.loads(output(installation, tmp_path, "python", "-c", USE))
    assert found.pop("package").startswith(str(installation.folder))
    assert found.pop("elsewhere") == []
    expected = {path: len(content) for path, content in page_files().items()}
    served = found.pop("served")
    assert served.pop("/index.html") > expected.pop("/index.html")  # the configuration is in its head
    assert served == expected
    assert found.pop("pages") == [
        f"gridfleet-{name}" for name in ("charging", "comparison", "device", "health", "market", "overview")
    ]
    assert found.pop("rules") == 8
    assert found.pop("plans") == ["liars", "long", "short", "skew"]
    assert "ExecStart=" in found.pop("unit")
    assert found == {}


def check_report(folder: Path, printed: str) -> None:
    """Check that the report is where a run has printed that it is."""
    (written,) = re.findall(r"^Report +(.+)$", printed, re.MULTILINE)
    report = (folder / written).read_text(encoding="utf-8")
    assert "<svg" in report
    assert "<style>" in report


@pytest.mark.slow
def test_an_installed_wheel_runs_in_an_empty_folder(installation: Installation, tmp_path: Path) -> None:
    check_report(tmp_path, output(installation, tmp_path, "gridfleet", "run", "normal", "--ticks", "3"))


@pytest.mark.slow
def test_a_run_of_an_installed_wheel_serves_its_page(installation: Installation, tmp_path: Path) -> None:
    """It is slow enough to be watched, and Ctrl-C ends it."""
    options = ("--console", "--seconds-per-tick", "0.5", "--ticks", "1000")
    with installation.start(tmp_path, "gridfleet", "run", "normal", *options) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("Console").strip()
            for path, content in page_files().items():
                with urlopen(url.rstrip("/") + path) as answer:  # noqa: S310 - the address that the run has printed
                    served = answer.read()
                if path == "/index.html":  # with the configuration in its head
                    served = re.sub(rb'<meta name="gridfleet-config"[^>]*>\n  ', b"", served)
                assert served == content
            wait_until(lambda: any(recorded_ticks(store.parent) > 0 for store in tmp_path.rglob(STORE)))
            press_ctrl_c(process)
            ended = end(process)
        finally:
            process.kill()
    assert ended.code == ExitCode.INTERRUPTED, ended.out + ended.err
    check_report(tmp_path, ended.out)


@pytest.mark.slow
def test_an_installed_wheel_has_the_files_of_grafana(installation: Installation, tmp_path: Path) -> None:
    output(installation, tmp_path, "gridfleet", "grafana", "write")
    for name in ("pages", "provisioning"):
        written = {path.name: path.read_bytes() for path in (tmp_path / "grafana" / name).rglob("*.*")}
        assert written == {path.name: path.read_bytes() for path in (FILES / name).rglob("*.*")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("scenario", "show", "storm"), "[turbines]"),
        (("grafana", "--help"), "push"),
        (("scenario", "list"), "scarce"),
    ],
)
def test_commands_of_an_installed_wheel(
    installation: Installation, tmp_path: Path, words: tuple[str, ...], expected: str
) -> None:
    assert expected in output(installation, tmp_path, "gridfleet", *words)
    assert list(tmp_path.iterdir()) == []
