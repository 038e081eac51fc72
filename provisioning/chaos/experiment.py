"""Plays a plan on a stage, fault by fault, and has each judged when the site has had time to recover."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gridfleet.broker.protocol.messages import Tick
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.provisioning.chaos.faults import FaultInjection, strike_of
from gridfleet.provisioning.chaos.plan import Fault, Skew
from gridfleet.provisioning.chaos.testbed import Testbed
from gridfleet.provisioning.chaos.verdict import AFTER_TICKS, Check, Span, judge, wealth
from gridfleet.provisioning.cli.exit_codes import CommandError

BACK_S: Final = 60.0
"""How long it may take until everybody is back, in seconds."""
STEADY: Final = (0.6, 1.6)
"""Ticks follow each other at their pace when the beginnings of two are so many ticks apart."""
PAID_TICKS: Final = 8
"""So many ticks longer vehicles are waited for that have drawn and not paid yet."""
SKEWED_TICKS: Final = 4
"""So many ticks are watched where a clock is off."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fault, when it was, and what became of the site."""

    kind: str
    words: str
    span: Span
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether the site has come through."""
        return all(check.holds for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return it for --json."""
        span = self.span
        return {
            "kind": self.kind,
            "fault": self.words,
            "struck": span.struck,
            "lifted": span.lifted,
            "back": span.back,
            "back_s": round(span.back_s, 3),
            "holds": self.holds,
            "checks": [check._asdict() for check in self.checks],
        }


class Experiment:
    """`outcomes` are complete when `play` returns."""

    def __init__(
        self,
        stage: Testbed,
        findings: Callable[[], list[Finding]],
        *,
        seed: int,
        tell: Tell,
        show: Callable[[Outcome], None],
    ) -> None:
        """`findings` are the auditor's so far; `tell` hears what is being done, `show` each outcome."""
        self._stage = stage
        self._findings = findings
        self._rng = random.Random(seed)
        self._tell = tell
        self._show = show
        self._everybody = frozenset(stage.fleet.ids)
        self._judged = 0
        self._forgetful = False
        self._before = findings()
        self.outcomes: list[Outcome] = []

    def play(self) -> None:
        """Play what is off from the start to the end, and every fault of the plan."""
        for fault in (*self._stage.plan.skews, *self._stage.plan.faults):
            if isinstance(fault, Skew):
                self._watch(fault)
            else:
                self._play(fault)

    def _watch(self, skew: Skew) -> None:
        """Watch the site for some ticks: a clock that is off needs no stroke."""
        stage, evidence = self._stage, self._stage.evidence
        first = max(self._judged, 0)
        last = first + SKEWED_TICKS - 1
        self._tell(f"tick {first:>4}  {skew.words}")
        stage.wait(lambda: evidence.tick > last + 1, f"tick {last + 2}", _patience_s(stage, last + 2))
        span = Span(first, first, first, first, last, 0.0, forgetful=self._forgetful)
        self._wait_paid(span)
        self._outcome("skew", skew.words, span, len(evidence.ticks), stage.retained_tick())
        self._judged = last + 1

    def _play(self, fault: Fault) -> None:
        stage, evidence = self._stage, self._stage.evidence
        strike = strike_of(fault, stage, self._rng)
        stage.wait(lambda: evidence.tick >= fault.tick, f"tick {fault.tick}", _patience_s(stage, fault.tick))
        begun_s = stage.begun_s.get(evidence.tick, time.monotonic())
        stage.pass_s(max(begun_s + fault.at * stage.plan.seconds_per_tick - time.monotonic(), 0))
        struck = evidence.tick
        self._tell(f"tick {struck:>4}  {fault.words}")
        strike.begin()
        stage.pass_s(fault.lasting_s)
        strike.end()
        lifted_s, lifted = time.monotonic(), evidence.tick
        missing = self._wait_back(strike)
        back = self._wait_steady()
        back_s = stage.begun_s.get(back, lifted_s) - lifted_s
        heard = len(evidence.ticks)
        kept = stage.retained_tick()
        last = back + AFTER_TICKS
        # The auditor judges a tick when the one after the next begins.
        stage.wait(lambda: evidence.tick > last + 1, f"tick {last + 2}", _patience_s(stage, last + 2))
        self._forgetful = self._forgetful or bool(strike.reborn)
        span = Span(
            self._judged,
            struck,
            lifted,
            back,
            last,
            back_s,
            strike.reborn,
            missing,
            forgetful=self._forgetful,
        )
        self._wait_paid(span)
        self._outcome(fault.kind, fault.words, span, heard, kept)
        self._judged = last + 1

    def _wait_back(self, strike: FaultInjection) -> frozenset[str]:
        """Wait until everybody is back; return who is not."""
        try:
            self._stage.wait(lambda: strike.back, "everybody to be back", BACK_S)
        except CommandError:
            if not self._stage.evidence.ticks or not strike.affected:
                raise
            return strike.affected - {CLOCK_ID} - self._stage.evidence.alive
        return frozenset()

    def _wait_steady(self) -> int:
        """Wait until ticks come one by one and at their pace, not all at once what was held; return the first."""
        stage, evidence = self._stage, self._stage.evidence
        while True:
            tick = evidence.tick
            stage.wait(lambda tick=tick: evidence.tick > tick, "the next tick", _patience_s(stage, tick + 1))  # type: ignore[misc]
            begun_s, ended_s = (stage.begun_s.get(each) for each in (tick, tick + 1))
            if begun_s is not None and ended_s is not None and evidence.tick == tick + 1:
                least, most = STEADY
                if least <= (ended_s - begun_s) / stage.plan.seconds_per_tick <= most:
                    return tick

    def _wait_paid(self, span: Span) -> None:
        """Wait, some ticks at most, until vehicles have paid what they drew."""
        stage, evidence = self._stage, self._stage.evidence
        until = span.last + PAID_TICKS

        def settled() -> bool:
            return evidence.tick > until or wealth(evidence, span, self._everybody) is not None

        stage.wait(settled, f"tick {until + 1}", _patience_s(stage, until + 1))

    def _outcome(self, kind: str, words: str, span: Span, heard: int, kept: Tick | None) -> None:
        after = self._findings()
        checks = judge(self._stage.evidence, span, self._everybody, (self._before, after), (kept, heard))
        self._before = after
        outcome = Outcome(kind, words, span, tuple(checks))
        self.outcomes.append(outcome)
        self._show(outcome)


def _patience_s(stage: Testbed, tick: int) -> float:
    """Return how long that tick may take to come, in seconds."""
    return 30.0 + 2 * max(tick - stage.evidence.tick, 1) * stage.plan.seconds_per_tick
