"""What lies do to the others and to the liar: figures by hand, the table of `compare --liars`, and what is refused."""

import csv
from pathlib import Path
from typing import Any, Final

import pytest

from gridfleet.broker.protocol.messages import ConsumerState, ProducerState
from gridfleet.broker.protocol.units import NEUR_PER_EUR
from gridfleet.dashboards.market.wealth import Wealth
from gridfleet.devices.config.scenario import Scenario
from gridfleet.devices.trust.liars.lying_devices import LyingDevice, parse_liars
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.runs.lie_effects import (
    Effect,
    LieRun,
    Outcome,
    compare_lie,
    effect_of,
    observe,
    table_text,
    trials_of,
)
from tests.provisioning.shell import gridfleet

LIAR: Final = LyingDevice("turbine-2", "steal", 1)
SMALL: Final = {"vehicles.count": 2, "chargers.count": 3, "ticks": 16}


def fields(tick: int, balance_eur: int, *others: object) -> list[Any]:
    balance_neur = balance_eur * NEUR_PER_EUR
    return [tick, 51.0, 9.0, False, "", 0, balance_neur, {}, "kind", {}, (), *others]


def outcome(*, house_eur: int, turbine_eur: int, bought_wh: int) -> Outcome:
    """Return a run of two ticks; a household and a turbine begin with 0 EUR."""
    found = Outcome()
    found.last_tick = 1
    for tick, house, turbine, energy_wh in ((0, 0, 0, 0), (1, house_eur, turbine_eur, bought_wh)):
        found.wealth.note("house-1", ConsumerState(*fields(tick, house, "consumer", energy_wh, energy_wh, 0)))
        found.wealth.note("turbine-1", ProducerState(*fields(tick, turbine, "producer", 0, 0, 0, 0, 0)))
    return found


def test_an_effect_by_hand() -> None:
    """The household pays the liar 3 EUR more and gets 1 kWh less, worth 2 EUR; the turbine earns 2 EUR less."""
    honest = outcome(house_eur=-4, turbine_eur=3, bought_wh=4000)
    lying = outcome(house_eur=-7, turbine_eur=1, bought_wh=3000)
    lying.lied["turbine-2"] = 1
    lying.named |= {"turbine-2": (3, "award beyond supply"), "turbine-1": (3, "by mistake")}
    lying.avoided["house-1"] = 1
    assert effect_of(lying, honest, (LIAR,)) == Effect(
        welfare_eur=-2.0,
        honest_eur=-7.0,
        energy_percent=75.0,
        loss_eur=5.0,
        liar_eur=5.0,
        named_after=2,
        accused=2,
    )


def test_energy_of_a_false_meter_is_none() -> None:
    wealth = Wealth()
    assert wealth.worth_neur("vehicle-1", 3) == 0
    assert wealth.change_neur("vehicle-1", 0, 3) == 0


def test_a_run_without_liars_is_the_same_with_defences_and_without() -> None:
    runs = [
        observe(LieRun(Scenario.load("normal", {**SMALL, "trust.enabled": enabled})))
        for enabled in (True, False)
    ]
    assert runs[0].wealth.balance_neur == runs[1].wealth.balance_neur
    assert [(run.named, run.avoided, run.lied) for run in runs] == [({}, {}, {})] * 2


def test_without_defences_a_thief_wins_what_the_honest_lose() -> None:
    scenario = Scenario.load("normal", SMALL)
    effects = {
        defences: compare_lie(run)
        for (_, defences), (run,) in trials_of([scenario], parse_liars(["turbine-2=steal,at:4"])).items()
    }
    assert effects["off"].liar_eur > 0 > effects["off"].honest_eur
    assert effects["on"].liar_eur < effects["off"].liar_eur / 2
    assert (effects["on"].named_after, effects["off"].named_after) == (1, None)
    assert [effect.accused for effect in effects.values()] == [0, 0]


def test_two_devices_of_one_lie_are_one_trial() -> None:
    liars = parse_liars(
        ["turbine-1=collude,with:household-1", "turbine-2=steal", "household-1=collude,with:turbine-1"]
    )
    trials = trials_of([Scenario.load("normal")], liars)
    pair = "turbine-1=collude,with:household-1 household-1=collude,with:turbine-1"
    assert list(trials) == [
        (pair, "on"),
        (pair, "off"),
        ("turbine-2=steal", "on"),
        ("turbine-2=steal", "off"),
    ]
    assert [each.device for each in trials[pair, "on"][0].liars] == ["turbine-1", "household-1"]


def test_the_table_has_means_and_the_worst() -> None:
    effects = [Effect(2.0, 1.0, 99.0, 5.0, -1.0, 3, 0), Effect(4.0, 2.0, 100.0, 7.0, -2.0, None, 1)]
    head, line = table_text({("turbine-2=steal", "on"): effects}).splitlines()
    assert head.split()[:2] == ["lie", "defences"]
    assert line.split() == [
        "turbine-2=steal",
        "on",
        "3.00",
        "1.50",
        "99.50",
        "7.00",
        "-1.50",
        "2",
        "1",
        "3",
        "1",
    ]


def test_compare_prints_and_writes_the_table(tmp_path: Path) -> None:
    words = ("compare", "normal", "--ticks", "10", "--seeds", "2", "--jobs", "1")
    done = gridfleet(*words, "--liars", "turbine-2=steal,at:4", "--out", "run", cwd=tmp_path)
    assert (done.code, done.err) == (ExitCode.SUCCESS, "")
    assert done.out.splitlines()[-1] == "Table   run/lies.csv"
    with (tmp_path / "run" / "lies.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["lie"], row["defences"], row["runs"]) for row in rows] == [
        ("turbine-2=steal,at:4", "on", "2"),
        ("turbine-2=steal,at:4", "off", "2"),
    ]
    assert float(rows[1]["liar_eur"]) > float(rows[0]["liar_eur"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("normal", "storm", "--liars", "turbine-2=steal"), "--liars: needs one scenario with one algorithm"),
        (("normal", "--liars", "turbine-9=steal"), "liars turbine-9=steal: the scenario has no device"),
        (("normal", "--ticks", "4", "--liars", "turbine-2=steal,at:9"), "the run has 4 ticks, the last is 3"),
        (("normal", "--liars", "turbine-2=stael"), "did you mean 'steal'"),
    ],
)
def test_what_cannot_be_compared_is_refused(words: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    done = gridfleet("compare", *words, cwd=tmp_path)
    assert done.code == ExitCode.USAGE
    assert problem in done.err
    assert list(tmp_path.rglob("*.csv")) == []
