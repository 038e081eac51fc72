"""Sends the spool to a server, one batch at a time, until each is answered for.

`step` does what is to be done now and says how long to wait: so a test may bring a clock of its own, and a thread
only has to wait. A point is never given up but when the server says that it will never take it.
"""

import logging
import random
import threading
from collections.abc import Callable
from typing import Final

from gridfleet.broker.errors import StoreError
from gridfleet.dashboards.telemetry.influx.spool import BATCH_POINTS, Spool

LOG: Final = logging.getLogger(__name__)
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
"""Bounds of the wait after a failure, in seconds; it doubles, less up to half of it at random."""
IDLE_S: Final = 1.0
_STOP_S: Final = 10.0

Write = Callable[[str], None]
"""Writes lines of points; returns when the server has taken them all."""


class Refused(Exception):  # noqa: N818 - what the server does
    """The server will never take some of these points; the text is its reason."""


class TooLarge(Exception):  # noqa: N818 - what the request is
    """The server takes no request as large as this."""


class Failed(Exception):  # noqa: N818 - what became of the attempt
    """The server has not taken the points, but may take them later."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        """`wait_s` is how long the server wants to be left alone."""
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class Sender:
    """Call `step` again and again, or `start` a thread that does."""

    def __init__(
        self,
        spool: Spool,
        write: Write,
        *,
        rng: random.Random | None = None,
        batch_points: int = BATCH_POINTS,
    ) -> None:
        self.failures = 0
        """Attempts that have failed since the last success."""
        self.trouble = ""
        """What the last attempt failed of; empty after a success."""
        self._spool = spool
        self._write = write
        self._rng = rng or random.Random()
        self._batch_points = batch_points
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def step(self) -> float:
        """Send a batch, if there is one; return the seconds until the next step."""
        batch = self._spool.batch(self._batch_points)
        if batch is None:
            return IDLE_S
        try:
            rejected = self._send(batch.lines)
        except Failed as failure:
            return self._wait(failure)
        except StoreError as error:
            return self._wait(Failed(str(error)))
        if self.trouble:
            LOG.info("InfluxDB takes points again")
        self.failures = 0
        self.trouble = ""
        self._spool.taken(batch, rejected)
        return 0.0

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Send in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def stop(self, patience_s: float = _STOP_S) -> None:
        """Send what is there as long as the server takes it, for a while; what is left stays in the spool."""
        self._stopping.set()
        self._spool.news.set()
        if self._thread is not None:
            self._thread.join(patience_s)

    def _run(self) -> None:
        news = self._spool.news
        while True:
            news.clear()
            wait_s = self.step()
            if self._stopping.is_set() and (wait_s or self.failures):
                return
            if wait_s and not self.failures:
                news.wait(wait_s)
            elif wait_s:
                self._stopping.wait(wait_s)

    def _send(self, lines: list[str]) -> int:
        """Send lines; on a refusal halve them until only those are left that the server refuses, and bury these."""
        try:
            self._write("\n".join(lines))
        except (Refused, TooLarge) as refusal:
            if len(lines) == 1:
                self._spool.dead_letter(lines[0], str(refusal))
                return 1
            middle = len(lines) // 2
            return self._send(lines[:middle]) + self._send(lines[middle:])
        return 0

    def _wait(self, failure: Failed) -> float:
        if not self.trouble:
            LOG.warning(
                "InfluxDB does not take points (%s): they stay in %s", failure.reason, self._spool.folder
            )
        self.trouble = failure.reason
        longest_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self.failures, 16))
        self.failures += 1
        if failure.wait_s is not None:
            return min(failure.wait_s, LONGEST_WAIT_S)
        return self._rng.uniform(longest_s / 2, longest_s)
