"""A recorder that lives as long as the site: what it has heard survives it, and no message counts twice.

Every message goes into the journal and, on the same way, into the recording of its run; `sync` makes the journal safe,
and only then may the broker be answered. The store notes in every commit the serial of the last message that its
rows are made of. So after a crash the journal is heard again: silently as far as the store goes, then aloud. Points
go to the spool before the store commits; those of the messages in between are made again, and are the same points.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.errors import GridFleetError, StoreError, error_reason
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ClockState, Grant, Message, Mode, Phase, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID, Address
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.dashboards.recording.journal import Journal
from gridfleet.dashboards.recording.recording import STORE, Recording
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.collector import run_name
from gridfleet.dashboards.telemetry.influx.spool import Spool
from gridfleet.dashboards.telemetry.live_status import LiveStatus
from gridfleet.dashboards.telemetry.points import Point, line

LOG: Final = logging.getLogger(__name__)
RUNS: Final = "runs"
JOURNAL: Final = "journal"
_GAP: Final = ""
"""No topic: in the journal, it says that something may be missing here."""
_SERIAL: Final = "serial"
SEGMENT_BYTES: Final = 1 << 20
KEPT_TICKS: Final = 112
"""A day and what is needed for late receipts: a reservation that lasts longer is not whole after a crash."""
_REMEMBERED: Final = 65_535
"""As many messages as can be on their way to us, by the packet identifiers of MQTT."""


class DurableRecorder:
    """Call `hear` with what comes off the wire, `sync` before it is answered for, `checkpoint` now and then."""

    def __init__(
        self,
        folder: Path,
        site: str,
        facts: Callable[[str], RunFacts],
        spool: Spool | None = None,
        *,
        name: str = "",
        kept_ticks: int = KEPT_TICKS,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Go on where the last process of this folder was; `facts` are those of a run, by its name.

        Runs are named `name` (or the site) and the beginning of their clock. Raises StoreError where the folder
        cannot be used.
        """
        self.heard = self.refused = self.redelivered = self.points = 0
        self.standing = LiveStatus()
        """How the run stands; for alert rules."""
        self._folder = folder
        self._site = site
        self._facts = facts
        self._name = name or site
        self._spool = spool
        self._kept_ticks = kept_ticks
        self._segment_bytes = segment_bytes
        self._decoder = SiteDecoder(site)
        self._context: dict[str, bytes] = {}
        self._recent: deque[int] = deque()
        self._recently: Counter[int] = Counter()
        self._segments: dict[int, int] = {}
        """Segment -> the tick with which it begins."""
        self._recording: Recording | None = None
        self._run = ""
        self._tick: Tick | None = None
        self._tick_heard_ms = self._heard_ms = 0
        self._now_ms = 0
        self._serial = self._committed = 0
        self._ended = False
        self._journal = Journal(folder / JOURNAL)
        self._resume()

    # --- what is heard -----------------------------------------------------------------------------------

    def hear(self, topic: str, payload: bytes, heard_ms: int, *, retained: bool = False) -> None:
        """Take a message off the wire; what is none of ours is counted and dropped.

        What the broker retains is told again with every new connection: it is no news.
        """
        if retained and self._context.get(topic) == payload:
            return
        self.heard += 1
        said = list(self._decoder.decode(topic, payload, self._refuse))
        if not said:
            return
        for address, message in said:
            if isinstance(message, Tick) and address.sender == CLOCK_ID and self._opens_segment(message):
                self._journal.begin_segment(self._context.items(), heard_ms)  # without ticks: one follows
                self._segments[self._journal.segment + 1] = message.tick  # it is made by the next sync
        serial = self._journal.append(topic, payload, heard_ms)
        self._remember(topic, payload)
        self._keep_retained(topic, payload, *said[0])
        for address, message in said:
            self._apply(serial, heard_ms, address, message)
        self._serial = max(serial, self._serial)

    def missed(self, heard_ms: int) -> None:
        """The broker had forgotten us: what was said in between may be missing, and is not judged."""
        self._serial = self._journal.append(_GAP, b"", heard_ms)
        self._gap(self._serial)

    def known(self, topic: str, payload: bytes) -> bool:
        """Tell whether a message that the broker delivers again was kept before."""
        known = self._recently[hash((topic, payload))] > 0
        self.redelivered += known
        return known

    def sync(self) -> None:
        """Make what was heard survive a crash; raise StoreError, having lost nothing, where that fails."""
        self._journal.sync()

    def checkpoint(self) -> None:
        """Make rows and points survive a crash too; raise StoreError, having lost nothing, where that fails."""
        self._journal.sync()
        if self._spool is not None:
            self._spool.sync()
        recording = self._recording
        if recording is None or recording.store.muted:
            return
        if self._serial > self._committed:
            self._commit(recording)
            self._forget()
        if self._ended and not recording.finished:
            self._finish(recording)

    @property
    def now_ms(self) -> int:
        """Simulated time, as far as the last messages tell it."""
        return self._now_ms

    @property
    def last_heard_ms(self) -> int:
        """Real time of the last message."""
        return self._heard_ms

    @property
    def run(self) -> str:
        """The name of the run that is recorded; empty before the first tick."""
        return self._run

    @property
    def journal_bytes(self) -> int:
        """The size of the journal on disk."""
        return self._journal.size

    def close(self) -> None:
        """Keep everything and let go: the next process goes on from here."""
        try:
            self.checkpoint()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of everything as it is, as if killed: what is not safe yet the broker will deliver again."""
        self._journal.abandon()
        if self._recording is not None:
            self._recording.close()
            self._recording = None

    def __enter__(self) -> Self:
        """Hand out the recorder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; after an error, abandon."""
        if kind is None:
            self.close()
        else:
            self.abandon()

    # --- inside ------------------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Hear the journal again."""
        for entry in self._journal.read():
            serial = 0 if entry.is_context else entry.serial
            if entry.topic == _GAP:
                self._gap(serial)
                self._serial = max(serial, self._serial)
                continue
            if not entry.is_context:
                self._remember(entry.topic, entry.payload)
            said = list(self._decoder.decode(entry.topic, entry.payload, self._refuse))
            if said:
                self._keep_retained(entry.topic, entry.payload, *said[0])
            for address, message in said:
                if isinstance(message, Tick) and not entry.is_context:
                    self._segments.setdefault(entry.segment, message.tick)
                self._apply(serial, entry.heard_ms, address, message)
            self._serial = max(serial, self._serial)
        recording = self._recording
        if recording is not None:
            self._unmute(recording)

    def _refuse(self, topic: str, error: GridFleetError) -> None:
        if not self.refused:
            LOG.warning("the recorder refuses a message under %s: %s", topic, error)
        self.refused += 1

    def _remember(self, topic: str, payload: bytes) -> None:
        mark = hash((topic, payload))
        self._recent.append(mark)
        self._recently[mark] += 1
        if len(self._recent) > _REMEMBERED:
            old = self._recent.popleft()
            self._recently[old] -= 1
            if not self._recently[old]:
                del self._recently[old]

    def _keep_retained(self, topic: str, payload: bytes, address: Address, message: Message) -> None:
        """Keep a payload that the broker retains, for the beginning of the next run; no batch is retained."""
        if address.message_type.retain and not isinstance(message, Tick):
            self._context[topic] = payload

    def _apply(self, serial: int, heard_ms: int, address: Address, message: Message) -> None:
        """Hand a message to the recording of its run."""
        self._heard_ms = heard_ms
        if isinstance(message, Tick | Grant) and address.sender == CLOCK_ID:
            self._time(message, heard_ms)
        recording = self._recording
        if recording is None:
            return
        if serial > self._committed:
            self._unmute(recording)
        now_ms = self._estimate(heard_ms)
        recording.tap(now_ms, address.scope, address.sender, message)
        if isinstance(message, ClockState):
            self._ended = message.status == "finished"

    def _gap(self, serial: int) -> None:
        recording = self._recording
        if recording is not None:
            if serial > self._committed:
                self._unmute(recording)
            recording.missed()

    def _time(self, message: Tick | Grant, heard_ms: int) -> None:
        if isinstance(message, Tick):
            if self._tick is None or message.epoch != self._tick.epoch:
                self._begin_run(message)
            elif (message.tick, message.phase, message.paused, message.seconds_per_tick) == (
                self._tick.tick, self._tick.phase, self._tick.paused, self._tick.seconds_per_tick,
            ):  # fmt: skip
                return  # the same again
            self._tick, self._tick_heard_ms = message, heard_ms
        self._now_ms = max(self._now_ms, message.simulated_ms)

    def _estimate(self, heard_ms: int) -> int:
        """Return simulated time: of the phase or grant, and what has passed since where time does not stand still."""
        tick = self._tick
        if tick is not None and tick.mode is not Mode.LOCKSTEP and not tick.paused and tick.seconds_per_tick:
            passed_ms = (heard_ms - self._tick_heard_ms) * TICK_MS / 1000 / tick.seconds_per_tick
            self._now_ms = max(self._now_ms, min(tick.simulated_ms + round(passed_ms), tick.ends_ms))
        return self._now_ms

    def _begin_run(self, tick: Tick) -> None:
        """Open the recording of a run, a new one or one that is gone on with, and tell it what the broker retains."""
        if self._recording is not None:
            former, self._recording = self._recording, None
            if not former.finished:
                self._unmute(former)
                self._commit(former)
                self._finish(former)
            former.close()
        self._ended = False
        self._run = run_name(self._name, tick.epoch) if tick.epoch else self._name
        folder = self._folder / RUNS / self._run
        self._now_ms = 0
        self._recording = recording = Recording(
            folder,
            self._facts(self._run),
            site=self._site,
            exact=False,
            sink=self._take,
            run=self._run,
            resume=True,
            now_s=lambda: self._heard_ms / 1000,
            wall_ms=lambda: self._heard_ms,
        )
        self._committed = int(recording.store.meta(_SERIAL, 0))
        recording.store.muted = recording.continued
        recording.store.held = True
        LOG.info("records %s into %s", self._run, folder / STORE)
        for topic, payload in self._context.items():
            address, message = self._decoder.decode_one(topic, payload)
            recording.tap(0, address.scope, address.sender, message)

    def _unmute(self, recording: Recording) -> None:
        if recording.store.muted:
            recording.store.muted = False
            recording.recall()

    def _commit(self, recording: Recording) -> None:
        """Commit the rows with the serial of the last message they are made of; journal and points before them."""
        self._journal.sync()
        if self._spool is not None:
            self._spool.sync()
        recording.keep_memory()
        recording.store.put_meta(_SERIAL, self._serial)
        self._release(recording)
        self._committed = self._serial

    def _finish(self, recording: Recording) -> None:
        """Write what is left of a run that is over, and its files; it counts as finished when its points are safe."""
        try:
            recording.finish()
        except StoreError:
            raise
        except OSError as error:
            raise StoreError(
                self._folder, f"a run's files cannot be written ({error_reason(error)})", "make room"
            ) from error
        if self._spool is not None:
            self._spool.sync()
        self._release(recording)

    @staticmethod
    def _release(recording: Recording) -> None:
        """Commit; nothing else does."""
        recording.store.held = False
        try:
            recording.store.commit()
        finally:
            recording.store.held = True

    def _take(self, point: Point) -> None:
        recording = self._recording
        if self._spool is None:
            return
        self.standing(point)
        if recording is not None and recording.store.muted:
            return
        self.points += 1
        self._spool.add((line(point),))

    def _opens_segment(self, tick: Tick) -> bool:
        if tick.phase is not Phase.BID:
            return False
        known = self._tick
        if known is None or tick.epoch != known.epoch:
            self._segments.clear()
            return True
        if tick.tick == known.tick:
            return False
        begun = self._segments.get(self._journal.segment, tick.tick)
        return (
            self._journal.segment_bytes >= self._segment_bytes or tick.tick - begun >= self._kept_ticks // 4
        )

    def _forget(self) -> None:
        """Delete the segments that are not needed any more to go on after a crash."""
        if self._tick is None:
            return
        needed = [
            number for number, tick in self._segments.items() if tick <= self._tick.tick - self._kept_ticks
        ]
        if needed:
            self._journal.forget_before(max(needed))
            self._segments = {each: tick for each, tick in self._segments.items() if each >= max(needed)}
