"""Records a site through crashes of its own process: no message is lost, and none counts twice.

Every message is appended to the journal and recorded in its run; `sync` makes the journal safe, and only then may the
broker get its acknowledgement. Every commit of a run's store notes the serial of the last message its rows are made
of. After a crash the journal is replayed: without writing up to that serial, with writing after it. Points go to the
spool before the store commits; points of the messages in between are made again, and are the same points.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gridfleet.broker.errors import GridFleetError, PayloadError, shown
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import ConsumerState, Grant, Message, Phase, Suspension, Tick, Verify
from gridfleet.broker.protocol.quota import FLOOD, Quota
from gridfleet.broker.protocol.topics import CLOCK_ID, Address
from gridfleet.dashboards.audit.specifications import SpecificationOf
from gridfleet.dashboards.recording.durable.journal import Journal
from gridfleet.dashboards.recording.durable.journal_segments import JournalSegments
from gridfleet.dashboards.recording.durable.redelivery import RecentMessages
from gridfleet.dashboards.recording.durable.run import DurableRun
from gridfleet.dashboards.recording.durable.site_time import SiteTime
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.collector import run_name
from gridfleet.dashboards.telemetry.influx.spool import Spool
from gridfleet.dashboards.telemetry.live_status import LiveStatus
from gridfleet.dashboards.telemetry.points import Point, line_protocol

LOG: Final = logging.getLogger(__name__)
RUNS: Final = "runs"
JOURNAL: Final = "journal"
SEGMENT_BYTES: Final = 1 << 20
KEPT_TICKS: Final = 112
"""A day, and 16 ticks for late receipts. A reservation that lasts longer is incomplete after a crash."""
_GAP: Final = ""
"""The topic of a journal entry that marks a gap: messages may be missing before it."""


class DurableRecorder:
    """Call `receive` with every message, `sync` before it is acknowledged, and `checkpoint` every few seconds."""

    def __init__(  # noqa: PLR0913 - each named where it is called
        self,
        folder: Path,
        site: str,
        facts: Callable[[str], RunFacts],
        spool: Spool | None = None,
        *,
        name: str = "",
        specification_of: SpecificationOf | None = None,
        kept_ticks: int = KEPT_TICKS,
        segment_bytes: int = SEGMENT_BYTES,
        verify: Verify | None = None,
    ) -> None:
        """Continue where the last process of this folder stopped; `facts` returns those of a run, by its name.

        A run is named `name` (or the site) and the beginning of its clock; `verify` checks the signatures of the site's
        CA, and None believes unsigned registrations. Raises StoreError where the folder
        cannot be used.
        """
        self.received = self.refused = self.redelivered = self.points = 0
        self.live_status = LiveStatus()
        """The state of the run now, for alert rules."""
        self._folder = folder
        self._site = site
        self._facts = facts
        self._specification_of = specification_of
        self._name = name or site
        self._spool = spool
        self._decoder = SiteDecoder(site, verify)
        self._quota = Quota("the recorder", self._decoder.presences)
        self._retained: dict[str, bytes] = {}
        """Topic -> payload of what the broker retains, ticks left out."""
        self._recent = RecentMessages()
        self._time = SiteTime()
        self._first_of_run: Tick | None = None
        """A tick of a run that is not recorded yet."""
        self._run: DurableRun | None = None
        self._run_name = ""
        self._received_ms = 0
        self._serial = 0
        self._journal = Journal(folder / JOURNAL)
        self._segments = JournalSegments(self._journal, segment_bytes=segment_bytes, kept_ticks=kept_ticks)
        self._replay_journal()

    # --- messages ----------------------------------------------------------------------------------------

    def receive(self, topic: str, payload: bytes, received_ms: int, *, retained: bool = False) -> None:
        """Take a publication; foreign or invalid ones are counted and dropped.

        The broker delivers retained messages again with every new connection: known ones are ignored.
        """
        if retained and self._retained.get(topic) == payload:
            return
        self.received += 1
        decoded = list(self._decoder.decode(topic, payload, self._refuse, quota=self._quota))
        if not decoded or self._may_be_over(decoded[0][1], retained=retained):
            return
        for address, message in decoded:
            if isinstance(message, Tick) and address.sender == CLOCK_ID:
                self._segments.begin_if_due(message, self._time.tick, self._retained.items(), received_ms)
        serial = self._journal.append(topic, payload, received_ms)
        self._recent.add(topic, payload)
        self._record(topic, payload, serial, received_ms, decoded)

    def note_gap(self, received_ms: int) -> None:
        """Note that the broker has lost the session: ticks of which messages may be missing are not judged."""
        self._serial = self._journal.append(_GAP, b"", received_ms)
        self._record_gap(self._serial)

    def is_known(self, topic: str, payload: bytes) -> bool:
        """Return whether a message that the broker delivers again was kept before."""
        known = (topic, payload) in self._recent
        self.redelivered += known
        return known

    def sync(self) -> None:
        """Make received messages survive a crash; raise StoreError, having lost nothing, where that fails."""
        self._journal.sync()

    def checkpoint(self) -> None:
        """Make rows and points survive a crash too; raise StoreError, having lost nothing, where that fails."""
        self._journal.sync()
        self._sync_points()
        run = self._run
        if run is None or run.replaying:
            return
        if self._serial > run.committed_serial:
            run.commit(self._serial)
            if self._time.tick is not None:
                self._segments.delete_before(self._time.tick.tick)
        if run.ended:
            run.finish(self._sync_points)

    def judgements(self) -> list[tuple[str, Suspension]]:
        """Return the suspensions to publish since the last call, by device; after a replay those of the whole run."""
        return [] if self._run is None else self._run.judgements()

    # --- status ------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """Simulated time of the last message."""
        return self._time.now_ms

    @property
    def last_received_ms(self) -> int:
        """Real time of the last message, milliseconds since 1970; 0 before the first."""
        return self._received_ms

    @property
    def run(self) -> str:
        """The name of the run that is recorded; empty before the first tick."""
        return self._run_name

    @property
    def flooding(self) -> dict[str, int]:
        """How many messages of each sender were beyond its quota since this process started, and ignored."""
        return self._quota.dropped

    @property
    def breaches(self) -> dict[str, int]:
        """How often each broken invariant was breached in the present run so far, by its name."""
        return {} if self._run is None else self._run.breaches

    @property
    def journal_bytes(self) -> int:
        """The size of the journal on disk."""
        return self._journal.size

    # --- end ---------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Keep everything and release the files: the next process continues from here."""
        try:
            self.checkpoint()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Release the files as they are, as if killed: the broker delivers again what is not safe yet."""
        self._journal.abandon()
        if self._run is not None:
            self._run.close()
            self._run = None

    def __enter__(self) -> Self:
        """Return the recorder itself."""
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

    def _replay_journal(self) -> None:
        for entry in self._journal.read():
            serial = 0 if entry.is_context else entry.serial
            if entry.topic == _GAP:
                self._record_gap(serial)
                self._serial = max(serial, self._serial)
                continue
            decoded = list(self._decoder.decode(entry.topic, entry.payload, self._refuse))
            if not entry.is_context:
                self._recent.add(entry.topic, entry.payload)
                for _, message in decoded:
                    if isinstance(message, Tick):
                        self._segments.note(entry.segment, message.tick)
            self._record(entry.topic, entry.payload, serial, entry.received_ms, decoded)
        if self._run is not None:
            self._run.resume()

    def _refuse(self, topic: str, error: GridFleetError) -> None:
        is_flood = isinstance(error, PayloadError) and error.reason == FLOOD  # the quota logs it
        if not self.refused and not is_flood:
            LOG.warning("refused a message on topic %s: %s", shown(topic), error)
        self.refused += 1

    def _may_be_over(self, message: Message, *, retained: bool) -> bool:
        """Return whether a tick is all that was received of its run: a broker may have retained it of one that is over.

        A run is recorded from its first tick, or from the second phase that is received of it. A run that was
        recorded before is continued at once.
        """
        if not isinstance(message, Tick) or not self._time.begins_run(message):
            return False
        first, self._first_of_run = self._first_of_run, message
        if not retained and message.phase is Phase.BID:
            return False
        if first is not None and first.epoch == message.epoch and first.simulated_ms != message.simulated_ms:
            return False
        return not (self._folder / RUNS / self._name_of(message)).is_dir()

    def _name_of(self, tick: Tick) -> str:
        return run_name(self._name, tick.epoch) if tick.epoch else self._name

    def _record(
        self,
        topic: str,
        payload: bytes,
        serial: int,
        received_ms: int,
        decoded: list[tuple[Address, Message]],
    ) -> None:
        """Record the messages of a publication in their run."""
        if decoded:
            address, message = decoded[0]  # a batch, which has several, is never retained
            if address.message_type.retain and not isinstance(message, Tick):
                self._retained[topic] = payload
        for address, message in decoded:
            self._received_ms = received_ms
            if isinstance(message, Tick | Grant) and address.sender == CLOCK_ID:
                if isinstance(message, Tick) and self._time.begins_run(message):
                    self._begin_run(message)
                self._time.on_clock(message, received_ms)
            if self._run is not None:
                now_ms = self._time.at(received_ms)
                self._run.receive(serial, now_ms, address.scope, address.sender, message)
        self._serial = max(serial, self._serial)

    def _record_gap(self, serial: int) -> None:
        if self._run is not None:
            self._run.note_gap(serial)

    def _begin_run(self, tick: Tick) -> None:
        """Finish the former run; open or continue the store of the new one and record the retained messages."""
        if self._run is not None:
            former, self._run = self._run, None
            if not former.finished:
                former.resume()
                self._journal.sync()
                self._sync_points()
                former.commit(self._serial)
                former.finish(self._sync_points)
            former.close()
        self._time.begin_run()
        name = self._run_name = self._name_of(tick)
        self._run = run = DurableRun(
            self._folder / RUNS / name,
            self._facts(name),
            self._site,
            name,
            self._add_point,
            lambda: self._received_ms,
            self._specification_of,
        )
        for topic, payload in self._retained.items():
            address = self._decoder.address(topic)
            if address.message_type.name == ConsumerState.TYPE and address.sender != CLOCK_ID:
                run.note_former_run()  # the decoder drops the account itself, which states the epoch of its run
            # Refused are those of a device's former role or cell.
            for address, message in self._decoder.decode(topic, payload, lambda *_: None):
                run.receive_retained(address.scope, address.sender, message)

    def _sync_points(self) -> None:
        if self._spool is not None:
            self._spool.sync()

    def _add_point(self, point: Point) -> None:
        if self._spool is None:
            return
        self.live_status(point)
        if self._run is not None and self._run.replaying:
            return
        self.points += 1
        self._spool.add((line_protocol(point),))
