"""A recorder that gets its messages late, joins late, and misses some: what a simulation hands to an auditor."""

import random
from collections import Counter
from heapq import heappop, heappush
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Facts, Message, Suspension, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID, MESSAGE_TYPES
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.audit.accusations.judge import Judge
from gridfleet.dashboards.audit.findings import Finding

LONGEST_WAY_S: Final = 600.0
"""The longest time for which a message may be on its way to the recorder, in simulated seconds."""

DELAYED_FROM: Final = 4
"""Until this phase messages arrive in their order: before the first tick a recorder follows no run."""


class Reception(NamedTuple):
    """How a recorder receives a run."""

    delay_s: float = 0.0
    """A message arrives so many simulated seconds late at most."""
    in_order: bool = True
    """Whether it gets all messages in order, as from one broker, or only those of each sender."""
    joins_at: int = 0
    """The phase, counted from 0, in which it connects: before it gets only what the broker has retained."""
    gaps: tuple[tuple[int, int, bool], ...] = ()
    """(first phase, phases, reported): from the middle of a phase on, it receives nothing for so many phases."""
    loss: float = 0.0
    """Share of single messages that it does not receive."""

    def __str__(self) -> str:
        """What differs from a recorder that receives everything at once."""
        given = {name: value for name, value in self._asdict().items() if value != self._field_defaults[name]}
        return " ".join(f"{name}={value}" for name, value in given.items()) or "all at once"


class LateRecorder:
    """Hands messages to an auditor as a recorder gets them, and asks it for suspensions."""

    def __init__(self, auditor: Auditor, reception: Reception, seed: int) -> None:
        self.suspensions: list[tuple[str, Suspension]] = []
        self.lies: Counter[str] = Counter()
        """How often each lie was found."""
        self._auditor = auditor
        self._judge = Judge()
        self._reception = reception
        self._delay_ms = round(reception.delay_s * 1000)
        self._draw = random.Random(seed)
        self._arrivals: list[tuple[int, int, str, str, Message]] = []
        self._last: dict[str, int] = {}
        """Channel -> when its last message arrives."""
        self._retained: dict[tuple[str, str, str], Message] = {}
        self._serial = 0
        self._now_ms = 0
        self._ends_ms = 0
        self._phase = -1
        self._in_phase = 0
        """Messages received in the present phase."""

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Take a message when it is published; hand over those that have arrived by now."""
        if isinstance(message, Tick):
            self._phase += 1
            self._in_phase = 0
        self._in_phase += 1
        if self._phase < self._reception.joins_at:
            if MESSAGE_TYPES[message.TYPE].retain:
                self._retained[message.TYPE, scope, sender] = message
            return
        self._connect(simulated_ms)
        if self._is_missed(message):
            return
        self._hand_over(simulated_ms)
        if not self._delay_ms or self._phase < DELAYED_FROM:
            self._receive(simulated_ms, scope, sender, message)
            return
        arrival_ms = simulated_ms + self._draw.randrange(self._delay_ms + 1)
        channel = "" if self._reception.in_order else sender
        self._last[channel] = arrival_ms = max(arrival_ms, self._last.get(channel, 0))
        self._serial += 1
        heappush(self._arrivals, (arrival_ms, self._serial, scope, sender, message))

    def judgements(self) -> list[tuple[str, Suspension]]:
        """Return the suspensions that follow from what was received since the last call."""
        accusations = self._auditor.accusations()
        self.lies.update(each.lie for each in accusations)
        found = self._judge.judge(accusations)
        self.suspensions += found
        return found

    def finish(self) -> list[Finding]:
        """Hand over what is still on its way; return the findings."""
        self._hand_over(None)
        findings = self._auditor.finish()
        self.judgements()
        return findings

    def _connect(self, simulated_ms: int) -> None:
        """Receive what the broker has retained."""
        if self._retained:
            for (_, scope, sender), message in self._retained.items():
                self._receive(simulated_ms, scope, sender, message)
            self._retained.clear()

    def _is_missed(self, message: Message) -> bool:
        """Return whether a message is not received: it is lost, or in a gap."""
        if self._reception.loss and not MESSAGE_TYPES[message.TYPE].retain:
            return self._draw.random() < self._reception.loss
        for first, phases, reported in self._reception.gaps:
            place = self._phase - first
            if (
                0 < place < phases
                or (place == 0 and self._in_phase > 3)
                or (place == phases and self._in_phase < 4)
            ):
                return True
            if place == phases and self._in_phase == 4 and reported:
                self._auditor.note_gap()
        return False

    def _hand_over(self, until_ms: int | None) -> None:
        arrivals = self._arrivals
        while arrivals and (until_ms is None or arrivals[0][0] < until_ms):
            arrival_ms, _, scope, sender, message = heappop(arrivals)
            if isinstance(message, Tick) and sender == CLOCK_ID:
                self._ends_ms = message.ends_ms
                self._now_ms = max(self._now_ms, message.simulated_ms)
            else:  # until the next tick, a recorder's time stands still at the end of the phase
                self._now_ms = max(self._now_ms, min(arrival_ms, self._ends_ms))
            self._receive(self._now_ms, scope, sender, message)

    def _receive(self, now_ms: int, scope: str, sender: str, message: Message) -> None:
        self._now_ms = now_ms
        self._auditor.receive(now_ms, scope, sender, message)
        if isinstance(message, Tick):
            self._judge.on_tick(message)
        elif isinstance(message, Facts):
            self._judge.on_facts(message)
        elif isinstance(message, Suspension):
            self._judge.on_suspension(scope, message)
