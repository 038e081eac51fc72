"""When the journal begins a new segment, and which segments are needed no longer."""

from collections.abc import Iterable

from gridfleet.broker.protocol.messages import Phase, Tick
from gridfleet.dashboards.recording.durable.journal import Journal


class JournalSegments:
    """Knows the tick with which each segment begins; a segment begins with a tick's first phase."""

    def __init__(self, journal: Journal, *, segment_bytes: int, kept_ticks: int) -> None:
        """A segment ends after `segment_bytes` or a quarter of `kept_ticks`; messages of `kept_ticks` are kept."""
        self._journal = journal
        self._segment_bytes = segment_bytes
        self._kept_ticks = kept_ticks
        self._first_ticks: dict[int, int] = {}

    def note(self, segment: int, tick: int) -> None:
        """Note a tick that was read from a segment."""
        self._first_ticks.setdefault(segment, tick)

    def begin_if_due(
        self, tick: Tick, last: Tick | None, retained: Iterable[tuple[str, bytes]], received_ms: int
    ) -> None:
        """Begin a segment with the retained messages, ticks left out, before a tick that follows `last`."""
        if not self._is_due(tick, last):
            return
        self._journal.begin_segment(retained, received_ms)
        self._first_ticks[self._journal.segment + 1] = tick.tick  # the next sync creates it

    def delete_before(self, tick: int) -> None:
        """Delete the segments that a restart at a tick does not need."""
        old = [number for number, first in self._first_ticks.items() if first <= tick - self._kept_ticks]
        if old:
            self._journal.delete_before(max(old))
            self._first_ticks = {each: first for each, first in self._first_ticks.items() if each >= max(old)}

    def _is_due(self, tick: Tick, last: Tick | None) -> bool:
        if tick.phase is not Phase.BID:
            return False
        if last is None or tick.epoch != last.epoch:
            self._first_ticks.clear()
            return True
        if tick.tick == last.tick:
            return False
        first = self._first_ticks.get(self._journal.segment, tick.tick)
        return (
            self._journal.segment_bytes >= self._segment_bytes or tick.tick - first >= self._kept_ticks // 4
        )
