"""Sends the points of a run to InfluxDB: a spool in its directory, and a sender that empties it during the run."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, Self

from gridfleet.dashboards.telemetry.influx.client import InfluxError, InfluxWriter, Target
from gridfleet.dashboards.telemetry.influx.sender import Sender
from gridfleet.dashboards.telemetry.influx.server_check import check_server
from gridfleet.dashboards.telemetry.influx.spool import Spool
from gridfleet.dashboards.telemetry.points import Point, line_protocol

FOLDER: Final = "spool"
SYNC_S: Final = 1.0
FINAL_SEND_S: Final = 20.0
"""How long the end of a run waits for the server, in seconds."""


class InfluxExporter:
    """Context manager: `add` points; at its end it reports what is left in the spool for the next run to send."""

    def __init__(self, directory: Path, target: Target, report: Callable[[str], None]) -> None:
        self._target = target
        self._report = report
        self._writer = InfluxWriter(target)
        self._spool = Spool(directory / FOLDER)
        self._sender = Sender(self._spool, self._writer)
        self._synced_s = monotonic()

    def add(self, point: Point) -> None:
        """Add a point; raise StoreError where the disk is full."""
        self._spool.add((line_protocol(point),))
        if monotonic() - self._synced_s >= SYNC_S:
            self._spool.sync()
            self._synced_s = monotonic()

    def __enter__(self) -> Self:
        """Start to send; raise InfluxError where another server answers, or this one accepts no points.

        A server that does not answer yet may do so later: the points wait for it.
        """
        found = check_server(self._writer)
        if not found.holds and found.answers:
            self._spool.close()
            self._writer.close()
            raise InfluxError(f"{self._target!r} accepts no points:\n{found.table()}")
        if not found.holds:
            self._report(f"{found.server}\nThe points wait in {self._spool.folder}.")
        self._sender.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send the rest, as far as the server accepts it."""
        try:
            self._spool.sync()
            self._sender.stop(FINAL_SEND_S)
            status = self._spool.status()
            if status.backlog:
                self._report(
                    f"{status.backlog} points wait in {self._spool.folder} for {self._target!r} "
                    f"({self._sender.last_error}): the next run with --influx and "
                    f"--out {self._spool.folder.parent} --force sends them, and replaces the results there"
                )
            if status.rejected:
                self._report(
                    f"{self._target!r} has rejected {status.rejected} points: see {status.dead_letters}"
                )
        finally:
            self._spool.close()
            self._writer.close()
