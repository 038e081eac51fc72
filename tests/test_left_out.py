"""What is left out is counted and named in the summary, with one process and with several."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TESTS = """
import pytest

@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_slow(number):
    pass

@pytest.mark.netplan
def test_with_a_program():
    pass

@pytest.mark.influxdb2
def test_with_a_built_program():
    pass

def test_quick():
    pass
"""


def summary(folder: Path, *options: str, **environment: str) -> str:
    """The lines at the end of a run of these tests on a machine that has no programs."""
    (folder / "test_some.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *options]
    nothing = {"PATH": os.defpath, "XDG_CACHE_HOME": str(folder), "CI": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "test_some.py"],
        cwd=folder,
        env={**os.environ, **nothing, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize("processes", [0, 2])
def test_what_is_left_out_is_counted_and_named(processes: int, tmp_path: Path) -> None:
    said = summary(tmp_path, f"--numprocesses={processes}", "-m", "not slow")
    assert "3 slow tests not run; run all tests with: make test-all" in said
    assert "1 test marked `influxdb2` not run: no influxdb2 on this machine" in said
    assert "make influxdb" in said
    assert " failed" not in said


def test_what_the_user_left_out_is_not_counted(tmp_path: Path) -> None:
    said = summary(tmp_path, "-m", "not slow", "-k", "quick")
    assert "1 passed, 5 deselected" in said
    assert "not run" not in said


def test_in_ci_nothing_is_left_out_and_a_missing_program_fails_its_test(tmp_path: Path) -> None:
    said = summary(tmp_path, CI="true")
    assert "not run" not in said
    assert "CI must not leave this test out; provide: make influxdb" in said
