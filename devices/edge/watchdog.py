"""Tells systemd how a device does: ready, alive, stopping. Plain datagrams, as sd_notify(3) describes them.

The watchdog is fed from the market's loop, and only while both the control loop and the connection to the broker make
progress: never by a timer that runs free. Looking for a broker that is away is progress, since a restart would not
bring it back; standing still is not.
"""

import os
import socket
from collections.abc import Mapping
from math import inf
from typing import Final

LONGEST_STILL_S: Final = {"sensor": 2.0, "broker": 90.0}
"""Longer than this without progress, and systemd is not told that all is well."""
FEED_S: Final = 1.0
"""Between two feeds where systemd does not ask for shorter."""


class Watchdog:
    """Speaks to the socket that systemd names in the environment; silent where there is none."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        path = environment.get("NOTIFY_SOCKET", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path
        micros = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.limit_s = int(micros) / 1e6 if micros.isdigit() and int(micros) and mine else None
        """For so long systemd waits for a sign of life; None when it does not."""
        self._progress_s: dict[str, float] = {}
        self._status = ""

    @property
    def every_s(self) -> float:
        """How often to feed it: at a third of systemd's patience, but at least once a second."""
        return min(FEED_S, self.limit_s / 3) if self.limit_s is not None else FEED_S

    def progress(self, what: str, at_s: float) -> None:
        """Note that `sensor` or `broker` got on, at that monotonic time; raise KeyError for any other name."""
        if what not in LONGEST_STILL_S:
            raise KeyError(what)
        self._progress_s[what] = max(at_s, self._progress_s.get(what, at_s))

    def still(self, now_s: float) -> list[str]:
        """Return what makes no progress; nothing has made any before the first."""
        return [
            what
            for what, most_s in LONGEST_STILL_S.items()
            if now_s - self._progress_s.get(what, -inf) > most_s
        ]

    def ready(self, status: str) -> None:
        """Say that the device is up."""
        self._say(f"READY=1\nSTATUS={status}")

    def feed(self, now_s: float, status: str) -> bool:
        """Say how it goes, and that all is well if it is; return whether it is."""
        still = self.still(now_s)
        words = f"{status}; no progress: {', '.join(still)}" if still else status
        if not still:
            self._say(f"WATCHDOG=1\nSTATUS={words}" if words != self._status else "WATCHDOG=1")
        elif words != self._status:
            self._say(f"STATUS={words}")
        self._status = words
        return not still

    def stopping(self, status: str) -> None:
        """Say that the device is about to end."""
        self._say(f"STOPPING=1\nSTATUS={status}")

    def _say(self, words: str) -> None:
        if not self._path:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.setblocking(False)  # noqa: FBT003 - a full socket is systemd's trouble, and must not become ours
            try:
                link.sendto(words.encode(), self._path)
            except OSError:
                return
