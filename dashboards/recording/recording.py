"""Records a whole run from its messages: store, audit, telemetry points and trace; for simulations and live sites."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, NamedTuple, Self

from gridfleet.broker.protocol.messages import Facts, Message, Suspension, Tick
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.audit.accusations.judge import Judge
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.dashboards.audit.specifications import SpecificationOf
from gridfleet.dashboards.recording.recorder import Recorder
from gridfleet.dashboards.recording.trace import TraceHead, TraceWriter
from gridfleet.dashboards.reports.export import write_exports
from gridfleet.dashboards.store.database import IN_MEMORY, Store
from gridfleet.dashboards.store.rows import EventRow, RunFacts
from gridfleet.dashboards.telemetry.collector import Collector, Sink

STORE: Final = "run.sqlite"
SNAPSHOT_KEY: Final = "snapshot"
FINDINGS_KEY: Final = "findings"
FINISHED_KEY: Final = "finished"
BREACHES: Final = "breaches"
"""The key in the store under which the first breaches of each invariant are described."""


class AuditResult(NamedTuple):
    """The auditor's findings for a run."""

    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether no invariant was broken."""
        return all(finding.holds for finding in self.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The invariants that were broken."""
        return tuple(finding for finding in self.findings if not finding.holds)


class Recording:
    """A run being recorded into a directory, or into memory without one; a context manager.

    `exact`, `clock_skew_ms` and `specification_of` are the auditor's: use exact=False where messages may be lost or
    late, that is with faults, and on a broker in any mode but lock-step.
    """

    def __init__(  # noqa: PLR0913 - a recording has as many sides
        self,
        directory: Path | str | None,
        facts: RunFacts,
        *,
        notes: Sequence[EventRow] = (),
        trace: Path | str | None = None,
        site: str = "site",
        exact: bool = True,
        clock_skew_ms: int = 0,
        specification_of: SpecificationOf | None = None,
        sink: Sink | None = None,
        run: str | None = None,
        resume: bool = False,
        now_s: Callable[[], float] = monotonic,
        wall_ms: Callable[[], int] | None = None,
    ) -> None:
        """Prepare; `notes` are events that are known before the run.

        `sink` receives the telemetry points of the run, tagged `run`; `now_s` and `wall_ms` are the collector's.

        With `resume`, an existing store is continued: see `continued`.
        """
        self._directory = None if directory is None else Path(directory)
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
        path = IN_MEMORY if self._directory is None else self._directory / STORE
        self.continued = resume and Path(path).is_file()
        """Whether the store existed already."""
        self.store = Store.resume(path) if self.continued else Store.create(path)
        try:
            self._trace = (
                None if trace is None else TraceWriter(trace, site, TraceHead(facts, exact, clock_skew_ms))
            )
        except OSError:
            self.store.close()
            raise
        if not self.continued:
            self.store.put_facts(facts)
            self.store.add_events(notes)
        self._auditor = Auditor(exact=exact, clock_skew_ms=clock_skew_ms, specification_of=specification_of)
        self._judge = Judge()
        self._judgements: list[tuple[str, Suspension]] = []
        self._collector = (
            None
            if sink is None
            else Collector(
                sink,
                site,
                scenario=facts.scenario,
                run=run,
                findings=lambda: self._auditor.findings,
                now_s=now_s,
                wall_ms=wall_ms,
            )
        )
        self._recorder = Recorder(self.store, self._collector)
        self._result: AuditResult | None = None
        self.trace_problem = ""
        """Why the trace could not be written to its end; empty where it could."""

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Record a message: simulated time in ms, scope and sender of its topic."""
        if self._collector is not None:
            self._collector.receive(simulated_ms, scope, sender, message)
        self._recorder.receive(simulated_ms, scope, sender, message)
        self._auditor.receive(simulated_ms, scope, sender, message)
        if isinstance(message, Tick):
            self._judge.on_tick(message)
            self._judgements += self._judge.judge(self._auditor.accusations())
        elif isinstance(message, Facts):
            self._judge.on_facts(message)
        elif isinstance(message, Suspension):
            self._judge.on_suspension(scope, message)
        if self._trace is not None:
            try:
                self._trace.receive(simulated_ms, scope, sender, message)
            except OSError as error:  # the disk is full: the run goes on without a trace
                self._lose_trace(error)

    def judgements(self) -> list[tuple[str, Suspension]]:
        """Return the suspensions since the last call, by device; they are judged when a phase begins."""
        found, self._judgements = self._judgements, []
        return found

    def note_gap(self) -> None:
        """Note that messages may be missing here, as after a lost connection."""
        self._auditor.note_gap()
        if self._trace is not None:
            self._trace.note_gap()

    def note_former_run(self) -> None:
        """Note, before the first tick, that devices were up in a former run."""
        self._auditor.note_former_run()

    @property
    def findings(self) -> list[Finding]:
        """The auditor's findings so far."""
        return self._auditor.findings

    @property
    def finished(self) -> bool:
        """Whether this process or an earlier one has finished the run."""
        return bool(self.store.meta(FINISHED_KEY, default=False))

    def save_snapshot(self) -> None:
        """Store what the next process needs to continue, in the same commit as the rows."""
        self.store.put_meta(SNAPSHOT_KEY, self._recorder.snapshot())
        self.store.put_meta(FINDINGS_KEY, [finding._asdict() for finding in self.findings])

    def restore_snapshot(self) -> None:
        """Continue from what `save_snapshot` stored; call it once the messages behind the rows are replayed."""
        self._recorder.restore(self.store.meta(SNAPSHOT_KEY, {}))
        kept = self.store.meta(FINDINGS_KEY, [])
        self._auditor.restore(Finding(**{**each, "examples": tuple(each["examples"])}) for each in kept)

    def finish(self) -> AuditResult:
        """Write the rest, the audit and the files; return the audit's result. The store stays open for reading."""
        if self._result is None:
            if self._collector is not None:
                self._collector.finish()
            self._recorder.finish()
            self._result = result = AuditResult(tuple(self._auditor.finish()))
            self.store.put_invariants(finding.invariant for finding in result.findings)
            self.store.put_meta(BREACHES, {each.name: list(each.examples) for each in result.broken})
            self.store.put_meta(FINISHED_KEY, value=True)
            self.store.commit()
            if self._trace is not None:
                try:
                    self._trace.finish()
                except OSError as error:
                    self._lose_trace(error)
            if self._directory is not None:
                write_exports(self.store, self._directory)
        return self._result

    def _lose_trace(self, error: OSError) -> None:
        """Keep why the trace cannot be written, and write no more of it."""
        self.trace_problem = f"{error.filename}: the trace ends early ({str(error.strerror).lower()})"
        trace, self._trace = self._trace, None
        with suppress(OSError):
            if trace is not None:
                trace.close()

    def __enter__(self) -> Self:
        """Return the recording itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, keeping what was recorded."""
        self.close()

    def close(self) -> None:
        """Close store and trace; a second call does nothing."""
        try:
            if self._trace is not None:
                self._trace.close()
        finally:
            self.store.close()
