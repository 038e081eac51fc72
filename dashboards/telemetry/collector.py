"""Makes the points of the telemetry table from a site's messages and from what the recorder finds in them.

`receive` gets every message before the recorder does; the recorder calls the other methods. Points go to a sink. A
point's time and tags follow from the messages alone, so that the same messages make the same points.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from gridfleet.broker.protocol.messages import (
    ClockState,
    Decline,
    Incident,
    Message,
    Mode,
    Phase,
    Presence,
    Role,
    Sample,
    State,
    Tick,
)
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.dashboards.market.aggregate import Lots
from gridfleet.dashboards.recording.tick_record import TickRecord
from gridfleet.dashboards.store.rows import EventRow, ReservationRow, TradeRow
from gridfleet.dashboards.telemetry.device_points import account_points, cell_points, cell_tag
from gridfleet.dashboards.telemetry.market_points import MarketPoints
from gridfleet.dashboards.telemetry.points import Point, Value, id_or_unknown
from gridfleet.dashboards.telemetry.reservation_points import offer_point, reservation_point
from gridfleet.dashboards.telemetry.sensor_points import incident_point, sample_point
from gridfleet.dashboards.telemetry.table import (
    AUDIT,
    CLOCK,
    DECLINES,
    EVENT,
    FLEET,
    MESSAGES,
)
from gridfleet.dashboards.telemetry.tags import OTHER, REASONS, DeviceTags

Sink = Callable[[Point], None]
_LATE_TICKS: Final = 8


class Collector:
    """An observer of a recorder that makes points; `run` is the tag of that name, by default from the clock's epoch."""

    def __init__(
        self,
        sink: Sink,
        site: str,
        *,
        scenario: str = "",
        run: str | None = None,
        findings: Callable[[], Sequence[Finding]] | None = None,
        now_s: Callable[[], float] = monotonic,
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        """`findings` are the auditor's so far; `now_s` is real time, for the clock's lateness.

        With `wall_ms`, the time of day in milliseconds since 1970, points of a clock in real-time mode have that
        time: simulated times are shifted by as much as the tick began later or earlier.
        """
        self._sink = sink
        self._site = site
        self._scenario = scenario
        self._named = run
        self._findings = findings
        self._now_s = now_s
        self._wall_ms = wall_ms
        self._shift_ms = 0
        """Added to simulated time; other than 0 only where points have the time of day."""
        self._run: dict[str, str] = {"site": site, "run": run or scenario or site}
        self._births: dict[str, Presence] = {}
        self._device_tags = DeviceTags()
        self._online: set[str] = set()
        self._tick: Tick | None = None
        self._phase_began_s = 0.0
        self._took: tuple[float | None, float | None] = (None, None)
        self._begins: dict[int, tuple[int, str]] = {}
        """Tick -> (when it began, the algorithm then in force)."""
        self._received: Counter[tuple[str, str]] = Counter()
        """(cell, message type) -> messages since the tick began."""
        self._declined: Counter[tuple[str, str]] = Counter()
        self._reported: dict[int, dict[str, bool]] = {}
        self._open: dict[int, MarketPoints] = {}

    # --- messages ----------------------------------------------------------------------------------------

    def receive(self, _simulated_ms: int, _scope: str, sender: str, message: Message) -> None:
        """Count a message and make the points that follow from it alone."""
        if isinstance(message, Tick):
            if sender == CLOCK_ID:
                self._on_tick(message)
            return
        if isinstance(message, Presence):
            if message.online:
                self._births[sender] = message
                self._online.add(sender)
            else:
                self._online.discard(sender)
        cell = cell_tag(self._births, sender)
        self._received[cell, message.TYPE] += 1
        if isinstance(message, State):
            self._on_state(cell, sender, message)
        elif isinstance(message, Sample | Incident):
            place = self._births.get(sender)
            what = self._device_tags.of_device(
                *((OTHER, OTHER) if place is None else (place.role, place.kind))
            )
            tags = {**self._run, "cell": cell, **what, "device": id_or_unknown(sender)}
            if isinstance(message, Sample):
                self._sink(sample_point(tags, message, self._wall_ms))
            else:
                self._sink(incident_point(tags, message, self._wall_ms))
        elif isinstance(message, Decline):
            self._declined[cell, message.reason if message.reason in REASONS else OTHER] += 1

    def _on_state(self, cell: str, sender: str, state: State) -> None:
        begun = self._begins.get(state.tick)
        if begun is None or isinstance(state, ClockState):
            return
        birth = self._births.get(sender)
        for point in account_points(self._run, cell, sender, state, birth, self._device_tags, begun[0]):
            self._sink(point)
        self._reported.setdefault(state.tick, {})[sender] = state.measured

    def _on_tick(self, tick: Tick) -> None:
        last, self._tick = self._tick, tick
        if last is None or last.epoch != tick.epoch:
            self._begin_run(tick)
            last = None
        is_new = last is None or (last.tick, last.phase) != (tick.tick, tick.phase)
        if is_new:
            now_s = self._now_s()
            self._took = (None, None) if last is None else _lateness(last, now_s - self._phase_began_s)
            self._phase_began_s = now_s
            if last is None or tick.phase is Phase.BID:
                is_real = self._wall_ms is not None and tick.mode is Mode.REALTIME
                self._shift_ms = self._wall_ms() - tick.simulated_ms if is_real and self._wall_ms else 0
            if tick.phase is Phase.BID:
                if last is not None:
                    self._end_tick(last.tick)
                begins_ms = tick.simulated_ms + self._shift_ms
                self._begins[tick.tick] = (begins_ms, str(tick.settings.algorithm))
                self._begins.pop(tick.tick - _LATE_TICKS - 2, None)
        self._sink(Point(CLOCK.name, self._run, self._clock(tick), tick.simulated_ms + self._shift_ms))

    def _begin_run(self, tick: Tick) -> None:
        """Start counting again: the clock began a run."""
        name = self._named
        if name is None:
            name = self._scenario or self._site
            if tick.epoch > 0:
                name = run_name(name, tick.epoch)
        self._run = {"site": self._site, "run": name}
        for known in (self._begins, self._received, self._declined, self._reported, self._open):
            known.clear()

    def _end_tick(self, tick: int) -> None:
        """Make the points of the messages received since the tick began."""
        begun = self._begins.get(tick)
        if begun is not None:
            time_ms = begun[0]
            for (cell, message_type), count in sorted(self._received.items()):
                tags = {**self._run, "cell": cell, "message_type": message_type}
                self._sink(Point(MESSAGES.name, tags, {"messages": count}, time_ms))
            for (cell, reason), count in sorted(self._declined.items()):
                tags = {**self._run, "cell": cell, "reason": reason}
                self._sink(Point(DECLINES.name, tags, {"declines": count}, time_ms))
            self._fleet(self._reported.get(tick, {}), time_ms)
            for finding in self._findings() if self._findings is not None else ():
                tags = {**self._run, "invariant": finding.name}
                counts = {"checked": finding.checked, "breaches": finding.breaches}
                self._sink(Point(AUDIT.name, tags, counts, time_ms))
        self._received.clear()
        self._declined.clear()
        self._reported.pop(tick - 1, None)

    def _fleet(self, reported: Mapping[str, bool], time_ms: int) -> None:
        groups: dict[tuple[str, str, str], list[int]] = {}
        for device, place in self._births.items():
            if place.role is not Role.CLOCK:
                what = self._device_tags.of_device(place.role, place.kind)
                group = (id_or_unknown(place.cell), what["role"], what["kind"])
                counts = groups.setdefault(group, [0, 0, 0, 0])
                counts[0] += 1
                counts[1] += device in self._online
                counts[2] += device in reported
                counts[3] += reported.get(device, False)
        for (cell, role, kind), (devices, online, reporting, with_sensors) in sorted(groups.items()):
            fields: dict[str, Value | None] = {
                "devices": devices,
                "online": online,
                "reporting": reporting,
                "with_sensors": with_sensors,
            }
            tags = {**self._run, "cell": cell, "role": role, "kind": kind}
            self._sink(Point(FLEET.name, tags, fields, time_ms))

    def _clock(self, tick: Tick) -> dict[str, Value | None]:
        settings = tick.settings
        took_s, late_s = self._took
        return {
            "tick": tick.tick,
            "phase": str(tick.phase),
            "mode": str(tick.mode),
            "paused": tick.paused,
            "seconds_per_tick": float(tick.seconds_per_tick),
            "ticks_left": tick.ticks_left,
            "absent": len(tick.absent),
            "took_s": took_s,
            "late_s": late_s,
            "scenario": self._scenario,
            "algorithm_in_force": str(settings.algorithm),
            "consumer_scale": float(settings.consumer_scale),
            "vehicle_scale": float(settings.vehicle_scale),
            "turbine_scale": float(settings.turbine_scale),
            "wind_scale": float(settings.wind_scale),
            "note": settings.note,
        }

    def finish(self) -> None:
        """Make the points of the last tick, unless it did not end; call it before the recorder's `finish`."""
        if self._tick is not None and self._tick.phase is Phase.SETTLE:
            self._end_tick(self._tick.tick)

    # --- calls of the recorder ---------------------------------------------------------------------------

    def on_tick_reconciled(self, record: TickRecord) -> None:
        """Make the points of a tick's market and accounts."""
        begun = self._begins.get(record.tick)
        if begun is None:
            return
        time_ms, algorithm = begun
        figures = MarketPoints(record, self._births, algorithm)
        for point in figures.points(self._run, time_ms):
            self._sink(point)
        for point in cell_points(
            self._run, algorithm, self._births, record.market.states, self._device_tags, time_ms
        ):
            self._sink(point)
        if record.open:
            self._open[record.tick] = figures
        self._open.pop(record.tick - _LATE_TICKS, None)

    def on_late_receipt(
        self, record: TickRecord, consumer: str, awarded: Lots, taken: Lots, trades: list[TradeRow]
    ) -> None:
        """Correct the points of a tick by a late receipt."""
        figures, begun = self._open.get(record.tick), self._begins.get(record.tick)
        if figures is not None and begun is not None:
            figures.late(consumer, awarded, taken, trades)
            for point in figures.points(self._run, begun[0]):
                self._sink(point)

    def on_reservation(self, row: ReservationRow) -> None:
        """Make the point of an accepted offer."""
        self._sink(offer_point(self._reservation_tags(row), row, self._shift_ms))

    def on_reservations_ended(self, rows: list[ReservationRow]) -> None:
        """Make the points of reservations at their end."""
        for row in rows:
            self._sink(reservation_point(self._reservation_tags(row), row, self._shift_ms))

    def on_event(self, row: EventRow) -> None:
        """Make the point of an event."""
        tags = {**self._run, "what": row.kind, "device": row.subject}
        self._sink(
            Point(EVENT.name, tags, {"text": row.text, "tick": row.tick}, row.simulated_ms + self._shift_ms)
        )

    def _reservation_tags(self, row: ReservationRow) -> dict[str, str]:
        return {
            **self._run,
            "cell": cell_tag(self._births, row.charger or row.vehicle),
            "algorithm": OTHER if self._tick is None else str(self._tick.settings.algorithm),
            "device": row.vehicle,
        }


def run_name(name: str, epoch_s: int) -> str:
    """Return the name of a run: a given name and when its clock began, in UTC."""
    return f"{name}-{datetime.fromtimestamp(epoch_s, UTC):%Y%m%dT%H%M%S}"


def _lateness(last: Tick, took_s: float) -> tuple[float | None, float | None]:
    """Return how long the last phase took, and how much longer than it should have, in real seconds."""
    if last.paused:
        return None, None
    if last.mode is Mode.LOCKSTEP:
        return took_s, None
    due_s = (last.ends_ms - last.simulated_ms) / TICK_MS * last.seconds_per_tick
    return took_s, took_s - due_s
