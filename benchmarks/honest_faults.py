"""Honest runs with faults: what the auditor accuses although no device lies. It must be nothing.

    python -m benchmarks.honest_faults --runs 2000 --jobs 2
    python -m benchmarks.honest_faults --first 1234 --runs 1

The number of a run decides everything in it: scenario, faults, and how late the recorder gets its messages. So a run
with a breach is repeated by its number.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from heapq import heappop, heappush
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Message, Tick
from gridfleet.broker.protocol.topics import CLOCK_ID
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation

DEVICES: Final = (
    "turbines.count=3",
    "chargers.count=5",
    "chargers.ports=2",
    "battery.count=1",
    "vehicles.count=10",
    "vehicles.stored_share=[0.2, 0.6]",
)
FOUR_CELLS: Final = (
    "area.rows=2",
    "area.columns=2",
    "turbines.count=8",
    "households.count=4",
    "chargers.count=12",
    "vehicles.count=16",
)
BETWEEN_CHECKS_S: Final = 600.0
"""The longest time for which a message may be on its way to the recorder, in simulated seconds."""


class Mix(NamedTuple):
    """A run: its number, which is also its seed, its scenario, its faults, and the recorder's delay."""

    number: int
    scenario: str
    changes: tuple[str, ...]
    ticks: int
    faults: dict[str, float | int | bool]
    recorder_delay_s: float
    """A message reaches the recorder so many simulated seconds late at most."""
    in_order: bool
    """Whether the recorder gets all messages in order, as from one broker, or only those of each sender."""

    def __str__(self) -> str:
        """The run in one line."""
        cells = "2 x 2 cells" if FOUR_CELLS[0] in self.changes else "1 cell"
        faults = " ".join(f"{key}={value}" for key, value in self.faults.items())
        rule = next((each for each in self.changes if "clearing_rule" in each), "pay-as-bid")
        return (
            f"run {self.number}: {self.scenario}, {cells}, {rule}, {self.ticks} ticks, {faults or 'no faults'}, "
            f"recorder_delay_s={self.recorder_delay_s}{' in order' if self.in_order else ''}"
        )


