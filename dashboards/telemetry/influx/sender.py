"""Sends the spool to a server, one batch at a time, until each is acknowledged.

`step` sends what is due and returns how long to wait, so a test can use its own clock, and a thread only has to
wait. A point is given up only when the server rejects it for good.
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
MAX_WAIT_S: Final = 30.0
"""Bounds of the wait after a failure, in seconds; it doubles, less up to half of it at random."""
IDLE_S: Final = 1.0
_STOP_S: Final = 10.0

Write = Callable[[str], None]
"""Writes lines of points; returns when the server has accepted them all."""


class PointsRejected(Exception):  # noqa: N818 - an answer, not an error of ours
    """The server will never accept some of these points; the text is its reason."""


class BatchTooLarge(Exception):  # noqa: N818 - an answer, not an error of ours
    """The server accepts no request as large as this."""


class WriteFailed(Exception):  # noqa: N818 - an answer, not an error of ours
    """The server has not accepted the points, but may accept them later."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        """`wait_s` is how long the server asks to wait before the next request; it never makes the wait shorter."""
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class Sender:
    """Call `step` repeatedly, or `start` a thread that does."""

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
        self.last_error = ""
        """Why the last attempt failed; empty after a success."""
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
        except WriteFailed as failure:
            return self._wait(failure)
        except StoreError as error:
            return self._wait(WriteFailed(str(error)))
        if self.last_error:
            LOG.info("InfluxDB accepts points again")
        self.failures = 0
        self.last_error = ""
        self._spool.acknowledge(batch, rejected)
        return 0.0

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Send in a separate thread until `stop`."""
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """Send the rest as long as the server accepts it, for `timeout_s` at most; the others stay in the spool."""
        self._stopping.set()
        self._spool.synced.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        synced = self._spool.synced
        while True:
            synced.clear()
            wait_s = self.step()
            if self._stopping.is_set() and (wait_s or self.failures):
                return
            if wait_s and not self.failures:
                synced.wait(wait_s)
            elif wait_s:
                self._stopping.wait(wait_s)

    def _send(self, lines: list[str]) -> int:
        """Send lines; halve rejected batches until single points remain, and write these to the dead-letter file."""
        try:
            self._write("\n".join(lines))
        except (PointsRejected, BatchTooLarge) as rejection:
            if len(lines) == 1:
                self._spool.dead_letter(lines[0], str(rejection))
                return 1
            middle = len(lines) // 2
            return self._send(lines[:middle]) + self._send(lines[middle:])
        return 0

    def _wait(self, failure: WriteFailed) -> float:
        if not self.last_error:
            LOG.warning(
                "InfluxDB does not accept points (%s): they stay in %s", failure.reason, self._spool.folder
            )
        self.last_error = failure.reason
        limit_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self.failures, 16))
        self.failures += 1
        own_s = self._rng.uniform(limit_s / 2, limit_s)
        return own_s if failure.wait_s is None else min(max(own_s, failure.wait_s), MAX_WAIT_S)
