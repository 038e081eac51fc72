"""Heartbeat file of a long-running process, read by `gridfleet health`.

The process's own event loop writes it, not a separate thread, so that the heartbeat stops when the loop hangs. Its time
is that of `time.monotonic()`, which all processes of a machine share and which is never set back.
"""

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from gridfleet.broker.errors import error_reason, shown
from gridfleet.broker.readers.files import read_bytes
from gridfleet.broker.readers.json_values import checked_object, json_text, parse_json
from gridfleet.broker.readers.read_error import ReadError

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client import MqttLoop

ENVIRONMENT: Final = "GRIDFLEET_HEARTBEAT"
"""The environment variable that names the file; without it nothing is written."""
BEAT_S: Final = 5.0
MAX_BYTES: Final = 4096
"""Largest heartbeat file."""
MAX_AGE_S: Final = 20.0
"""A process whose heartbeat is older, in seconds, counts as ended or hanging."""

LOG: Final = logging.getLogger(__name__)


class Heartbeat:
    """Context manager: writes the file while it is open, and deletes it at the end."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file; with None nothing is written."""
        self._path = path
        self._warned = False

    @classmethod
    def from_environment(cls) -> Self:
        """Return a heartbeat into the file that the environment names."""
        name = os.environ.get(ENVIRONMENT)
        return cls(Path(name) if name else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def follow(self, loop: "MqttLoop") -> None:
        """Write at once and every 5 s while the loop runs, with the reason why a connection is offline."""
        if self._path is None:
            return

        def again() -> None:
            self.beat(loop.offline_reason)
            loop.call_later(BEAT_S, again)

        again()

    def beat(self, trouble: str = "") -> None:
        """Write the time and why a connection is offline; a full disk is logged once and raises nothing."""
        if self._path is None:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.write_text(json_text({"at_s": time.monotonic(), "trouble": trouble}), encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            if not self._warned:
                LOG.warning("the heartbeat %s cannot be written (%s)", self._path, error_reason(error))
            self._warned = True
        else:
            self._warned = False


def health_problem(path: Path, now_s: float, *, only_alive: bool = False) -> str:
    """Return why the process that writes a heartbeat file is unhealthy; an empty text when it is healthy.

    `now_s` is `time.monotonic()`. With `only_alive`, a process that has lost its broker is healthy.
    """
    try:
        content = read_bytes(path, MAX_BYTES)
    except ReadError as error:
        reason = error.problem.removeprefix("cannot be read: ")
        return f"{path}: no heartbeat ({reason}): start the process with {ENVIRONMENT} set to this file"
    try:
        heartbeat = checked_object(parse_json(content), {"at_s": (int, float), "trouble": str}, ReadError)
    except ReadError:
        return f"{path}: is not a heartbeat of GridFleet"
    age_s, trouble = now_s - heartbeat["at_s"], shown(heartbeat["trouble"])
    if age_s > MAX_AGE_S:
        return f"the heartbeat is {age_s:.0f} s old: the process has ended or hangs"
    if age_s < 0:
        return f"{path}: written before this machine started: the process has ended"
    return "" if only_alive else trouble
