"""A sign of life that a long-running process leaves in a file, for container engines and for people.

The process's own loop writes it, never a thread beside it: who hangs falls silent. Its time is that of
`time.monotonic()`, which all processes of a machine share and which nobody sets.
"""

import contextlib
import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from gridfleet.broker.errors import error_reason

if TYPE_CHECKING:
    from gridfleet.broker.mqtt.client import MqttLoop

ENVIRONMENT: Final = "GRIDFLEET_HEARTBEAT"
"""The environment variable that names the file; without it nothing is written."""
BEAT_S: Final = 5.0
SILENT_S: Final = 20.0
"""Seconds after which a process that has not written counts as dead or hung."""

LOG: Final = logging.getLogger(__name__)


class Heartbeat:
    """Context manager: writes the file while it is open, and takes it away at the end."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the file, or None for none at all."""
        self._path = path
        self._complained = False

    @classmethod
    def from_environment(cls) -> Self:
        """Return the one that the environment asks for."""
        name = os.environ.get(ENVIRONMENT)
        return cls(Path(name) if name else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)

    def follow(self, loop: "MqttLoop") -> None:
        """Beat at once and every 5 s while the loop runs, and say what keeps its connections from being online."""
        if self._path is None:
            return

        def again() -> None:
            self.beat(loop.trouble)
            loop.call_later(BEAT_S, again)

        again()

    def beat(self, trouble: str = "") -> None:
        """Say that the process lives, and what is wrong all the same; a full disk stops nothing."""
        if self._path is None:
            return
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps({"at_s": time.monotonic(), "trouble": trouble}), encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            if not self._complained:
                LOG.warning("no heartbeat can be written to %s: %s", self._path, error)
            self._complained = True
        else:
            self._complained = False


def health_problem(path: Path, now_s: float, *, only_alive: bool = False) -> str:
    """Return what is wrong with the process that writes to a file, in words; nothing when it is healthy.

    With `only_alive`, one that is cut off from its broker is healthy.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        silent_s, trouble = now_s - float(said["at_s"]), str(said["trouble"])
    except OSError as error:
        return f"{path}: no heartbeat ({error_reason(error)}): start the process with {ENVIRONMENT} set to this file"
    except (ValueError, KeyError, TypeError):
        return f"{path}: is no heartbeat of GridFleet"
    if silent_s > SILENT_S:
        return f"silent for {silent_s:.0f} s: the process has ended or hangs"
    if silent_s < 0:
        return f"{path}: written before this machine started: the process has ended"
    return "" if only_alive else trouble
