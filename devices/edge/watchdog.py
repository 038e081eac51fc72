"""Notifies systemd of a device's state (ready, alive, stopping), by the datagrams of sd_notify(3).

The agent's loop feeds the watchdog, and only while both the control loop and the connection to the broker make
progress. Trying to reach a lost broker is progress, because a restart of the device would not bring it back.
"""

import os
import socket
from collections.abc import Mapping
from math import inf
from typing import Final

MAX_STALL_S: Final = {"sensor": 2.0, "broker": 90.0}
"""The longest time without progress in seconds; after it the watchdog is not fed."""
FEED_S: Final = 1.0
"""Seconds between two feeds, unless systemd asks for less."""


class Watchdog:
    """Sends to the socket that systemd names in the environment; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        path = environment.get("NOTIFY_SOCKET", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path
        micros = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.limit_s = int(micros) / 1e6 if micros.isdigit() and int(micros) and mine else None
        """How long systemd waits for a feed, in seconds; None when it does not."""
        self._progress_s: dict[str, float] = {}
        self._status = ""

    @property
    def every_s(self) -> float:
        """Seconds between two feeds: a third of systemd's limit, but at most a second."""
        return min(FEED_S, self.limit_s / 3) if self.limit_s is not None else FEED_S

    def progress(self, what: str, at_s: float) -> None:
        """Note that `sensor` or `broker` made progress, at that monotonic time; raise KeyError for any other name."""
        if what not in MAX_STALL_S:
            raise KeyError(what)
        self._progress_s[what] = max(at_s, self._progress_s.get(what, at_s))

    def stalled(self, now_s: float) -> list[str]:
        """Return what makes no progress; before its first progress, each counts as stalled."""
        return [
            what for what, max_s in MAX_STALL_S.items() if now_s - self._progress_s.get(what, -inf) > max_s
        ]

    def ready(self, status: str) -> None:
        """Notify that the device is ready."""
        self._send(f"READY=1\nSTATUS={status}")

    def feed(self, now_s: float, status: str) -> bool:
        """Notify the status, and that the device is alive unless something is stalled; return whether it is alive."""
        stalled = self.stalled(now_s)
        text = f"{status}; no progress: {', '.join(stalled)}" if stalled else status
        if not stalled:
            self._send(f"WATCHDOG=1\nSTATUS={text}" if text != self._status else "WATCHDOG=1")
        elif text != self._status:
            self._send(f"STATUS={text}")
        self._status = text
        return not stalled

    def stopping(self, status: str) -> None:
        """Notify that the device is stopping."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def _send(self, text: str) -> None:
        if not self._path:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.setblocking(False)  # noqa: FBT003 - a full socket must not block the device
            try:
                connection.sendto(text.encode(), self._path)
            except OSError:
                return
