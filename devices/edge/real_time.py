"""Real time on a machine without a battery-backed clock, and whether its clock is synchronised."""

import ctypes
import time
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES: Final = 256
"""More than struct timex takes on any machine; all zero reads the state without changing it."""


class Timestamp(NamedTuple):
    """An instant: the calendar's time, whether that is synchronised, and the time since boot."""

    at_ms: int
    """Milliseconds since the Unix epoch, UTC."""
    synchronised: bool
    up_ms: int
    """Milliseconds since the machine was started."""


def timestamp() -> Timestamp:
    """Return the present instant."""
    return Timestamp(time.time_ns() // 1_000_000, synchronised(), time.monotonic_ns() // 1_000_000)


def synchronised() -> bool:
    """Return whether the kernel takes its clock for synchronised, by NTP or otherwise."""
    return _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) not in (-1, _TIME_ERROR)


def corrected_ms(up_ms: int, now: Timestamp) -> int:
    """Return the right time of an instant before the clock was synchronised, given by its uptime in ms."""
    return now.at_ms - (now.up_ms - up_ms)


@cache
def boot_id() -> str:
    """Return the id of this boot of the machine; empty where the kernel gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
