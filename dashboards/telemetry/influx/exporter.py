"""A run's way to InfluxDB: a spool in its directory, and a sender that empties it while the run goes on."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, Self

from gridfleet.dashboards.telemetry.influx.client import InfluxWriter, Target
from gridfleet.dashboards.telemetry.influx.sender import Sender
from gridfleet.dashboards.telemetry.influx.spool import Spool
from gridfleet.dashboards.telemetry.points import Point, line

FOLDER: Final = "spool"
SYNC_S: Final = 1.0
PATIENCE_S: Final = 20.0
"""How long the end of a run waits for the server, in seconds."""


class InfluxExporter:
    """Context manager: `take` points; at its end says what is left in the spool, to be sent by the next run there."""

    def __init__(self, directory: Path, target: Target, tell: Callable[[str], None]) -> None:
        self._target = target
        self._tell = tell
        self._writer = InfluxWriter(target)
        self._spool = Spool(directory / FOLDER)
        self._sender = Sender(self._spool, self._writer)
        self._synced_s = monotonic()

    def take(self, point: Point) -> None:
        """Take a point; raise StoreError where the disk is full."""
        self._spool.add((line(point),))
        if monotonic() - self._synced_s >= SYNC_S:
            self._spool.sync()
            self._synced_s = monotonic()

    def __enter__(self) -> Self:
        """Begin to send."""
        self._sender.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send the rest, as far as the server takes it."""
        try:
            self._spool.sync()
            self._sender.stop(PATIENCE_S)
            figures = self._spool.figures()
            if figures.backlog:
                self._tell(
                    f"{figures.backlog} points wait in {self._spool.folder} for {self._target!r} "
                    f"({self._sender.trouble}): the next run in this directory sends them"
                )
            if figures.rejected:
                self._tell(
                    f"{self._target!r} has refused {figures.rejected} points: see {figures.dead_letters}"
                )
        finally:
            self._spool.close()
            self._writer.close()
