"""Real time on a machine without a battery-backed clock: what it is, and whether it can be believed."""

import ctypes
import time
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES: Final = 256
"""More than struct timex takes on any machine; all zero asks without changing anything."""


class Stamp(NamedTuple):
    """An instant by three clocks: the calendar, whether it is to be believed, and what has run since boot."""

    at_ms: int
    """Milliseconds since the Unix epoch, UTC."""
    synchronised: bool
    up_ms: int
    """Milliseconds since this machine was started."""


def stamp() -> Stamp:
    """Return the present instant."""
    return Stamp(time.time_ns() // 1_000_000, synchronised(), time.monotonic_ns() // 1_000_000)


def synchronised() -> bool:
    """Return whether the kernel holds its clock for synchronised, by NTP or any other way."""
    return _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) not in (-1, _TIME_ERROR)


def later_known_ms(up_ms: int, now: Stamp) -> int:
    """Return when something happened, by a clock that was synchronised only later in the same uptime."""
    return now.at_ms - (now.up_ms - up_ms)


@cache
def boot_id() -> str:
    """Return what tells this uptime of the machine from every other; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
