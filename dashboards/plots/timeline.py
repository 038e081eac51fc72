"""The time axis of a run: its ticks in at most a few hundred bins, and series of values per bin."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gridfleet.broker.protocol.units import MS_PER_DAY, MS_PER_HOUR
from gridfleet.dashboards.store.database import Store
from gridfleet.dashboards.store.rows import EventRow, RunFacts

Series = npt.NDArray[np.float64]

MAX_BINS: Final = 480
_END: Final = "-end"


@dataclass(frozen=True, slots=True)
class Span:
    """An event on the time axis, in hours; an instant where its end is None."""

    kind: str
    begin_hour: float
    end_hour: float | None
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Bins of `step` ticks each; hours count from midnight of the first day."""

    store: Store
    facts: RunFacts
    first_tick: int
    ticks: int
    step: int
    midnight_ms: int
    edges: Series
    """Hours at which the bins begin, and the hour at which the last one ends."""
    spans: tuple[Span, ...]

    @property
    def bins(self) -> int:
        """How many bins there are."""
        return len(self.edges) - 1

    @property
    def start_ms(self) -> int:
        """Simulated time at which the first tick begins."""
        return self.midnight_ms + round(float(self.edges[0]) * MS_PER_HOUR)

    @property
    def ends(self) -> Series:
        """Hours at which the bins end; states such as a battery's are drawn there."""
        return self.edges[1:]

    def hour(self, simulated_ms: float) -> float:
        """Return simulated milliseconds as hours on the axis."""
        return (simulated_ms - self.midnight_ms) / MS_PER_HOUR

    def day_name(self, day: int) -> str:
        """Return a short name such as 2 Jun, counting days from the first."""
        date = datetime(1970, 1, 1) + timedelta(milliseconds=self.midnight_ms + day * MS_PER_DAY)  # noqa: DTZ001
        return f"{date.day} {_MONTHS[date.month - 1]}"

    def read(self, value: str, source: str, where: str = "1") -> Series:
        """Return one number per bin: an SQL aggregate over a table's rows of that bin; NaN without rows."""
        return self.read_by("''", value, source, where).get("", self.empty_series())

    def read_by(self, name: str, value: str, source: str, where: str = "1") -> dict[str, Series]:
        """Return one such series for each value of an SQL expression, in the order of these names."""
        rows = self.store.select(
            f"SELECT {name}, (tick - ?) / ? AS bin, {value} FROM {source} "  # noqa: S608  the code's own SQL
            f"WHERE {where} AND tick BETWEEN ? AND ? GROUP BY 1, 2 ORDER BY 1, 2",
            (self.first_tick, self.step, self.first_tick, self.first_tick + self.ticks - 1),
        )
        return self.series_by_name(rows)

    def series_by_name(self, rows: Iterable[tuple[Any, ...]]) -> dict[str, Series]:
        """Return one series per name from rows of name, bin, value."""
        found: dict[str, Series] = {}
        for name, index, value in rows:
            if name not in found:
                found[name] = self.empty_series()
            if value is not None and 0 <= index < self.bins:
                found[name][index] = value
        return found

    def empty_series(self) -> Series:
        """Return a series without values."""
        return np.full(self.bins, np.nan)


def read_timeline(store: Store) -> Timeline:
    """Return the time axis of a store, empty (no bins) where no tick was recorded."""
    facts = store.facts()
    ((first, last, first_ms),) = store.select("SELECT min(tick), max(tick), min(simulated_ms) FROM ticks")
    if first is None:
        first, last, first_ms = 0, -1, facts.start_ms
    ticks = last - first + 1
    step = max(1, math.ceil(ticks / MAX_BINS))
    bins = math.ceil(ticks / step)
    midnight = first_ms // MS_PER_DAY * MS_PER_DAY
    tick_numbers = np.minimum(np.arange(bins + 1) * step, ticks)
    edges = (first_ms - midnight + tick_numbers * facts.tick_ms) / MS_PER_HOUR
    spans = _spans(store, midnight, float(edges[-1]))
    return Timeline(store, facts, first, ticks, step, midnight, edges, spans)


def _spans(store: Store, midnight_ms: int, last_hour: float) -> tuple[Span, ...]:
    """Pair each `kind` with the next `kind-end` of its subject."""
    events = list(store.events())
    ends: dict[tuple[str, str], list[EventRow]] = {}
    for event in events:
        ends.setdefault((event.kind, event.subject), []).append(event)
    spans = []
    for event in events:
        if event.kind.endswith(_END):
            continue
        later = ends.get((event.kind + _END, event.subject), ())
        end = next((e for e in later if e.simulated_ms >= event.simulated_ms), None)
        begin_hour = (event.simulated_ms - midnight_ms) / MS_PER_HOUR
        end_hour = None if end is None else min(last_hour, (end.simulated_ms - midnight_ms) / MS_PER_HOUR)
        spans.append(Span(event.kind, begin_hour, end_hour, event.text or event.kind))
        if end is not None and end.text and end_hour is not None:
            spans.append(Span(end.kind, end_hour, None, end.text))
    return tuple(sorted(spans, key=lambda span: span.begin_hour))


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
