"""The history of a run for the live page: a page that joins, reloads or looks back gets what a page from the start has.

The latest ticks are kept as publications, older ones as the page keeps them (`condenser`). All publications go to a
file (`segments`), from which the page is shown any earlier tick. The thread of the run calls `receive`; those of the
viewers call the rest.
"""

import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.protocol.messages import Call, Lease, Message, State, Tick
from gridfleet.broker.readers.json_values import json_text
from gridfleet.dashboards.console.history.condenser import Condenser
from gridfleet.dashboards.console.history.publications import (
    READ_TYPES,
    Publication,
    as_retained,
    parse_line,
    publication,
)
from gridfleet.dashboards.console.history.segments import SegmentFile, read_segments, site_of

RECENT_TICKS: Final = 3
"""So many ticks are kept as publications, that in progress included: the page's market view needs them."""
MAX_SEGMENT_BYTES: Final = 64_000_000
"""The most text of one tick that is kept; the rest of it is dropped, and the tick is not whole."""
BEFORE_RUN: Final = -1
"""The number of the segment before the first tick."""
_LOOK_BACK: Final = 8
"""In so many ticks before those shown the last account of a device is looked for."""
Sink = Callable[[str], None]
"""Receives each line, in the thread of the run."""


class _Segment:
    """The publications between the beginnings of two ticks."""

    def __init__(self, tick: int, *, whole: bool) -> None:
        self.tick = tick
        self.whole = whole
        self.publications: list[Publication] = []
        self.size = 0


