"""What each lie does to the others and to the liar, with the site's defences and without them.

    python -m benchmarks.lies --seeds 100

For each lie, in one cell and in 2 x 2 cells, over many seeds: the energy of the honest relative to the same run
without the lie, from 4 ticks after the first one; the greatest loss of an honest device; what the liar gained in 8
ticks, and by the end of the run; and who was named, and when. A row that misses a target ends with what it misses.

A run without the lie is one in which the device is honest, and one in which it is silent: a liar that is suspended is
as good as silent, and one that is not still competes with the others. The honest are compared with the run in which
they have less, the liar with the one in which it has more.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final, NamedTuple

from benchmarks.lie_runs import (
    FIRST_TICK,
    GAIN_AFTER,
    PER_CELL,
    SERVED_AFTER,
    SILENT,
    TICKS,
    Case,
    run_case,
)
from benchmarks.table import Cell, show
from gridfleet.broker.protocol.messages import Role
from gridfleet.broker.protocol.units import NEUR_PER_EUR
from gridfleet.devices.trust.liars.lying_devices import LyingDevice
from gridfleet.devices.trust.liars.registry import LIES
from gridfleet.provisioning.runs.lie_effects import Outcome

GROUPS: Final = {
    Role.PRODUCER: "turbine",
    Role.CONSUMER: "household",
    Role.STORAGE: "battery",
    Role.CHARGER: "charger",
    Role.VEHICLE: "vehicle",
    Role.GRID_SUPPLY: "reactor",
}
DENIED: Final = frozenset({"false-clock", "foreign-account"})
"""Lies that access rules deny: nobody receives them, so nobody is named for them."""
SERVED_PERCENT: Final = 98.0
TABLES: Final = {
    "turbine": "turbines",
    "household": "households",
    "charger": "chargers",
    "vehicle": "vehicles",
}


class Trial(NamedTuple):
    """A lie by a device of a role, among so many cells, with or without defences."""

    lie: str
    role: Role
    cells: int
    defended: bool

    def liars(self, *, lie: str | None = None) -> tuple[LyingDevice, ...]:
        """Return the first device of the role as a liar; `lie` replaces the lie, for the runs to compare with."""
        device, partner = self._id(self.role), self._id(Role.CONSUMER)
        if not LIES.get(self.lie).liar.needs_partner:
            return (LyingDevice(device, lie or self.lie, FIRST_TICK),)
        if lie is not None:
            return LyingDevice(device, lie, FIRST_TICK), LyingDevice(partner, lie, FIRST_TICK)
        return (
            LyingDevice(device, self.lie, FIRST_TICK, partner),
            LyingDevice(partner, self.lie, FIRST_TICK, device),
        )

    def _id(self, role: Role) -> str:
        prefix = GROUPS[role]
        count = PER_CELL.get(TABLES.get(prefix, prefix), 1) * self.cells**2
        return f"{prefix}-{1:0{len(str(count))}d}"


class Result(NamedTuple):
    """What one seed of a trial shows."""

    bought: float
    """Honest energy of the market, in percent of the run without the liar."""
    drawn: float
    loss_eur: float
    loser: str
    gain_eur: float
    gain_by_end_eur: float
    lied: bool
    named_after: int | None
    named_for: str
    avoided_after: int | None
    accused: frozenset[str]


def trials(
    names: Sequence[str], cells: Sequence[int], defences: Sequence[str] = ("on", "off")
) -> Iterator[Trial]:
    """Yield every lie by every role that it is for."""
    for name in names:
        lie = LIES.get(name)
        roles = [role for role in Role if role in lie.roles and role in GROUPS]
        for role in roles[:1] if lie.liar.needs_partner else roles:
            for count in cells:
                for defence in defences:
                    yield Trial(name, role, count, defence == "on")


def compare(trial: Trial, lying: Outcome, honest: Outcome, absent: Outcome) -> Result:
    """Return what a lie did."""
    liars = {each.device for each in trial.liars()}
    served = range(FIRST_TICK + SERVED_AFTER, TICKS)
    losses = [
        (min(_wealth(each, device) for each in (honest, absent)) - _wealth(lying, device), device)
        for device in lying.wealth.balance_neur[TICKS - 1]
        if device not in liars
    ]
    loss, loser = max(losses)
    began = min(lying.lied.values(), default=None)
    named = [lying.named[each] for each in liars if each in lying.named]
    avoided = [lying.avoided[each] for each in liars if each in lying.avoided]
    gain, gain_by_end = (
        _gain(lying, liars, ticks) - max(_gain(each, liars, ticks) for each in (honest, absent))
        for ticks in (GAIN_AFTER, TICKS - FIRST_TICK)
    )
    return Result(
        bought=max(
            _percent(lying.wealth.bought_wh, each.wealth.bought_wh, liars, served)
            for each in (honest, absent)
        ),
        drawn=max(
            _percent(lying.wealth.drawn_wh, each.wealth.drawn_wh, liars, served) for each in (honest, absent)
        ),
        loss_eur=loss / NEUR_PER_EUR,
        loser=loser,
        gain_eur=gain / NEUR_PER_EUR,
        gain_by_end_eur=gain_by_end / NEUR_PER_EUR,
        lied=began is not None,
        named_after=min(named)[0] - began if named and began is not None else None,
        named_for=min(named)[1] if named else "",
        avoided_after=min(avoided) - began if avoided and began is not None else None,
        accused=frozenset(lying.named) - liars | (frozenset(lying.avoided) - liars),
    )


def _wealth(outcome: Outcome, device: str) -> int:
    return outcome.wealth.change_neur(device, FIRST_TICK - 1, TICKS - 1)


def _gain(outcome: Outcome, liars: Iterable[str], ticks: int) -> int:
    """Return what the liars have gained in so many ticks from the first lie on, money and energy, nEUR."""
    return _money(outcome, liars, ticks) + _worth(outcome, liars, ticks)


def _money(outcome: Outcome, liars: Iterable[str], ticks: int) -> int:
    """Return the liars' money: what the others' accounts say that they lost."""
    others = [
        sum(balance for device, balance in outcome.wealth.balance_neur[at].items() if device not in liars)
        for at in (FIRST_TICK - 1, FIRST_TICK - 1 + ticks)
    ]
    return others[0] - others[1]


def _worth(outcome: Outcome, liars: Iterable[str], ticks: int) -> int:
    wealth, before = outcome.wealth, FIRST_TICK - 1
    return sum(
        wealth.worth_neur(device, before + ticks) - wealth.worth_neur(device, before) for device in liars
    )


def _percent(
    of: dict[int, dict[str, int]], whole: dict[int, dict[str, int]], liars: Iterable[str], ticks: range
) -> float:
    part, total = (
        sum(energy_wh for tick in ticks for device, energy_wh in each[tick].items() if device not in liars)
        for each in (of, whole)
    )
    return 100 * part / total


# --- the table ---------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What all seeds of a trial show."""

    trial: Trial
    results: tuple[Result, ...]

    def cells(self) -> list[Cell]:
        """Return the cells of its line."""
        trial, results = self.trial, self.results
        loss = max(results, key=lambda each: each.loss_eur)
        return [
            trial.lie,
            trial.role.value,
            f"{trial.cells} x {trial.cells}",
            "on" if trial.defended else "off",
            f"{_mean(each.bought for each in results):.1f}",
            f"{_mean(each.drawn for each in results):.1f}",
            f"{min(min(each.bought, each.drawn) for each in results):.1f}",
            f"{loss.loss_eur:.4g} ({loss.loser})",
            f"{_mean(each.gain_eur for each in results):.4g}",
            f"{max(each.gain_eur for each in results):.4g}",
            f"{_mean(each.gain_by_end_eur for each in results):.4g}",
            self._named(),
            self._avoided(),
            sum(len(each.accused) for each in results),
            ", ".join(self.misses()),
        ]

    def _lied(self) -> list[Result]:
        return [each for each in self.results if each.lied]

    def _named(self) -> str:
        lied = self._lied()
        after = [each.named_after for each in lied if each.named_after is not None]
        ticks = f" after {min(after)} to {max(after)}" if after else ""
        return f"{len(after)} of {len(lied)}{ticks}"

    def _avoided(self) -> str:
        lied = self._lied()
        after = [each.avoided_after for each in lied if each.avoided_after is not None]
        ticks = f" after {min(after)} to {max(after)}" if after else ""
        return f"{len(after)} of {len(lied)}{ticks}"

    def misses(self) -> list[str]:
        """Return which targets are missed; none are set for a site without defences."""
        if not self.trial.defended:
            return []
        missed = []
        if (
            min(_mean(each.bought for each in self.results), _mean(each.drawn for each in self.results))
            < SERVED_PERCENT
        ):
            missed.append("served")
        if _mean(each.gain_eur for each in self.results) > 0:
            missed.append("gain")
        if self.trial.lie not in DENIED and any(each.named_after is None for each in self._lied()):
            missed.append("named")
        if any(each.accused for each in self.results):
            missed.append("accused")
        return missed


