"""A user's own project with a package `devices`, tested with pytest beside an installed GridFleet and its plugin."""

from pathlib import Path
from typing import Final

import pytest

from tests.installation import Installation, install
from tests.provisioning.shell import Ended

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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The user's project; its tests import it from the current folder, as `python -m pytest` arranges."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("PROJECT", repr(str(tmp_path))))
    return tmp_path


def run_pytest(own_wheel: Path, folder: Path, extras: str, project: Path) -> Ended:
    """Run the project's tests beside GridFleet with some of its extras."""
    environment: Installation = install(folder, own_wheel, f"gridfleet[{extras}]", "pytest")
    return environment.run(project, "python", "-m", "pytest", "-p", "no:cacheprovider", "-q")


def test_a_project_with_its_own_package_devices_runs_its_tests(
    own_wheel: Path, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = run_pytest(own_wheel, tmp_path_factory.mktemp("environment"), "run,pi", project)
    assert done.code == 0, done.out + done.err
    assert "2 passed" in done.out


def test_the_bench_says_what_to_install(
    own_wheel: Path, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = run_pytest(own_wheel, tmp_path_factory.mktemp("environment"), "run", project)
    assert done.code == 1
    assert "1 passed, 1 error" in done.out
    assert "mocked pins need gpiozero" in done.out
    assert "-m pip install 'gpiozero<3,>=2.0.1'" in done.out
