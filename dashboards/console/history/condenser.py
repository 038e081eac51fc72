"""Condenses the older ticks of a run to what the live page keeps of them: totals, events, the devices' last figures.

It reads the publications in the order in which the page received them, and applies the rules of the page's own model
(console/src/model), which keeps no more of those ticks either.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import floor, nan
from typing import Final

from gridfleet.broker.protocol.messages import (
    Call,
    ChargerState,
    ClockState,
    Decline,
    Lease,
    Presence,
    ProducerState,
    Receipt,
    Role,
    State,
    StorageState,
    Tick,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.console.history.partners import Partners, Trade, sum_of
from gridfleet.dashboards.console.history.publications import Publication, as_retained
from gridfleet.dashboards.console.history.totals import TickTotals

MAX_TICKS: Final = 960
"""How many ticks the page draws, and so how many are kept; MAX_TICKS in console/src/model/tick-totals.ts."""
MAX_FIGURES: Final = 192
"""How many of its latest figures the page keeps of a device; MAX_HISTORY in console/src/model/devices.ts."""
RECEIPT_TICKS: Final = 3
"""Receipts of so many ticks count; TICKS_WITH_BIDS in console/src/model/tick-totals.ts."""
MAX_EVENTS: Final = 16_384
"""The most events of one tick that are kept."""


@dataclass(slots=True, eq=False)
class Frame:
    """What is left of a segment: the publications between the beginnings of two ticks."""

    tick: int
    totals: TickTotals | None = None
    events: list[Publication] = field(default_factory=list)
    refused: dict[str, dict[str, int]] = field(default_factory=dict)
    """How often devices have ignored messages, by reason and device, as reported in the segment."""
    max_power_w: int = 1
    """The highest power of a producer until its end."""
    trades: bytes = b""
    """What was traded in it, packed (`Partners`)."""
    versions: list[tuple[int, str]] = field(default_factory=list)
    """The frame for the page at the end of a segment: later segments may bring late accounts of its tick."""

    def before(self, segment: int) -> str:
        """Return the frame for the page as it was before a segment began."""
        return next(text for at, text in reversed(self.versions) if at < segment)

    def as_json(self) -> str:
        """Return the frame for the page as it is now."""
        totals = None if self.totals is None else self.totals.as_json()
        fields = {"tick": self.tick, "totals": totals, "refused": self.refused, "maxPower": self.max_power_w}
        events = ",".join(each.line for each in self.events)
        return f'{json_text(fields, separators=(",", ":"))[:-1]},"events":[{events}]}}'


class Condenser:
    """What is known at the end of the last segment that was added."""

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.states: dict[str, Publication] = {}
        """The last account of each device."""
        self.figures: dict[str, deque[tuple[int, float]]] = {}
        """Of each device its main figure at its last ticks, with the tick."""
        self.calls: dict[str, Publication] = {}
        """Calls for proposals without a lease yet, by vehicle."""
        self.base: dict[str, Publication] = {}
        """The newest event of each topic of the ticks that are no longer kept."""
        self._devices: dict[str, Presence] = {}
        self._tick: Tick | None = None
        self._trades = Partners()
        self._old_trades = Partners()
        """Those of the ticks that are no longer kept."""
        self._late: list[Frame] = []
        """Frames of earlier ticks that the segment in progress has changed."""

    def add(self, tick: int, publications: Iterable[Publication], *, whole: bool) -> None:
        """Add a segment; `whole` says that no publication of it is missing."""
        before = self.frames[-1].max_power_w if self.frames else 1
        frame = Frame(tick, max_power_w=before)
        self._trades = Partners()
        self.frames.append(frame)
        pending: Publication | None = None
        for each in publications:
            if isinstance(each.message, Tick):
                if self._begin(frame, each.message, whole=whole):
                    frame.events.append(each)
                    pending = None
                else:
                    pending = each
            elif each.is_event:
                if len(frame.events) < MAX_EVENTS:
                    frame.events += [each] if pending is None else [pending, each]
                pending = None
                self._on_event(each)
            else:
                self._apply(frame, each)
        frame.trades = self._trades.packed()
        for changed in (frame, *self._late):
            changed.versions.append((tick, changed.as_json()))
        self._late.clear()
        while len(self.frames) > MAX_TICKS:
            self._fold(self.frames.popleft())

    def figures_until(self, device: str, tick: int) -> list[float]:
        """Return a device's main figures until a tick, oldest first, as many as the page keeps."""
        found = [value for at, value in self.figures.get(device, ()) if at <= tick]
        return found[-MAX_FIGURES:]

    def partners_before(self, segment: int) -> dict[str, Trade]:
        """Return who had traded with whom before a segment began."""
        packed = (frame.trades for frame in self.frames if frame.tick < segment)
        return sum_of([self._old_trades.packed(), *packed]).pairs

    def _begin(self, frame: Frame, tick: Tick, *, whole: bool) -> bool:
        """Take a tick message; return whether the page's log depends on it."""
        before, self._tick = self._tick, tick
        if frame.totals is None and tick.tick == frame.tick:
            frame.totals = TickTotals(tick.simulated_ms // TICK_MS * TICK_MS, whole=whole)
            for old in self.frames:
                if old.totals is not None and old.tick <= tick.tick - RECEIPT_TICKS:
                    old.totals.close()
        return (
            before is None
            or before.tick != tick.tick
            or (before.paused, before.mode, before.seconds_per_tick, before.revision)
            != (tick.paused, tick.mode, tick.seconds_per_tick, tick.revision)
            or before.settings != tick.settings
            or before.absent != tick.absent
        )

    def _on_event(self, each: Publication) -> None:
        if isinstance(each.message, Presence) and each.message.role is not Role.CLOCK:
            self._devices[each.sender] = each.message

    def _apply(self, frame: Frame, each: Publication) -> None:
        message = each.message
        match message:
            case ClockState():
                pass
            case State():
                self._on_state(frame, each, message)
            case Receipt():
                self._trades.add(each.scope, each.sender, message)
                totals = self._totals(message.tick)
                if totals is not None:
                    totals.add_receipt(each.scope, each.sender, message)
            case Call():
                self.calls[each.sender] = each
            case Lease():
                self._on_lease(each.scope, each.sender, message)
            case Decline():
                totals = self._totals(frame.tick)
                if totals is not None:
                    totals.add_decline(each.sender, message.reason)
            case _:
                pass

    def _on_state(self, frame: Frame, each: Publication, state: State) -> None:
        known = self.states.get(each.sender)
        before = known.message if known is not None and isinstance(known.message, State) else None
        if each.sender not in self._devices or (before is not None and state.tick < before.tick):
            return
        self.states[each.sender] = each
        if before is not None and state.tick == before.tick:
            return
        if isinstance(state, ProducerState) and state.role == "producer":
            frame.max_power_w = max(frame.max_power_w, state.power_w)
        figures = self.figures.setdefault(each.sender, deque(maxlen=MAX_TICKS))
        figures.append((frame.tick, main_figure(state)))
        totals = self._totals(state.tick)
        if totals is not None:
            totals.add_state(each.sender, state)
        if before is None:
            return
        for reason, count in state.refused.items():
            more = count - before.refused.get(reason, 0)
            if more > 0:
                devices = frame.refused.setdefault(reason, {})
                devices[each.sender] = devices.get(each.sender, 0) + more

    def _on_lease(self, vehicle: str, charger: str, lease: Lease) -> None:
        call = self.calls.get(vehicle)
        at = self._devices.get(charger)
        totals = None if self._tick is None else self._totals(self._tick.tick)
        if call is None or at is None or totals is None:
            return
        if isinstance(call.message, Call) and call.message.call == lease.call:
            del self.calls[vehicle]
            totals.add_lease(call.message, lease, at.latitude, at.longitude)

    def _totals(self, tick: int) -> TickTotals | None:
        """Return the totals of a tick, if it is one of those that are kept."""
        for frame in reversed(self.frames):
            if frame.tick == tick:
                if frame.versions and frame not in self._late:
                    self._late.append(frame)
                return frame.totals
            if frame.tick < tick - 1:
                return None
        return None

    def _fold(self, frame: Frame) -> None:
        """Keep of a frame the newest event of each topic, as the broker retains it, and who traded with whom."""
        self._old_trades = sum_of([self._old_trades.packed(), frame.trades])
        for each in frame.events:
            if not isinstance(each.message, Tick):
                self.base[each.topic] = each._replace(line=as_retained(each.line))


def main_figure(state: State) -> float:
    """Return the figure that the page draws of a device, to a hundredth: state of charge in %, else power in kW."""
    if isinstance(state, StorageState | ChargerState | VehicleState):
        if not state.capacity_wh:
            return nan
        return _rounded(max(0.0, min(1.0, state.stored_wh / state.capacity_wh)) * 100)
    return _rounded(state.power_w / 1000)


def _rounded(value: float) -> float:
    """Return a number to a hundredth, as the page rounds it."""
    return floor(value * 100 + 0.5) / 100