COLUMNS: Final = (
    "lie",
    "role",
    "cells",
    "defences",
    "bought %",
    "charged %",
    "worst seed %",
    "greatest loss EUR",
    "gain EUR",
    "most gain EUR",
    "gain by the end EUR",
    "named",
    "avoided",
    "accused",
    "misses",
)


def measure(wanted: Sequence[Trial], seeds: Sequence[int], jobs: int) -> list[Row]:
    """Run all trials in so many processes."""
    cases: dict[Case, None] = {}
    plan: dict[Trial, list[tuple[Case, Case, Case]]] = {}
    for trial in wanted:
        for seed in seeds:
            lying, absent = trial.liars(), trial.liars(lie=SILENT)
            three = [Case(trial.cells, seed, trial.defended, liars) for liars in (lying, (), absent)]
            plan.setdefault(trial, []).append((three[0], three[1], three[2]))
            cases.update(dict.fromkeys(three))
    with ProcessPoolExecutor(jobs) as pool:
        outcomes = dict(zip(cases, pool.map(run_case, cases, chunksize=4), strict=True))
    return [
        Row(trial, tuple(compare(trial, *(outcomes[case] for case in three)) for three in runs))
        for trial, runs in plan.items()
    ]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def run(*, quick: bool) -> None:
    """Measure and print, with few seeds."""
    _show(measure([*trials(LIES.names(), (1,) if quick else (1, 2))], range(1, 2 if quick else 11), 2))


def _show(rows: Sequence[Row]) -> None:
    seeds = len(rows[0].results)
    show(
        f"Lies: {seeds} seeds, {TICKS} ticks, the first lie in tick {FIRST_TICK}",
        COLUMNS,
        [row.cells() for row in rows],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lies", description=__doc__)
    parser.add_argument("lies", nargs="*", metavar="LIE", help="lies to measure (default: all)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 1 to N (default: 3)")
    parser.add_argument(
        "--cells", type=int, nargs="+", default=[1, 2], metavar="N", help="N x N cells (default: 1 2)"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes at once"
    )
    parser.add_argument(
        "--defences", nargs="+", choices=["on", "off"], default=["on", "off"], help="(default: on off)"
    )
    options = parser.parse_args(arguments)
    wanted = trials(options.lies or LIES.names(), options.cells, options.defences)
    rows = measure([*wanted], range(1, options.seeds + 1), options.jobs)
    _show(rows)
    return 1 if any(row.misses() for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