def mix_of(number: int) -> Mix:
    """Draw the run with a number."""
    draw = random.Random(number)
    scenario = draw.choice(("normal", "normal", "scarce", "storm"))
    changes = DEVICES + (FOUR_CELLS if draw.random() < 0.3 else ())
    if draw.random() < 0.3:
        changes += ("settings.clearing_rule=uniform-price",)
    ticks = draw.choice((24, 32, 48))
    faults: dict[str, float | int | bool] = {}
    if draw.random() < 0.6:
        faults["loss"] = round(draw.uniform(0.01, 0.3), 3)
    if draw.random() < 0.4:
        faults["delay_s"] = round(draw.choice((draw.uniform(1, 60), draw.uniform(60, 600))), 1)
    if draw.random() < 0.3:
        faults["reorder"] = round(draw.uniform(0.05, 0.5), 3)
    if draw.random() < 0.3:
        faults["duplicate"] = round(draw.uniform(0.05, 0.5), 3)
    if draw.random() < 0.4:
        faults["crash"] = round(draw.uniform(0.005, 0.05), 4)
        faults["down_ticks"] = draw.choice((1, 2, 4))
        faults["keep_state"] = draw.random() < 0.5
    if draw.random() < 0.3:
        faults["partition"] = round(draw.uniform(0.2, 0.6), 2)
    if draw.random() < 0.3:
        faults["skew_s"] = round(draw.uniform(1, 300), 1)
    if faults and draw.random() < 0.5:
        faults["from_tick"] = draw.randrange(ticks // 3)
        faults["to_tick"] = faults["from_tick"] + draw.randrange(4, ticks)
    late = draw.random()
    recorder_delay_s = (
        0.0 if late < 0.5 else round(draw.uniform(1, BETWEEN_CHECKS_S if late > 0.8 else 60), 1)
    )
    return Mix(number, scenario, changes, ticks, faults, recorder_delay_s, in_order=draw.random() < 0.5)


class LateRecorder:
    """Hands messages to an auditor as a recorder gets them: late, at its own time, from tick 1 on."""

    def __init__(self, auditor: Auditor, delay_s: float, seed: int, *, in_order: bool) -> None:
        """`delay_s` is the longest delay in simulated seconds; see `Mix` for `in_order`."""
        self._auditor = auditor
        self._in_order = in_order
        self._begun = False
        self._delay_ms = round(delay_s * 1000)
        self._draw = random.Random(seed)
        self._arrivals: list[tuple[int, int, str, str, Message]] = []
        self._last: dict[str, int] = {}
        self._serial = 0
        self._now_ms = 0
        self._ends_ms = 0

    def receive(self, simulated_ms: int, scope: str, sender: str, message: Message) -> None:
        """Take a message when it is published; hand over those that have arrived by now."""
        self._begun = self._begun or (isinstance(message, Tick) and message.tick > 0)
        if not self._delay_ms or not self._begun:
            self._now_ms = simulated_ms
            self._auditor.receive(simulated_ms, scope, sender, message)
            return
        self._hand_over(simulated_ms)
        arrival_ms = simulated_ms + self._draw.randrange(self._delay_ms + 1)
        channel = "" if self._in_order else sender
        self._last[channel] = arrival_ms = max(arrival_ms, self._last.get(channel, 0))
        self._serial += 1
        heappush(self._arrivals, (arrival_ms, self._serial, scope, sender, message))

    def finish(self) -> list[Finding]:
        """Hand over what is still on its way; return the findings."""
        self._hand_over(None)
        return self._auditor.finish()

    def _hand_over(self, until_ms: int | None) -> None:
        arrivals = self._arrivals
        while arrivals and (until_ms is None or arrivals[0][0] < until_ms):
            arrival_ms, _, scope, sender, message = heappop(arrivals)
            if isinstance(message, Tick) and sender == CLOCK_ID:
                self._ends_ms = message.ends_ms
                self._now_ms = max(self._now_ms, message.simulated_ms)
            else:  # until the next tick, a recorder's time stands still at the end of the phase
                self._now_ms = max(self._now_ms, min(arrival_ms, self._ends_ms))
            self._auditor.receive(self._now_ms, scope, sender, message)


def audit(mix: Mix) -> list[Finding]:
    """Make a run; return what the auditor finds."""
    skew_s = mix.faults.get("skew_s", 0)
    recorder = LateRecorder(
        Auditor(exact=False, clock_skew_ms=round(skew_s * 1000)),
        mix.recorder_delay_s,
        mix.number,
        in_order=mix.in_order,
    )
    Simulation(
        load(mix.scenario, mix.changes),
        seed=mix.number,
        ticks=mix.ticks,
        faults=Faults.model_validate(mix.faults),
        receivers=(recorder.receive,),
    ).run()
    return recorder.finish()


def _audited(number: int) -> tuple[Mix, list[Finding]]:
    mix = mix_of(number)
    return mix, audit(mix)


def results(numbers: Sequence[int], jobs: int) -> Iterator[tuple[Mix, list[Finding]]]:
    """Yield runs with their findings, in order; `jobs` is the number of processes."""
    if jobs == 1:
        yield from map(_audited, numbers)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_audited, numbers, chunksize=4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs and print the breaches; return 1 if there are any."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.honest_faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="how many runs (default: 200)")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="number of the first (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at once (default: 1)")
    options = parser.parse_args(arguments)
    checked: Counter[str] = Counter()
    breaches: Counter[str] = Counter()
    accused: Counter[str] = Counter()
    for mix, findings in results(range(options.first, options.first + options.runs), options.jobs):
        checked.update({each.name: each.checked for each in findings})
        breaches.update({each.name: each.breaches for each in findings})
        broken = [each for each in findings if not each.holds]
        accused.update(each.name for each in broken)
        if broken:
            print(mix)
        for each in broken:
            print(
                f"    {each.name}: {each.breaches} of {each.checked}",
                *each.examples,
                sep="\n        ",
                flush=True,
            )
    print(f"\n| invariant | checked | breaches | runs of {options.runs} with one |")
    print("| --- | ---: | ---: | ---: |")
    for name, count in checked.items():
        print(f"| `{name}` | {count} | {breaches[name]} | {accused[name]} |")
    return 1 if breaches.total() else 0


if __name__ == "__main__":
    sys.exit(main())
