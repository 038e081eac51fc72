"""The recording of one run that survives crashes: what of it is committed, and up to which message."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gridfleet.broker.errors import StoreError, error_reason
from gridfleet.broker.protocol.messages import ClockState, Message, Suspension
from gridfleet.dashboards.audit.specifications import SpecificationOf
from gridfleet.dashboards.recording.recording import STORE, Recording
from gridfleet.dashboards.store.rows import RunFacts
from gridfleet.dashboards.telemetry.points import Point

LOG: Final = logging.getLogger(__name__)
_SERIAL: Final = "serial"


class DurableRun:
    """A recording whose store notes in every commit the serial of the last message that its rows are made of.

    After a crash the messages are replayed. Those up to that serial only rebuild the recorder's memory, and the store
    ignores their rows; rows are written again from the next message on.
    """

    def __init__(
        self,
        folder: Path,
        facts: RunFacts,
        site: str,
        name: str,
        sink: Callable[[Point], None],
        received_ms: Callable[[], int],
        specification_of: SpecificationOf | None = None,
    ) -> None:
        """Open or continue the store in `folder`; `received_ms` is the real time of the message being recorded."""
        self._folder = folder
        self._recording = Recording(
            folder,
            facts,
            site=site,
            exact=False,
            specification_of=specification_of,
            sink=sink,
            run=name,
            resume=True,
            now_s=lambda: received_ms() / 1000,
            wall_ms=received_ms,
        )
        store = self._recording.store
        self.committed_serial = int(store.meta(_SERIAL, 0))
        store.ignores_rows = self._recording.continued
        store.holds_commits = True
        self._ended = False
        LOG.info("recording %s into %s", name, folder / STORE)

    @property
    def replaying(self) -> bool:
        """Whether only messages are replayed of which the rows are in the store already."""
        return self._recording.store.ignores_rows

    @property
    def ended(self) -> bool:
        """Whether the clock has ended the run."""
        return self._ended

    @property
    def breaches(self) -> dict[str, int]:
        """How often each broken invariant was breached so far, by its name."""
        return {each.name: each.breaches for each in self._recording.findings if not each.holds}

    def judgements(self) -> list[tuple[str, Suspension]]:
        """Return the suspensions that follow from what was received since the last call, by device."""
        return self._recording.judgements()

    def receive(self, serial: int, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Record a message; `serial` is its number in the journal."""
        self._resume_after(serial)
        self._recording.receive(simulated_ms, scope, sender, message)
        if isinstance(message, ClockState):
            self._ended = message.status == "finished"

    def receive_retained(self, scope: str, sender: str, message: Message) -> None:
        """Record a message that the broker retained when the run began."""
        self._recording.receive(0, scope, sender, message)

    def note_former_run(self) -> None:
        """Note, before the first tick, that devices were up in a former run."""
        self._recording.note_former_run()

    def note_gap(self, serial: int) -> None:
        """Note that messages may be missing before the one with that serial."""
        self._resume_after(serial)
        self._recording.note_gap()

    def resume(self) -> None:
        """End the replay: from now on rows are written and points made."""
        if self._recording.store.ignores_rows:
            self._recording.store.ignores_rows = False
            self._recording.restore_snapshot()

    def commit(self, serial: int) -> None:
        """Commit the rows with the serial of the last message; journal and points must be synced before."""
        self._recording.save_snapshot()
        self._recording.store.put_meta(_SERIAL, serial)
        self._release()
        self.committed_serial = serial

    def finish(self, sync_points: Callable[[], None]) -> None:
        """Write the rest of an ended run and its files; it counts as finished once its points are synced.

        Raises StoreError, having lost nothing, where the disk is full or cannot be written.
        """
        if self._recording.finished:
            return
        try:
            self._recording.finish()
        except StoreError:
            raise
        except OSError as error:
            reason = f"a run's files cannot be written ({error_reason(error)})"
            raise StoreError(self._folder, reason, "free some space") from error
        sync_points()
        self._release()

    @property
    def finished(self) -> bool:
        """Whether this process or an earlier one has finished the run."""
        return self._recording.finished

    def close(self) -> None:
        """Close the store; what is not committed is replayed by the next process."""
        self._recording.close()

    def _resume_after(self, serial: int) -> None:
        if serial > self.committed_serial:
            self.resume()

    def _release(self) -> None:
        """Commit; nothing else does, because the store holds commits back."""
        store = self._recording.store
        store.holds_commits = False
        try:
            store.commit()
        finally:
            store.holds_commits = True
