"""The state of the site now: a few values of the current run, with real time, for alert rules.

All other points of a simulated run have simulated time, which may lie in another year; an alert rule looks at the
last minutes. So the recorder writes every few real seconds what the last points come to.
"""

from collections.abc import Mapping
from typing import Final

from gridfleet.dashboards.recording.events import REINSTATED, SUSPENDED
from gridfleet.dashboards.telemetry.points import Point, Value
from gridfleet.dashboards.telemetry.table import AUDIT, DEVICE, EVENT, FLEET, GRID, LIVE_STATUS

SHARE_TICKS: Final = 16
"""Ticks over which the reactor's share is computed: four hours."""
FAULTED: Final = "faulted"
"""The status of a charger that is out of order."""


class LiveStatus:
    """A sink that keeps the last points; `point` sums them up."""

    def __init__(self) -> None:
        self._run: dict[str, str] = {}
        self._reset()

    def __call__(self, point: Point) -> None:
        """Take a point; one of another run starts again from nothing."""
        run = {"site": point.tags["site"], "run": point.tags.get("run", "")}
        if not run["run"]:
            return
        if run != self._run:
            self._run = run
            self._reset()
        tags, fields = point.tags, point.fields
        if point.measurement == GRID.name:
            self._grid.setdefault(point.time_ms, {})[tags["cell"]] = fields
            while len(self._grid) > SHARE_TICKS:
                del self._grid[min(self._grid)]
        elif point.measurement == FLEET.name:
            self._fleet[tags["cell"], tags["role"], tags["kind"]] = fields
        elif point.measurement == AUDIT.name:
            self._breaches[tags["invariant"]] = _whole(fields, "breaches")
        elif point.measurement == DEVICE.name:
            if fields.get("faults") or fields.get("status") == FAULTED:
                self._faulty.add(tags["device"])
            else:
                self._faulty.discard(tags["device"])
        elif point.measurement == EVENT.name:
            self._on_event(tags["what"], tags["device"])

    def _on_event(self, what: str, device: str) -> None:
        if what == SUSPENDED:
            self._suspended.add(device)
        elif what == REINSTATED:
            self._suspended.discard(device)
        elif what == "end":
            self._reset()

    def point(self, time_ms: int) -> Point | None:
        """Return the state at a real time, or None before the first tick and after the end of a run."""
        if not self._grid:
            return None
        cells = [cell for tick in self._grid.values() for cell in tick.values()]
        sold = sum(_whole(cell, "sold_wh") for cell in cells)
        devices = sum(_whole(group, "devices") for group in self._fleet.values())
        online = sum(_whole(group, "online") for group in self._fleet.values())
        fields: dict[str, Value | None] = {
            "simulated_ms": max(self._grid),
            "devices": devices,
            "online": online,
            "missing": devices - online,
            "faulty": len(self._faulty),
            "suspended": len(self._suspended),
            "breaches": sum(self._breaches.values()),
            "reactor_share": sum(_whole(cell, "reactor_wh") for cell in cells) / sold if sold else 0.0,
        }
        return Point(LIVE_STATUS.name, dict(self._run), fields, time_ms)

    def _reset(self) -> None:
        self._grid: dict[int, dict[str, Mapping[str, Value | None]]] = {}
        self._fleet: dict[tuple[str, str, str], Mapping[str, Value | None]] = {}
        self._breaches: dict[str, int] = {}
        self._faulty: set[str] = set()
        self._suspended: set[str] = set()


def _whole(fields: Mapping[str, Value | None], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0
