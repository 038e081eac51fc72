"""Honest runs with faults: what the auditor accuses although no device lies. It must be nothing.

    python -m benchmarks.honest_faults --runs 2000 --jobs 2
    python -m benchmarks.honest_faults --first 1234 --runs 1

The number of a run decides everything in it: scenario, faults, and what the recorder gets, and when. So a run
with a breach is repeated by its number.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

from benchmarks.late_recorder import LONGEST_WAY_S, LateRecorder, Reception
from gridfleet.broker.protocol.messages import Message, State, Suspension
from gridfleet.dashboards.audit import Auditor
from gridfleet.dashboards.audit.findings import Finding
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.network_faults import Faults
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.trust.liars.lying_devices import LyingDevice

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
PHASES: Final = 4
"""The fewest phases of a tick."""


class Mix(NamedTuple):
    """A run: its number, which is also its seed, its scenario, its faults, and the recorder's delay."""

    number: int
    scenario: str
    changes: tuple[str, ...]
    ticks: int
    faults: dict[str, float | int | bool]
    reception: Reception

    def __str__(self) -> str:
        """The run in one line."""
        cells = "2 x 2 cells" if FOUR_CELLS[0] in self.changes else "1 cell"
        faults = " ".join(f"{key}={value}" for key, value in self.faults.items())
        rule = next((each for each in self.changes if "clearing_rule" in each), "pay-as-bid")
        return (
            f"run {self.number}: {self.scenario}, {cells}, {rule}, {self.ticks} ticks, {faults or 'no faults'}, "
            f"recorder: {self.reception}"
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
    return Mix(number, scenario, changes, ticks, faults, _reception_of(draw, ticks * PHASES))


def _reception_of(draw: random.Random, phases: int) -> Reception:
    """Draw how the recorder receives a run of so many phases."""
    late = draw.random()
    delay_s = 0.0 if late < 0.5 else round(draw.uniform(1, LONGEST_WAY_S if late > 0.8 else 60), 1)
    in_order = draw.random() < 0.5
    joins_at = draw.randrange(1, phases // 2) if draw.random() < 0.1 else 0
    gaps: list[tuple[int, int, bool]] = []
    if draw.random() < 0.2:
        first = joins_at + draw.randrange(2, phases // 3)
        gaps.append((first, draw.randrange(1, 12), draw.random() < 0.5))
    return Reception(delay_s, in_order, joins_at, tuple(gaps))


class Result(NamedTuple):
    """What comes of a run."""

    findings: list[Finding]
    lies: Counter[str]
    """How often the auditor named each lie."""
    suspended: list[tuple[str, Suspension]]
    avoided: set[tuple[str, str]]
    """(device, the one that has lied to it as it sees it)."""
    suspected: set[tuple[str, str]]
    """(device, the one that it avoids for a time, because of promises that the network broke)."""

    @property
    def accuses(self) -> bool:
        """Whether anything or anybody was accused."""
        return bool(
            self.lies or self.suspended or self.avoided or any(not each.holds for each in self.findings)
        )


def audit(mix: Mix, liars: Sequence[LyingDevice] = ()) -> Result:
    """Make a run; return what the auditor finds, and whom devices avoid. With `liars` it is not honest."""
    skew_s = mix.faults.get("skew_s", 0)
    auditor = Auditor(exact=False, clock_skew_ms=round(skew_s * 1000))
    recorder = LateRecorder(auditor, mix.reception, mix.number)
    avoided: set[tuple[str, str]] = set()
    reported: set[tuple[str, str]] = set()

    def note_account(_now_ms: int, _scope: str, sender: str, message: Message) -> None:
        if isinstance(message, State):
            reported.update((sender, partner) for partner in message.avoids)

    def note_avoided(running: Simulation) -> bool:
        for device in running.fleet.ids:
            avoided.update((device, liar) for liar in running.agent(device).trust.lied)
        return True

    Simulation(
        load(mix.scenario, mix.changes),
        seed=mix.number,
        ticks=mix.ticks,
        faults=Faults.model_validate(mix.faults),
        receivers=(recorder.receive, note_account),
        judge=recorder.judgements,
        liars=liars,
    ).run(note_avoided)
    return Result(recorder.finish(), recorder.lies, recorder.suspensions, avoided, reported - avoided)


def _audited(mix: Mix) -> tuple[Mix, Result]:
    return mix, audit(mix)


def results(mixes: Sequence[Mix], jobs: int) -> Iterator[tuple[Mix, Result]]:
    """Yield runs with what comes of them, in order; `jobs` is the number of processes."""
    if jobs == 1:
        yield from map(_audited, mixes)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_audited, mixes, chunksize=4)


def _group(device: str) -> str:
    return device.rpartition("-")[0]


def _print_accusations(mix: Mix, result: Result) -> None:
    print(mix)
    for each in result.findings:
        if not each.holds:
            print(f"    {each.name}: {each.breaches} of {each.checked}", *each.examples, sep="\n        ")
    for device, suspension in result.suspended:
        print(
            f"    suspended: {device} from tick {suspension.since_tick}: {suspension.lie}: {suspension.evidence}"
        )
    for device, liar in sorted(result.avoided):
        print(f"    {device} avoids {liar}")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs and print what is accused; return 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.honest_faults", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="how many runs (default: 200)")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="number of the first (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at once (default: 1)")
    parser.add_argument(
        "--recorder-loss",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of single messages that the recorder does not receive; then only accusations count (default: 0)",
    )
    options = parser.parse_args(arguments)
    checked: Counter[str] = Counter()
    breaches: Counter[str] = Counter()
    lies: Counter[str] = Counter()
    suspected: Counter[str] = Counter()
    suspended = avoided = 0
    mixes = [mix_of(number) for number in range(options.first, options.first + options.runs)]
    if options.recorder_loss:
        mixes = [
            each._replace(reception=each.reception._replace(loss=options.recorder_loss)) for each in mixes
        ]
    for mix, result in results(mixes, options.jobs):
        checked.update({each.name: each.checked for each in result.findings})
        breaches.update({each.name: each.breaches for each in result.findings})
        lies += result.lies
        suspended += len(result.suspended)
        avoided += len(result.avoided)
        suspected.update(" by ".join(map(_group, reversed(pair))) for pair in result.suspected)
        if (
            result.lies
            or result.suspended
            or result.avoided
            or (result.accuses and not options.recorder_loss)
        ):
            _print_accusations(mix, result)
    print(
        f"\n{options.runs} runs: {lies.total()} accusations, {suspended} suspensions, {avoided} devices avoided"
    )
    print(
        "suspected for a time:", ", ".join(f"{count} {pair}" for pair, count in suspected.items()) or "nobody"
    )
    print("\n| invariant | checked | breaches |\n| --- | ---: | ---: |")
    for name, count in checked.items():
        print(f"| `{name}` | {count} | {breaches[name]} |")
    accused = bool(lies or suspended or avoided)
    return 1 if accused or (breaches.total() and not options.recorder_loss) else 0


if __name__ == "__main__":
    sys.exit(main())
