"""What lies do to the others and to the liar: runs with a liar, compared with the run in which the device is honest."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

from gridfleet.broker.protocol.messages import Message, State, Suspension, Tick
from gridfleet.broker.protocol.units import NEUR_PER_EUR
from gridfleet.broker.readers.csv_rows import csv_writer
from gridfleet.broker.storage.replacing import replacing
from gridfleet.dashboards.market.wealth import Wealth
from gridfleet.dashboards.recording.recording import Recording
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.trust.liars.lying_agent import honest_account, lied_in
from gridfleet.devices.trust.liars.lying_devices import LyingDevice
from gridfleet.provisioning.runs.results import open_recording

CSV_FILE: Final = "lies.csv"


class LieRun(NamedTuple):
    """A simulation with liars, or without."""

    scenario: Scenario
    liars: tuple[LyingDevice, ...] = ()


class Outcome:
    """What a run shows."""

    def __init__(self) -> None:
        self.wealth = Wealth()
        self.last_tick = 0
        self.lied: dict[str, int] = {}
        """Device -> the tick of its first lie."""
        self.named: dict[str, tuple[int, str]] = {}
        """Device -> the tick in which the auditor named it, and for which lie."""
        self.avoided: dict[str, int] = {}
        """Device -> the first tick in which an honest device reported that it avoids it."""


def observe(run: LieRun) -> Outcome:
    """Simulate a run."""
    with open_recording(run.scenario, None) as recorded:
        observer = _Observer(recorded, {each.device for each in run.liars})
        simulation = Simulation(
            run.scenario, receivers=(observer.receive,), judge=observer.judge, liars=run.liars
        )
        simulation.run(observer.follow)
        observer.follow(simulation)
        observer.judge()
    return observer.outcome


class _Observer:
    """Fills an outcome while a simulation runs."""

    def __init__(self, recorded: Recording, liars: set[str]) -> None:
        self.outcome = Outcome()
        self._recorded = recorded
        self._liars = liars

    def receive(self, now_ms: int, scope: str, sender: str, message: Message) -> None:
        """Note the account of an honest device, and that of a liar until it lies."""
        self._recorded.receive(now_ms, scope, sender, message)
        outcome = self.outcome
        if isinstance(message, Tick):
            outcome.last_tick = message.tick
        elif isinstance(message, State):
            if sender in self._liars:
                if sender not in outcome.lied:
                    outcome.wealth.note_energy(sender, message)
                return
            outcome.wealth.note(sender, message)
            for device in getattr(message, "avoids", ()):
                outcome.avoided.setdefault(device, message.tick)

    def judge(self) -> list[tuple[str, Suspension]]:
        """Note whom the auditor names."""
        found = self._recorded.judgements()
        for device, suspension in found:
            self.outcome.named.setdefault(device, (self.outcome.last_tick, suspension.lie))
        return found

    def follow(self, simulation: Simulation) -> bool:
        """Note what the liars really have: the accounts of the honest agents beneath."""
        for device in self._liars:
            agent = simulation.agent(device)
            account, first = honest_account(agent), lied_in(agent)
            if account is not None:
                self.outcome.wealth.note_energy(device, account)
            if first is not None:
                self.outcome.lied.setdefault(device, first)
        return True


class Effect(NamedTuple):
    """What a lie did in one run, relative to the run in which its device is honest; from its first tick to the end."""

    welfare_eur: float
    """By how much all devices together are better off."""
    honest_eur: float
    """By how much the honest together are better off."""
    energy_percent: float
    """Energy that the honest bought and drew, in percent."""
    loss_eur: float
    """The greatest loss of an honest device."""
    liar_eur: float
    """By how much the liar is better off: what the others paid it, and its energy."""
    named_after: int | None
    """After how many ticks the auditor named the liar; None where it did not."""
    accused: int
    """How many honest devices the auditor named, or others avoid."""


def effect_of(lying: Outcome, honest: Outcome, liars: Sequence[LyingDevice]) -> Effect:
    """Return what a lie did."""
    names = {each.device for each in liars}
    before, last = min(each.from_tick for each in liars) - 1, honest.last_tick
    changes = {
        device: lying.wealth.change_neur(device, before, last)
        - honest.wealth.change_neur(device, before, last)
        for device in honest.wealth.balance_neur.get(last, {})
        if device not in names
    }
    money = _money(lying, names, before, last) - _money(honest, names, before, last)
    worth = sum(
        sign * (each.wealth.worth_neur(device, last) - each.wealth.worth_neur(device, before))
        for sign, each in ((1, lying), (-1, honest))
        for device in names
    )
    honest_neur = sum(changes.values())
    named = min((lying.named[each][0] for each in names if each in lying.named), default=None)
    began = min(lying.lied.values(), default=None)
    return Effect(
        welfare_eur=(honest_neur + money + worth) / NEUR_PER_EUR,
        honest_eur=honest_neur / NEUR_PER_EUR,
        energy_percent=_energy_percent(lying, honest, names, range(before + 1, last + 1)),
        loss_eur=max((-change for change in changes.values()), default=0) / NEUR_PER_EUR,
        liar_eur=(money + worth) / NEUR_PER_EUR,
        named_after=named - began if named is not None and began is not None else None,
        accused=len((lying.named.keys() | lying.avoided.keys()) - names),
    )


def _money(outcome: Outcome, names: set[str], before: int, last: int) -> int:
    """Return what the liars earned: what the others have less."""
    balances = outcome.wealth.balance_neur
    totals = [
        sum(neur for device, neur in balances.get(tick, {}).items() if device not in names)
        for tick in (before, last)
    ]
    return totals[0] - totals[1]


def _energy_percent(lying: Outcome, honest: Outcome, names: set[str], ticks: range) -> float:
    part, whole = (
        sum(
            energy_wh
            for by_tick in (each.wealth.bought_wh, each.wealth.drawn_wh)
            for tick in ticks
            for device, energy_wh in by_tick.get(tick, {}).items()
            if device not in names
        )
        for each in (lying, honest)
    )
    return 100 * part / whole if whole else 100.0


# --- the table ---------------------------------------------------------------------------------------------

Trial = tuple[str, str]
"""The lies as text, and `on` or `off`: whether the site defends itself."""
_COLUMNS: Final = (
    ("welfare_eur", "welfare EUR"),
    ("honest_eur", "honest EUR"),
    ("honest_energy_percent", "honest energy %"),
    ("greatest_loss_eur", "greatest loss EUR"),
    ("liar_eur", "liar EUR"),
    ("runs", "runs"),
    ("named_runs", "named"),
    ("named_after_ticks", "after ticks"),
    ("accused", "accused"),
)
"""Column of the file, head of the table."""


def trials_of(scenarios: Sequence[Scenario], liars: Sequence[LyingDevice]) -> dict[Trial, list[LieRun]]:
    """Return the runs of each lie by itself, with the site's defences and without; the two of a pair lie together."""
    trials: dict[Trial, list[LieRun]] = {}
    for each in liars:
        pair = tuple(other for other in liars if other is each or other.device == each.partner)
        text = " ".join(one.text for one in pair)
        for defences, enabled in (("on", True), ("off", False)):
            trials[text, defences] = [
                LieRun(scenario.with_changes({"trust.enabled": enabled}), pair) for scenario in scenarios
            ]
    return trials


