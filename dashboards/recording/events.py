"""Events that explain the curves of a run: settings, storms, outages, incidents, devices offline or suspended."""

from collections.abc import Iterator
from typing import Final

from gridfleet.broker.protocol.messages import Incident, Presence, Settings, Suspension, Tick
from gridfleet.dashboards.store.rows import EventRow

SUSPENDED: Final = "suspended"
REINSTATED: Final = "reinstated"
WEATHER_GAP: Final = "weather-gap"
"""Kind of the events that name a gap of a weather station, and what fills it."""
SITE: Final = "site"
"""The subject of events that are about no single device."""
_NOT_LISTED: Final = frozenset({"note", "outage_s"})
"""Settings that have an event or a text of their own."""


class EventLog:
    """Turns the messages of clock and devices into rows; each method returns the rows of one message."""

    def __init__(self) -> None:
        self._offline: set[str] = set()
        self._suspensions: dict[str, Suspension] = {}
        """Device -> its last judgement: the broker delivers a retained one again."""
        self._until: dict[str, int] = {}
        """Suspended device -> the tick in which it takes part again."""

    def on_tick(self, last: Tick | None, tick: Tick) -> Iterator[EventRow]:
        """Compare a tick message with the last one: the first begins the run, others may change settings."""
        if last is None:
            yield EventRow(tick.tick, tick.simulated_ms, "begin", SITE, "the run begins")
            return
        if last.settings is not tick.settings and last.settings != tick.settings:
            yield from _changes(last.settings, tick)
        if self._until and last.tick != tick.tick:
            for device in sorted(name for name, until in self._until.items() if until <= tick.tick):
                del self._until[device]
                text = f"{device} takes part again: its suspension is over"
                yield EventRow(tick.tick, tick.simulated_ms, REINSTATED, device, text)

    def on_presence(
        self, tick: int, simulated_ms: int, device: str, presence: Presence, *, known: bool
    ) -> Iterator[EventRow]:
        """Report that a device went offline or is online again; `known` says whether it was online before."""
        if presence.online:
            if device in self._offline:
                self._offline.discard(device)
                yield EventRow(max(tick, 0), simulated_ms, "online", device, f"{device} is online again")
        elif known and device not in self._offline and tick >= 0:
            self._offline.add(device)
            yield EventRow(tick, simulated_ms, "offline", device, f"{device} is offline")

    def on_suspension(
        self, tick: int, simulated_ms: int, device: str, suspension: Suspension
    ) -> Iterator[EventRow]:
        """Report that nobody deals with a device for a time, and why, or that an operator ends this."""
        if self._suspensions.get(device) == suspension:
            return
        self._suspensions[device] = suspension
        if suspension.lifts:
            self._until.pop(device, None)
            what, text = REINSTATED, f"{device} takes part again: {suspension.lie}"
        elif suspension.until_tick <= tick:
            return  # of an earlier run, or served already
        else:
            self._until[device] = suspension.until_tick
            what = SUSPENDED
            text = f"{device} is suspended until tick {suspension.until_tick}: {suspension.lie}"
        detail = f": {suspension.evidence}" if suspension.evidence else ""
        yield EventRow(max(tick, 0), simulated_ms, what, device, text + detail)


def incident_row(tick: int, simulated_ms: int, device: str, incident: Incident) -> EventRow:
    """Return the row of an incident: a switch that acted, a sensor that failed or recovered."""
    source = "measured" if incident.measured else "simulated"
    text = f"{device}: {incident.part} {incident.what}: {incident.reason} ({source})"
    return EventRow(max(tick, 0), simulated_ms, "incident", device, text)


def end_row(last: Tick) -> EventRow:
    """Return the row of the end of a run, whose last tick message was `last`."""
    return EventRow(last.tick, last.ends_ms, "end", SITE, "the run ends")


def _changes(before: Settings, tick: Tick) -> Iterator[EventRow]:
    """Report changed settings; wind above its natural strength is a span from `storm` to `storm-end`."""
    now = tick.settings
    changes = [
        f"{name} {_value_text(getattr(before, name))} to {_value_text(getattr(now, name))}"
        for name in Settings.__dataclass_fields__
        if name not in _NOT_LISTED and getattr(before, name) != getattr(now, name)
    ]
    kind = "settings"
    if before.wind_scale <= 1 < now.wind_scale:
        kind = "storm"
    elif now.wind_scale <= 1 < before.wind_scale:
        kind = "storm-end"
    note = now.note if now.note != before.note else ""
    if now.outage_s:
        text = f"outage drill: devices are offline for {now.outage_s:g} s"
        yield EventRow(tick.tick, tick.simulated_ms, "drill", SITE, text)
    if note or changes:
        yield EventRow(tick.tick, tick.simulated_ms, kind, SITE, note or ", ".join(changes))


def _value_text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