class PageHistory:
    """The history of one run; a context manager that closes its file."""

    def __init__(self, site: str, path: Path | None = None, *, from_start: bool = True) -> None:
        """Keep the ticks in a file at `path`, or in a temporary one.

        `from_start` says that no message of the run is missed; otherwise the first tick is not whole.
        """
        self.site = site
        self._path = path
        self._began_s = time.monotonic()
        self._lock = Lock()
        self._from_start = from_start
        self._sinks: list[Sink] = []
        self._file = SegmentFile(self._open(), site)
        self._reset()

    def _open(self) -> BinaryIO:
        return TemporaryFile() if self._path is None else self._path.open("w+b")

    def _reset(self) -> None:
        self._condenser = Condenser()
        self._recent = [_Segment(BEFORE_RUN, whole=self._from_start)]
        self._epoch = 0

    @property
    def now_ms(self) -> int:
        """Real milliseconds since the history began."""
        return round((time.monotonic() - self._began_s) * 1000)

    @property
    def first(self) -> int:
        """The first tick that can be shown."""
        return next((each.tick for each in self._file.segments if each.tick >= 0), max(self.last, 0))

    @property
    def last(self) -> int:
        """The tick in progress, or the last one; -1 before the first."""
        return self._recent[-1].tick

    def receive(
        self, _simulated_ms: int, scope: str, sender: str, message: Message, *, retained: bool = False
    ) -> None:
        """Take a message of the site; `retained` says that the broker had it before."""
        if message.TYPE in READ_TYPES:
            self.take(publication(self.site, self.now_ms, scope, sender, message, retained=retained))

    def take(self, each: Publication) -> None:
        """Take a publication, and pass it to the viewers."""
        with self._lock:
            if isinstance(each.message, Tick) and self._begins(each.message):
                self._begin(each.message)
            segment = self._recent[-1]
            segment.size += len(each.line)
            if segment.size > MAX_SEGMENT_BYTES and not each.is_event:
                segment.whole = False
            else:
                segment.publications.append(each)
            for sink in self._sinks:
                sink(each.line)

    def _begins(self, tick: Tick) -> bool:
        """Return whether a tick message begins another tick, or another run."""
        return tick.tick > self.last or tick.epoch > self._epoch

    def _begin(self, tick: Tick) -> None:
        if (
            tick.epoch > self._epoch and self.last >= 0
        ):  # another run on the same broker: the page starts again too
            self._file.close()
            self._file = SegmentFile(self._open(), self.site)
            events = self._retained()
            self._reset()
            self._recent[0].publications = events
        self._epoch = max(self._epoch, tick.epoch)
        self._store(self._recent[-1])
        whole = self._from_start or self.last != BEFORE_RUN
        self._recent.append(_Segment(tick.tick, whole=whole))
        while len(self._recent) > RECENT_TICKS:
            oldest = self._recent.pop(0)
            self._condenser.add(oldest.tick, oldest.publications, whole=oldest.whole)

    def _retained(self) -> list[Publication]:
        """Return the newest event of each topic, as the broker retains it; without ticks."""
        kept = [each.events for each in self._condenser.frames]
        found = dict(self._condenser.base)
        for each in chain.from_iterable([*kept, *(recent.publications for recent in self._recent)]):
            if each.is_event and not isinstance(each.message, Tick):
                found[each.topic] = each._replace(line=as_retained(each.line))
        return list(found.values())

    def _store(self, segment: _Segment) -> None:
        with suppress(
            OSError
        ):  # a full disk ends the run by itself; what the page can show again is no reason
            self._file.add(segment.tick, [each.line for each in segment.publications], whole=segment.whole)

    def finish(self) -> None:
        """Note that the run has ended: its last tick is stored too."""
        with self._lock:
            last = self._recent[-1]
            if not self._file.segments or self._file.segments[-1].tick != last.tick:
                self._store(last)

    def follow(self, sink: Sink) -> str:
        """Return the history until now as a message for the page; `sink` gets every line after it."""
        with self._lock:
            if sink not in self._sinks:
                self._sinks.append(sink)
            return self._message(self.last, live=True)

    def unfollow(self, sink: Sink) -> None:
        """End what `follow` began."""
        with self._lock, suppress(ValueError):
            self._sinks.remove(sink)

    def at(self, tick: int) -> tuple[int, str]:
        """Return the tick shown, and the history until its end as a message for the page."""
        with self._lock:
            shown = min(max(tick, self.first), self.last)
            return shown, self._message(shown, live=False)

    def lines(self, tick: int) -> list[str]:
        """Return the lines of one tick; none where it cannot be shown."""
        with self._lock:
            return self._lines(tick)

    def _lines(self, tick: int) -> list[str]:
        for recent in self._recent:
            if recent.tick == tick:
                return [each.line for each in recent.publications]
        found = next((each for each in self._file.segments if each.tick == tick), None)
        return [] if found is None else self._file.lines(found)

    # --- messages ----------------------------------------------------------------------------------------

    def _message(self, tick: int, *, live: bool) -> str:
        """Return the history until a tick as a message for the page."""
        window = range(max(tick - RECENT_TICKS + 1, BEFORE_RUN), tick + 1)
        if live:
            window = range(self._recent[0].tick, tick + 1)
        start = window.start
        frames = [frame.before(start) for frame in self._condenser.frames if frame.tick < start]
        exact = live or window.start == self._recent[0].tick
        states, calls = (
            (self._condenser.states, self._condenser.calls) if exact else self._earlier(window.start)
        )
        recent = [line for each in window for line in self._lines(each)]
        head = {
            "kind": "history",
            "now": self.now_ms,
            "first": self.first,
            "at": tick,
            "live": live,
            "partners": self._condenser.partners_before(start),
            "whole": sorted(self._whole() & set(window)),
            "figures": {
                device: _finite(self._condenser.figures_until(device, window.start - 1)) for device in states
            },
        }
        return (
            json_text(head, separators=(",", ":"))[:-1]
            + f',"base":[{",".join(each.line for each in self._condenser.base.values())}]'
            + f',"frames":[{",".join(frames)}]'
            + f',"states":[{",".join(each.line for each in states.values())}]'
            + f',"calls":[{",".join(each.line for each in calls.values())}]'
            + f',"recent":[{",".join(recent)}]}}'
        )

    def _whole(self) -> set[int]:
        """Return the ticks of which no publication is missing, of those that are kept as publications."""
        whole = {each.tick for each in self._file.segments if each.whole}
        return whole | {each.tick for each in self._recent if each.whole}

    def _earlier(self, before: int) -> tuple[dict[str, Publication], dict[str, Publication]]:
        """Return each device's last account, and each vehicle's open call, before an earlier tick."""
        states: dict[str, Publication] = {}
        calls: dict[str, Publication] = {}
        for tick in range(before - _LOOK_BACK, before):
            for line in self._lines(tick):
                name = line[: line.find(",{")]
                if not any(f"/{each.TYPE}/" in name for each in (State, Call, Lease)):
                    continue
                each = parse_line(self.site, line)
                if isinstance(each.message, Call):
                    calls[each.sender] = each
                elif isinstance(each.message, Lease):
                    calls.pop(each.scope, None)
                elif not each.is_event:
                    states[each.sender] = each
        return states, calls

    # --- life --------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Return the history itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        with self._lock:
            self._file.close()


def read_history(path: Path) -> PageHistory:
    """Return the history in a file, to be shown again; raise HistoryError where it cannot be read."""
    history = PageHistory(site_of(path))
    try:
        for _tick, _whole, lines in read_segments(path):
            for line in filter(None, lines):
                with suppress(GridFleetError, ValueError):
                    history.take(parse_line(history.site, line))
        history.finish()
    except BaseException:
        history.close()
        raise
    return history


def _finite(values: Iterable[float]) -> list[Any]:
    """Return numbers as JSON has them: null for none."""
    return [value if math.isfinite(value) else None for value in values]
