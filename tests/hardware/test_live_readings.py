"""`gridfleet device check --watch`: what the sensors measure, without a broker."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main

from .files import CHARGER, TURBINE


def watched(tmp_path: Path, text: str, until: str) -> list[str]:
    """Return the lines of a watch up to one that matches; the watch is then ended by SIGINT."""
    path = tmp_path / "device.toml"
    path.write_text(text, encoding="utf-8")
    lines: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "gridfleet", "device", "check", str(path), "--watch"],
        env=os.environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if re.search(until, line):
                    process.send_signal(signal.SIGINT)
                    assert process.wait(60) == ExitCode.SUCCESS
                    return lines
        finally:
            process.kill()
    raise AssertionError("\n".join(lines))


def test_a_turbine_shows_pulses_and_wind(tmp_path: Path) -> None:
    lines = watched(tmp_path, TURBINE + "[mock]\nwind_m_per_s = 9\n", r"^pulses [1-9]")
    found = dict(re.findall(r"(\S+) ([\d.]+)", lines[-1]))
    assert float(found["wind_m_per_s"]) == pytest.approx(9, rel=0.2)
    assert {"wind_now_m_per_s", "gust_m_per_s"} < found.keys()


def test_a_charger_shows_plug_stop_and_current_and_stays_open(tmp_path: Path) -> None:
    lines = watched(tmp_path, CHARGER + "[mock]\nplugged = true\n", r"plugged 1.*current_a")
    found = dict(re.findall(r"(\S+) ([\d.]+)", lines[-1]))
    assert {"stop_pressed", "current_a", "voltage_v"} < found.keys()
    assert (found["stop_pressed"], found["contactor_closed"]) == ("0", "0")


def test_a_device_without_pins_has_nothing_to_watch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "device.toml"
    path.write_text(
        'id = "turbine-01"\nkind = "turbine"\nbackend = "synthetic"\n[broker]\nurl = "mqtt://localhost"\n',
        encoding="utf-8",
    )
    assert main(["device", "check", str(path), "--watch"]) == ExitCode.USAGE
    assert "backend = 'synthetic' has no pins: --watch needs gpio or mock" in capsys.readouterr().err
