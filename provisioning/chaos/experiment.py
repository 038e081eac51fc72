"""Runs a chaos plan on a testbed: injects its faults one by one, and checks after each how the site has recovered."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.provisioning.chaos.faults import Fault, Skew
from gridfleet.provisioning.chaos.injections import FaultInjection, make_injection
from gridfleet.provisioning.chaos.lies import JUDGED_TICKS, PlannedLiar, check_lie
from gridfleet.provisioning.chaos.testbed import Testbed
from gridfleet.provisioning.chaos.verdict import (
    AFTER_TICKS,
    AuditFindings,
    FaultWindow,
    RecoveryCheck,
    RetainedTick,
    check_recovery,
    settled_balance_neur,
)
from gridfleet.provisioning.cli.exit_codes import CommandError

MAX_RECOVERY_S: Final = 60.0
"""How long devices may take to come back, in seconds."""
REGULAR_TICK_LENGTHS: Final = (0.6, 1.6)
"""Ticks are regular when the starts of two of them are this many tick lengths apart."""
MAX_PAYMENT_TICKS: Final = 8
"""Ticks to wait for vehicles that have charged and not paid yet."""
SKEW_TICKS: Final = 4
"""Ticks that are checked for a skewed clock."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fault, its time window, and the checks after it."""

    kind: str
    description: str
    window: FaultWindow
    checks: tuple[RecoveryCheck, ...]

    @property
    def holds(self) -> bool:
        """Whether the site has recovered cleanly: every check holds."""
        return all(check.holds for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        window = self.window
        return {
            "kind": self.kind,
            "fault": self.description,
            "injected_tick": window.injected,
            "lifted_tick": window.lifted,
            "recovered_tick": window.recovered,
            "recovery_s": round(window.recovery_s, 3),
            "holds": self.holds,
            "checks": [check._asdict() for check in self.checks],
        }


class Experiment:
    """All faults of a plan in turn; `outcomes` are complete when `run` returns."""

    def __init__(
        self,
        testbed: Testbed,
        findings: Callable[[], list[Finding]],
        *,
        seed: int,
        report: Report,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        """`findings` returns those of the auditor so far; `report` takes progress texts, `on_outcome` each outcome.

        `seed` decides what the plan leaves open, such as which processes are killed.
        """
        self._testbed = testbed
        self._findings = findings
        self._rng = random.Random(seed)
        self._report = report
        self._on_outcome = on_outcome
        self._all_ids = frozenset(testbed.fleet.ids)
        self._next_tick = 0
        """The first tick that is not judged yet."""
        self._memory_lost = False
        self._findings_before = findings()
        self.outcomes: list[Outcome] = []

    def run(self) -> None:
        """Check the skewed clocks first, then every fault in the order of the plan; or every liar."""
        for skew in self._testbed.plan.skews:
            self._run_skew(skew)
        for fault in self._testbed.plan.faults:
            self._run_fault(fault)
        for liar in self._testbed.plan.liars:
            self._run_liar(liar)

    def _run_skew(self, skew: Skew) -> None:
        """Check some ticks: a skewed clock is there from the start, and nothing is injected."""
        first = self._next_tick
        last = first + SKEW_TICKS - 1
        self._report(f"tick {first:>4}  {skew.description}")
        self._wait_for_tick(last + 2)
        window = FaultWindow(first, first, first, first, last, 0.0, memory_lost=self._memory_lost)
        self._wait_for_payments(window)
        self._conclude("skew", skew.description, window, self._retained_tick())

    def _run_liar(self, liar: PlannedLiar) -> None:
        """Check the ticks from the first lie of a device on; it lies to the end."""
        testbed = self._testbed
        self._wait_for_tick(liar.tick)
        self._report(f"tick {liar.tick:>4}  {liar.description}")
        last = liar.tick + JUDGED_TICKS
        lying = {each.device for each in testbed.plan.liars if each.tick <= last}
        self._wait_for_tick(last)
        roles = {name: testbed.fleet.role_of(name) for name in self._all_ids}
        checks = check_lie(testbed.observations, liar, lying, roles)
        window = FaultWindow(liar.tick, liar.tick, last, last, last, 0.0)
        outcome = Outcome("lie", liar.description, window, tuple(checks))
        self.outcomes.append(outcome)
        self._on_outcome(outcome)

    def _run_fault(self, fault: Fault) -> None:
        testbed, observations = self._testbed, self._testbed.observations
        injection = make_injection(fault, testbed, self._rng)
        self._wait_for_tick(fault.tick)
        started_s = testbed.tick_started_s.get(observations.tick, time.monotonic())
        testbed.run_for(max(started_s + fault.at * testbed.plan.seconds_per_tick - time.monotonic(), 0))
        injected = observations.tick
        self._report(f"tick {injected:>4}  {fault.description}")
        injection.inject()
        testbed.run_for(fault.length_s)
        injection.lift()
        lifted_s, lifted = time.monotonic(), observations.tick
        missing = self._wait_for_recovery(injection)
        recovered = self._wait_for_regular_ticks()
        recovery_s = testbed.tick_started_s.get(recovered, lifted_s) - lifted_s
        retained = self._retained_tick()
        last = recovered + AFTER_TICKS
        # The auditor judges a tick when the next but one begins.
        self._wait_for_tick(last + 2)
        self._memory_lost = self._memory_lost or bool(injection.restarted)
        window = FaultWindow(
            self._next_tick,
            injected,
            lifted,
            recovered,
            last,
            recovery_s,
            injection.restarted,
            missing,
            memory_lost=self._memory_lost,
        )
        self._wait_for_payments(window)
        self._conclude(fault.kind, fault.description, window, retained)

    def _retained_tick(self) -> RetainedTick:
        received = len(self._testbed.observations.ticks)
        return RetainedTick(self._testbed.retained_tick(), received)

    def _wait_for_tick(self, tick: int) -> None:
        observations = self._testbed.observations
        self._testbed.wait_until(lambda: observations.tick >= tick, f"tick {tick}", self._timeout_s(tick))

    def _wait_for_recovery(self, injection: FaultInjection) -> frozenset[str]:
        """Wait until all affected devices are back; return those that are missing after MAX_RECOVERY_S."""
        try:
            self._testbed.wait_until(lambda: injection.recovered, "all devices to be back", MAX_RECOVERY_S)
        except CommandError:
            if not self._testbed.observations.ticks or not injection.affected:
                raise
            return injection.affected - {CLOCK_ID} - self._testbed.observations.online
        return frozenset()

    def _wait_for_regular_ticks(self) -> int:
        """Wait until ticks come in order and at their pace, without those held back; return the first such tick."""
        testbed, observations = self._testbed, self._testbed.observations
        while True:
            tick = observations.tick
            self._wait_for_tick(tick + 1)
            started_s, ended_s = (testbed.tick_started_s.get(each) for each in (tick, tick + 1))
            if started_s is not None and ended_s is not None and observations.tick == tick + 1:
                shortest, longest = REGULAR_TICK_LENGTHS
                if shortest <= (ended_s - started_s) / testbed.plan.seconds_per_tick <= longest:
                    return tick

    def _wait_for_payments(self, window: FaultWindow) -> None:
        """Wait until vehicles have paid for what they charged, MAX_PAYMENT_TICKS at most."""
        testbed, observations = self._testbed, self._testbed.observations
        end = window.last + MAX_PAYMENT_TICKS + 1

        def settled() -> bool:
            if observations.tick >= end:
                return True
            return settled_balance_neur(observations, window, self._all_ids) is not None

        testbed.wait_until(settled, f"tick {end}", self._timeout_s(end))

    def _conclude(self, kind: str, description: str, window: FaultWindow, retained: RetainedTick) -> None:
        findings = self._findings()
        checks = check_recovery(
            self._testbed.observations,
            window,
            self._all_ids,
            AuditFindings(self._findings_before, findings),
            retained,
        )
        self._findings_before = findings
        outcome = Outcome(kind, description, window, tuple(checks))
        self.outcomes.append(outcome)
        self._on_outcome(outcome)
        self._next_tick = window.last + 1

    def _timeout_s(self, tick: int) -> float:
        """Return how long to wait for a tick, in seconds."""
        ticks = max(tick - self._testbed.observations.tick, 1)
        return 30.0 + 2 * ticks * self._testbed.plan.seconds_per_tick
