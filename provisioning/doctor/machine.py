"""Checks the machine: model, service, clock, disk, memory, temperature and power supply."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.provisioning.doctor.diagnosis import Diagnosis, fail, ok, warn
from gridfleet.provisioning.upgrade.service import SAFE_UNIT, UNIT

STATE: Final = "var/lib/gridfleet"
"""Where samples are kept while offline, below the root."""
MIN_FREE_MB: Final = 200
CRITICAL_FREE_MB: Final = 20
MIN_MEMORY_MB: Final = 64
WARN_C: Final = 70.0
THROTTLE_C: Final = 80.0
"""From here on a Raspberry Pi throttles itself (its documentation, "frequency management and thermal control")."""
MIN_TIME_S: Final = 1_735_689_600
"""2025-01-01: a clock before it is wrong."""
_THROTTLING: Final = (
    (0, "undervoltage", "use the official power supply and a short cable"),
    (1, "frequency capped", "use a better power supply, or cool it"),
    (2, "throttled", "cool it, or use a better power supply"),
    (3, "close to the temperature limit", "cool it: heat sink, air flow, shade"),
)
"""Bits of `vcgencmd get_throttled` (Raspberry Pi documentation), text and remedy; 16 bits higher: since boot."""
Run = Callable[[list[str]], str | None]


def run(command: list[str]) -> str | None:
    """Return the output of a program; None where it is missing, fails, or takes more than 10 s."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine; tests use another."""

    root: Path = Path("/")
    run: Run = run
    now_s: Callable[[], float] = time.time

    def text(self, path: str) -> str | None:
        """Return the content of a file below the root; None where it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip("\0\n ")
        except OSError:
            return None

    @property
    def model(self) -> str | None:
        """The model of a Raspberry Pi; None for any other machine."""
        model = self.text("proc/device-tree/model")
        return model if model and "Raspberry Pi" in model else None


def check_machine(machine: Machine) -> Iterator[Diagnosis]:
    """Yield the diagnoses of the machine."""
    if machine.model is not None:
        yield ok("machine", machine.model)
    else:
        yield warn("machine", "not a Raspberry Pi", "on another machine use backend = 'mock' or 'synthetic'")
    yield from _service(machine)
    yield _clock(machine)
    yield _disk(machine)
    yield from _memory(machine)
    yield from _temperature(machine)
    yield from _throttling(machine)


def how_it_runs(machine: Machine) -> str:
    """Return how the agent runs on this machine, as a service or in safe mode; nothing where it does not."""
    for unit in (UNIT, SAFE_UNIT):
        if _state(machine, unit) in {"active", "activating", "reloading"}:
            return f"the agent runs as the service {unit}"
    return ""


def _service(machine: Machine) -> Iterator[Diagnosis]:
    if _state(machine, SAFE_UNIT) == "active":
        yield fail(
            "service",
            "in safe mode: the agent failed several times",
            f"journalctl --unit {UNIT} --priority warning; then sudo systemctl restart {UNIT}",
        )
    elif _state(machine, UNIT) == "active":
        yield ok("service", "the agent runs")
    elif machine.run(["systemctl", "cat", UNIT]) is not None:
        yield fail("service", "the agent does not run", f"sudo systemctl restart {UNIT}")
    else:
        yield warn(
            "service",
            "not installed",
            "flash a card with gridfleet device flash, or start gridfleet device run FILE",
        )


def _state(machine: Machine, unit: str) -> str | None:
    return machine.run(["systemctl", "show", "--property=ActiveState", "--value", unit])


def _clock(machine: Machine) -> Diagnosis:
    if machine.now_s() < MIN_TIME_S:
        return fail(
            "clock",
            f"the year is {time.gmtime(machine.now_s()).tm_year}",
            "connect the machine to a network with a time server",
        )
    synchronised = machine.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised == "yes" or machine.text("run/systemd/timesync/synchronized") is not None:
        return ok("clock", "synchronised")
    return warn(
        "clock",
        "not synchronised: samples are marked as such"
        if synchronised == "no"
        else "no time service is running",
        "allow NTP (UDP port 123), or set a server in /etc/systemd/timesyncd.conf",
    )


def _disk(machine: Machine) -> Diagnosis:
    folder = machine.root / STATE
    path = folder if folder.is_dir() else machine.root
    free_mb = shutil.disk_usage(path).free / 1e6
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return fail("disk", f"{path} is read-only", "a worn-out card becomes read-only: replace it")
    text = f"{free_mb:.0f} MB free at {path}"
    if free_mb < CRITICAL_FREE_MB:
        return fail("disk", text, "sudo journalctl --vacuum-size=50M; sudo apt-get clean")
    if free_mb < MIN_FREE_MB:
        return warn("disk", text, "sudo journalctl --vacuum-size=50M; sudo apt-get clean")
    return ok("disk", text)


def _memory(machine: Machine) -> Iterator[Diagnosis]:
    lines = (machine.text("proc/meminfo") or "").splitlines()
    free_kb = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    if free_kb is None:
        return
    free_mb = int(free_kb) / 1024
    text = f"{free_mb:.0f} MB free"
    if free_mb < MIN_MEMORY_MB:
        yield warn("memory", text, "stop other programs, first the desktop: sudo raspi-config")
    else:
        yield ok("memory", text)


def _temperature(machine: Machine) -> Iterator[Diagnosis]:
    raw = machine.text("sys/class/thermal/thermal_zone0/temp")
    if raw is None or not raw.lstrip("-").isdigit():
        return
    celsius = int(raw) / 1000
    text = f"{celsius:.0f} °C"
    if celsius >= THROTTLE_C:
        yield fail("temperature", text, "cool it: heat sink, air flow, shade")
    elif celsius >= WARN_C:
        yield warn("temperature", text, "cool it: heat sink, air flow, shade")
    else:
        yield ok("temperature", text)


def _throttling(machine: Machine) -> Iterator[Diagnosis]:
    output = machine.run(["vcgencmd", "get_throttled"])
    value = (
        output.partition("=")[2]
        if output
        else machine.text("sys/devices/platform/soc/soc:firmware/get_throttled")
    )
    if not value:
        if machine.model is not None:
            yield warn("power", "vcgencmd reports nothing", "run the doctor with sudo")
        return
    bits = int(value, 16)
    current = [(text, remedy) for bit, text, remedy in _THROTTLING if bits >> bit & 1]
    past = [(text, remedy) for bit, text, remedy in _THROTTLING if bits >> (bit + 16) & 1]
    for text, remedy in current:
        yield fail("power", f"{text} now", remedy)
    if not current and past:
        yield warn("power", f"{', '.join(text for text, _ in past)} since boot", past[0][1])
    if not current and not past:
        yield ok("power", "enough, never throttled")