def compare_lie(run: LieRun) -> Effect:
    """Simulate a run with liars, and the same without."""
    return effect_of(observe(run), observe(run._replace(liars=())), run.liars)


def table_text(effects: Mapping[Trial, Sequence[Effect]]) -> str:
    """Return the table for the terminal: a line for each lie with defences, and one without them."""
    rows = [["lie", "defences", *(head for _, head in _COLUMNS)], *_rows(effects)]
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]))]
    lines = []
    for first, *rest in rows:
        cells = [text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def write_csv(effects: Mapping[Trial, Sequence[Effect]], directory: Path) -> Path:
    """Write lies.csv; return its path."""
    path = directory / CSV_FILE
    with replacing(path) as file:
        writer = csv_writer(file, lineterminator="\n")
        writer.writerow(["lie", "defences", *(column for column, _ in _COLUMNS)])
        writer.writerows(_rows(effects))
    return path


def _rows(effects: Mapping[Trial, Sequence[Effect]]) -> Iterator[list[str]]:
    """Yield a row for each lie: means over the runs; of losses and delays the greatest."""
    for (lie, defences), found in effects.items():
        delays = [each.named_after for each in found if each.named_after is not None]
        means = [
            fmean(getattr(each, name) for each in found)
            for name in ("welfare_eur", "honest_eur", "energy_percent")
        ]
        numbers = [*means, max(each.loss_eur for each in found), fmean(each.liar_eur for each in found)]
        yield [
            lie,
            defences,
            *(f"{number:.2f}" for number in numbers),
            str(len(found)),
            str(len(delays)),
            str(max(delays, default="")),
            str(sum(each.accused for each in found)),
        ]
