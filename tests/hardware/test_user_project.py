"""A user's own project with a package `devices`, tested with pytest beside an installed GridFleet and its plugin."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
PLUGIN: Final = "gridfleet.devices.edge.hil.plugin"
FILES: Final = {
    "devices/__init__.py": "",
    "devices/thing.py": "def watts(volts: float, amperes: float) -> float:\n    return volts * amperes\n",
    "tests/test_thing.py": """\
import devices
from devices.thing import watts


def test_watts() -> None:
    assert watts(230.0, 10.0) == 2300.0
    assert devices.__file__.startswith(PROJECT)
""",
    "tests/test_bench.py": """\
CHARGER = '''
id = "charger-1"
kind = "charger"
backend = "mock"
[broker]
url = "mqtt://localhost"
[adc]
[plug]
pin = 5
[contactor]
pin = 17
[stop]
pin = 6
[current]
channel = 0
'''


def test_the_contactor_opens_when_the_plug_is_pulled(hil_bench) -> None:
    charger = hil_bench.charger(CHARGER)
    charger.serve(hil_bench.vehicle())
    charger.contactor.closes(within_s=2.0)
    charger.plant.unplug()
    charger.contactor.opens(within_s=0.1)
""",
}
WITHOUT_GPIOZERO: Final = """\
import sys
sys.modules["gpiozero"] = None  # from now on, importing it fails as if it were not installed
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The user's project; its tests import it from the current folder, as `python -m pytest` arranges."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("PROJECT", repr(str(tmp_path))))
    return tmp_path


def run_pytest(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in the project, with GridFleet importable and of all plugins only ours loaded."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
    }
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "no:cacheprovider", "-q", *words]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_a_project_with_its_own_package_devices_runs_its_tests(project: Path) -> None:
    done = run_pytest(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_bench_says_what_to_install(project: Path) -> None:
    (project / "conftest.py").write_text(WITHOUT_GPIOZERO)
    done = run_pytest(project, "--hil", "mock")
    assert done.returncode == 1
    assert "1 passed, 1 error" in done.stdout
    assert "mocked pins need gpiozero" in done.stdout
    assert "install it with `pip install gpiozero`" in done.stdout
