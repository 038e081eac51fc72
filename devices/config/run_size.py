"""How large a run will be, before it runs: messages, time, memory and files, from a model fitted to measured runs.

The runs, and how far the model was off, are in docs/benchmarks.md (Size of a run). Every figure is right within a
factor of two for the shipped kinds; devices of other packages count as those of their role.
"""

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Role
from gridfleet.devices.config.scenario import Scenario

MESSAGES_PER_DEVICE: Final = 2.7
MESSAGES_PER_PAIR: Final = 0.035
"""In a tick, for each device, and for each vehicle and each charger of its cell: calls, offers and what follows."""
TRADES_PER_BUYER: Final = 2.5
"""In a tick, for each consumer and each charger."""
S_PER_MESSAGE: Final = 40e-6
S_PER_TRADE: Final = 70e-6
BYTES_AT_START: Final = 50e6
BYTES_PER_DEVICE: Final = 5e3
BYTES_PER_MESSAGE: Final = 300.0
"""Of the messages of a day: what auditor and recorder keep of them."""
TICKS_PER_DAY: Final = 96
STORE_BYTES: Final = 180.0
CSV_BYTES: Final = 80.0
"""For each device in each tick; each trade is a line of CSV besides."""
CSV_BYTES_PER_TRADE: Final = 75.0
LONG_S: Final = 900.0


class RunSize(NamedTuple):
    """What a run will take, without a broker: devices, cells, messages, seconds, and bytes of memory and on disk."""

    devices: int
    cells: int
    messages: float
    seconds: float
    memory_bytes: float
    disk_bytes: float

    def text(self) -> str:
        """Return it on one line for people."""
        cells = f"{self.cells} cell{'' if self.cells == 1 else 's'}"
        return (
            f"{_count(self.devices)} devices in {cells} · about {_count(self.messages)} messages · "
            f"{_time(self.seconds)} · {_bytes(self.memory_bytes)} of memory · {_bytes(self.disk_bytes)} of files"
        )

    def warnings(self, folder: Path) -> list[str]:
        """Return what this machine cannot carry, or only slowly; files are written into `folder`."""
        found = []
        free, left = _free_memory_bytes(), _free_disk_bytes(folder)
        if free is not None and self.memory_bytes > free:
            found.append(
                f"needs about {_bytes(self.memory_bytes)} of memory, and {_bytes(free)} are free here:"
                " take fewer devices"
            )
        if left is not None and self.disk_bytes > left:
            found.append(
                f"writes about {_bytes(self.disk_bytes)} of files, and {_bytes(left)} are free here: take fewer ticks,"
                " or name another disk with --out"
            )
        if self.seconds > LONG_S:
            found.append(f"takes about {_time(self.seconds)}: try it first with --ticks 4")
        return found


def run_size(scenario: Scenario) -> RunSize:
    """Return how large a run of a scenario will be.

    >>> run_size(Scenario.load("normal")).devices
    57
    """
    counts = dict.fromkeys(Role, 0)
    for group in scenario.groups:
        counts[group.agent_type.role] += group.settings.count
    devices = sum(counts.values())
    cells = scenario.area.rows * scenario.area.columns
    pairs = counts[Role.VEHICLE] * counts[Role.CHARGER] / cells
    per_tick = MESSAGES_PER_DEVICE * devices + MESSAGES_PER_PAIR * pairs
    trades = TRADES_PER_BUYER * (counts[Role.CONSUMER] + counts[Role.CHARGER]) * scenario.ticks
    messages = per_tick * scenario.ticks
    rows = devices * scenario.ticks
    return RunSize(
        devices,
        cells,
        messages,
        messages * S_PER_MESSAGE + trades * S_PER_TRADE,
        BYTES_AT_START
        + BYTES_PER_DEVICE * devices
        + BYTES_PER_MESSAGE * per_tick * min(scenario.ticks, TICKS_PER_DAY),
        (STORE_BYTES + CSV_BYTES) * rows + CSV_BYTES_PER_TRADE * trades,
    )


def _count(number: float) -> str:
    """Return a number with two digits that count, and narrow groups.

    >>> _count(24_250), _count(57)
    ('24 000', '57')
    """
    whole = round(number)
    if whole >= 1000:
        power = 10 ** (len(str(whole)) - 2)
        whole = round(whole / power) * power
    return f"{whole:,}".replace(",", " ")


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.0f} h"


def _bytes(size: float) -> str:
    for power, unit in ((9, "GB"), (6, "MB")):
        if size >= 10**power:
            return (
                f"{size / 10**power:.2g} {unit}"
                if size < 100 * 10**power
                else f"{size / 10**power:.0f} {unit}"
            )
    return f"{size / 1000:.0f} kB"


def _free_memory_bytes() -> float | None:
    """Return the memory that a new process can have, None where the system does not say it."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024.0
    except (OSError, ValueError, IndexError):
        return None
    return None


def _free_disk_bytes(folder: Path) -> float | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return float(shutil.disk_usage(os.fspath(folder)).free)
    except OSError:
        return None
