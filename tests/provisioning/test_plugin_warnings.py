"""Entry points that cannot be used: one warning each, from the commands that build agents, and nothing else stops."""

import os
import sys
from pathlib import Path

import pytest

from tests.provisioning.shell import gridfleet

WARNINGS = (
    (
        "gridfleet: warning: package broken, entry point gridfleet.agents 'kettle': cannot be imported "
        "(ModuleNotFoundError: No module named 'nosuch'); repair or uninstall the package"
    ),
    (
        "gridfleet: warning: package broken, entry point gridfleet.clearing_rules 'auction': cannot be imported "
        "(ModuleNotFoundError: No module named 'nosuch'); repair or uninstall the package"
    ),
)
SMALL = ("--ticks", "2", "--set", "vehicles.count=1", "chargers.count=1", "--out", "x")
DEVICE = """
id = "house-9"
kind = "consumer"
backend = "synthetic"
[broker]
url = "mqtt://127.0.0.1:1"
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which a package is installed whose two entry points cannot be imported."""
    folder = tmp_path / "packages"
    info = folder / "broken-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    entries = (
        "[gridfleet.agents]\nkettle = nosuch:KETTLE\n[gridfleet.clearing_rules]\nauction = nosuch:AUCTION\n"
    )
    (info / "entry_points.txt").write_text(entries)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", "normal", *SMALL, "--no-report"),
        ("compare", "normal", "--seeds", "2", "--jobs", "2", *SMALL),
        ("sweep", "normal", "--vary", "vehicles.scale=1", "--set", "ticks=2"),
        ("scenario", "check", "normal"),
        ("site", "clock", "nowhere", "--broker", "mqtt://127.0.0.1:1"),
        ("site", "fleet", "nowhere", "--broker", "mqtt://127.0.0.1:1"),
        ("run", "nowhere"),
        ("device", "check", "house.toml"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_each_problem_is_one_line(words: tuple[str, ...], env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(DEVICE)
    fine = {**env, "PYTHONPATH": os.pathsep.join(env["PYTHONPATH"].split(os.pathsep)[1:])}
    expected = gridfleet(*words, cwd=tmp_path, env=fine)
    done = gridfleet(*words, *(["--force"] if "--out" in words else []), cwd=tmp_path, env=env)
    assert done.code == expected.code
    lines = done.err.splitlines()
    assert tuple(lines[:2]) == WARNINGS
    assert lines[2:] == expected.err.splitlines()


def test_other_commands_look_at_no_package(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "house.toml").write_text(DEVICE)
    for words in (
        ["--help"],
        ["scenario", "list"],
        ["simulate", "--help"],
        ["device", "run", "nowhere.toml"],
    ):
        assert "warning" not in gridfleet(*words, cwd=tmp_path, env=env).err
    doctor = gridfleet("device", "doctor", "house.toml", "--offline", cwd=tmp_path, env=env)
    assert doctor.out.count("warn  plug-ins") == 2
    assert "entry point gridfleet.agents 'kettle'" in doctor.out


def test_a_shipped_device_does_not_import_the_metadata_of_packages(
    tmp_path: Path, env: dict[str, str]
) -> None:
    import subprocess

    (tmp_path / "house.toml").write_text(DEVICE)
    program = (
        "import sys; from gridfleet.devices.config.device_file import load; load('house.toml')\n"
        "from gridfleet.provisioning.processes.plugin_warnings import warn_of_plugins\n"
        "from gridfleet.devices.kinds.registry import AGENT_TYPES\n"
        "warn_of_plugins(only_looked_up=True); print(AGENT_TYPES.looked_up)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
