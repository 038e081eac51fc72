"""The machine itself: what it is, its clock, disk, memory, temperature and power."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridfleet.provisioning.doctor.finding import Finding, fail, ok, warn
from gridfleet.provisioning.upgrade.service import SAFE_UNIT, UNIT

STATE: Final = "var/lib/gridfleet"
"""Where samples wait, below the root."""
LEAST_FREE_MB: Final = 200
NO_ROOM_MB: Final = 20
LEAST_MEMORY_MB: Final = 64
WARM_C: Final = 70.0
HOT_C: Final = 80.0
"""From here on a Raspberry Pi slows itself down (its documentation, "frequency management and thermal control")."""
EARLIEST_S: Final = 1_735_689_600
"""2025-01-01: nothing of ours is older."""
_THROTTLING: Final = (
    (0, "too little voltage", "use the Pi's own power supply and a short cable"),
    (1, "clock capped", "use a better power supply, or cool it"),
    (2, "throttled", "cool it, or use a better power supply"),
    (3, "close to too hot", "cool it: a heat sink, air, shade"),
)
"""Bits of `vcgencmd get_throttled` (Raspberry Pi documentation); the same 16 bits higher: since it started."""
Run = Callable[[list[str]], str | None]


def run(command: list[str]) -> str | None:
    """Return what a program says; None when it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine; another one in tests."""

    root: Path = Path("/")
    run: Run = run
    now_s: Callable[[], float] = time.time

    def text(self, path: str) -> str | None:
        """Return what a file of the system says; None where there is none."""
        try:
            return (self.root / path).read_text(errors="replace").strip("\0\n ")
        except OSError:
            return None

    @property
    def model(self) -> str | None:
        """What kind of Raspberry Pi it is; None for any other machine."""
        said = self.text("proc/device-tree/model")
        return said if said and "Raspberry Pi" in said else None


def look_at_machine(machine: Machine) -> Iterator[Finding]:
    """Yield what there is to say of it."""
    if machine.model is not None:
        yield ok("machine", machine.model)
    else:
        yield warn("machine", "not a Pi", "on another machine use backend = 'mock' or 'synthetic'")
    yield from _service(machine)
    yield _clock(machine)
    yield _disk(machine)
    yield from _memory(machine)
    yield from _temperature(machine)
    yield from _throttling(machine)


def is_running(machine: Machine) -> bool:
    """Tell whether the agent runs on this machine, as a service or in its safe mode."""
    return any(_state(machine, unit) in {"active", "activating", "reloading"} for unit in (UNIT, SAFE_UNIT))


def _service(machine: Machine) -> Iterator[Finding]:
    if _state(machine, SAFE_UNIT) == "active":
        yield fail(
            "service",
            "in safe mode: the agent failed again and again",
            f"journalctl --unit {UNIT} --priority warning; then sudo systemctl restart {UNIT}",
        )
    elif _state(machine, UNIT) == "active":
        yield ok("service", "the agent runs")
    elif machine.run(["systemctl", "cat", UNIT]) is not None:
        yield fail("service", "the agent does not run", f"sudo systemctl restart {UNIT}")
    else:
        yield warn(
            "service", "not installed", "make a card with gridfleet flash, or run gridfleet device run FILE"
        )


def _state(machine: Machine, unit: str) -> str | None:
    return machine.run(["systemctl", "show", "--property=ActiveState", "--value", unit])


def _clock(machine: Machine) -> Finding:
    if machine.now_s() < EARLIEST_S:
        return fail(
            "clock",
            f"says {time.gmtime(machine.now_s()).tm_year}",
            "connect it to a network with a time server",
        )
    synchronised = machine.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised == "yes" or machine.text("run/systemd/timesync/synchronized") is not None:
        return ok("clock", "synchronised")
    return warn(
        "clock",
        "not synchronised: samples are marked so" if synchronised == "no" else "nobody here synchronises it",
        "allow NTP (UDP 123), or name a server in /etc/systemd/timesyncd.conf",
    )


def _disk(machine: Machine) -> Finding:
    folder = machine.root / STATE
    place = folder if folder.is_dir() else machine.root
    free_mb = shutil.disk_usage(place).free / 1e6
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return fail("disk", f"{place} is read-only", "a card does that when it wears out: replace it")
    words = f"{free_mb:.0f} MB free at {place}"
    if free_mb < NO_ROOM_MB:
        return fail("disk", words, "sudo journalctl --vacuum-size=50M; sudo apt-get clean")
    if free_mb < LEAST_FREE_MB:
        return warn("disk", words, "sudo journalctl --vacuum-size=50M; sudo apt-get clean")
    return ok("disk", words)


def _memory(machine: Machine) -> Iterator[Finding]:
    lines = (machine.text("proc/meminfo") or "").splitlines()
    free_kb = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    if free_kb is None:
        return
    free_mb = int(free_kb) / 1024
    words = f"{free_mb:.0f} MB free"
    if free_mb < LEAST_MEMORY_MB:
        yield warn("memory", words, "end what else runs here, the desktop first: sudo raspi-config")
    else:
        yield ok("memory", words)


def _temperature(machine: Machine) -> Iterator[Finding]:
    said = machine.text("sys/class/thermal/thermal_zone0/temp")
    if said is None or not said.lstrip("-").isdigit():
        return
    celsius = int(said) / 1000
    words = f"{celsius:.0f} °C"
    if celsius >= HOT_C:
        yield fail("temperature", words, "cool it: a heat sink, air, shade")
    elif celsius >= WARM_C:
        yield warn("temperature", words, "cool it: a heat sink, air, shade")
    else:
        yield ok("temperature", words)


def _throttling(machine: Machine) -> Iterator[Finding]:
    said = machine.run(["vcgencmd", "get_throttled"])
    text = (
        said.partition("=")[2]
        if said
        else machine.text("sys/devices/platform/soc/soc:firmware/get_throttled")
    )
    if not text:
        if machine.model is not None:
            yield warn("power", "vcgencmd says nothing", "run the doctor with sudo")
        return
    bits = int(text, 16)
    troubles = [(words, mend) for bit, words, mend in _THROTTLING if bits >> bit & 1]
    before = [words for bit, words, _ in _THROTTLING if bits >> (bit + 16) & 1]
    for words, mend in troubles:
        yield fail("power", f"{words} at this moment", mend)
    if not troubles and before:
        mend = next(mend for bit, words, mend in _THROTTLING if words == before[0])
        yield warn("power", f"{', '.join(before)} since it started", mend)
    if not troubles and not before:
        yield ok("power", "enough, never throttled")
