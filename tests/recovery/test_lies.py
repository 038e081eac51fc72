"""Liars in a chaos plan: each check fails where it should; a site with a real Mosquitto withstands the shipped plan."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from gridfleet.broker.protocol.messages import Bid, ConsumerState, Package, Presence, Role, Suspension
from gridfleet.broker.protocol.topics import RECORDER_ID
from gridfleet.provisioning.chaos.lies import JUDGED_TICKS, PlannedLiar, check_lie
from gridfleet.provisioning.chaos.observations import Observations
from gridfleet.provisioning.chaos.plan import load_plan
from gridfleet.provisioning.cli.exit_codes import ExitCode
from tests.provisioning.shell import gridfleet

LIAR: Final = PlannedLiar(device="turbine-1", lie="steal", tick=3)
ROLES: Final = {"turbine-1": Role.PRODUCER, "turbine-2": Role.PRODUCER, "house-1": Role.CONSUMER}
SUSPENSION: Final = Suspension("award beyond supply", "awards for 9 Wh", 5, 101)
NAMED: Final = ("turbine-1",)
ACCOUNT: Final = ConsumerState(
    0,
    51.0,
    9.0,
    False,
    "",
    0,
    0,
    {},
    "consumer",
    {},
    (),
    "consumer",
    demand_wh=100,
    bought_wh=100,
    paid_neur=1,
)


def observed(named: tuple[str, ...], *, bought_wh: int = 100, offline: str = "") -> Observations:
    """Return what a site publishes whose household bids for 100 Wh in each tick, and whose auditor names devices."""
    observations = Observations()
    observations.tick = 4
    for name in named:
        observations.receive(0, name, RECORDER_ID, SUSPENSION)
        observations.receive(0, "house-1", "turbine-2", SUSPENSION)
    for name, role in ROLES.items():
        observations.receive(0, "", name, Presence(name != offline, role, "north", 51.0, 9.0))
    for tick in range(LIAR.tick + JUDGED_TICKS):
        observations.receive(0, "north", "house-1", Bid(tick, (Package(0, 100, 10**6),)))
        observations.receive(0, "consumer", "house-1", replace(ACCOUNT, tick=tick, bought_wh=bought_wh))
    return observations


def failed(observations: Observations, liar: PlannedLiar = LIAR) -> list[str]:
    checks = check_lie(observations, liar, {"turbine-1"}, ROLES)
    assert all(check.text for check in checks)
    return [check.name for check in checks if not check.holds]


def test_a_site_that_withstands_a_lie_passes_every_check() -> None:
    checks = check_lie(observed(NAMED), LIAR, {"turbine-1"}, ROLES)
    assert [check.name for check in checks if check.holds] == [check.name for check in checks]
    assert checks[0].text == "in tick 4, 1 after it began: award beyond supply: awards for 9 Wh"


def test_each_check_fails_where_it_should() -> None:
    assert failed(observed(())) == ["the liar is named"]
    assert failed(observed((*NAMED, "turbine-2"))) == ["nobody honest is named"]
    assert failed(observed(NAMED, bought_wh=97)) == ["the honest are served"]
    assert failed(observed(NAMED, bought_wh=98)) == []
    assert failed(observed(NAMED, offline="turbine-2")) == ["all devices are online"]
    assert failed(Observations()) == ["the liar is named", "the honest are served", "all devices are online"]


def test_a_lie_that_cannot_be_proved_need_not_be_named() -> None:
    assert failed(observed(()), LIAR.model_copy(update={"provable": False})) == []


def test_liars_that_the_scenario_does_not_have_are_refused(tmp_path: Path) -> None:
    plan = tmp_path / "mine.toml"
    plan.write_text("[[liars]]\ndevice = 'turbine-9'\nlie = 'steal'\ntick = 3\n", encoding="utf-8")
    ended = gridfleet("site", "chaos", "normal", "--plan", str(plan), cwd=tmp_path)
    assert ended.code == ExitCode.USAGE
    assert "liars turbine-9=steal,at:3: the scenario has no device 'turbine-9'; did you mean" in ended.err


@pytest.mark.mosquitto
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_site_with_a_real_broker_withstands_the_shipped_plan(tmp_path: Path) -> None:
    ended = gridfleet("site", "chaos", "normal", "--plan", "liars", "--json", "--out", "out", cwd=tmp_path)
    outcomes: list[dict[str, Any]] = json.loads(ended.out or "[]")
    wrong = [check for each in outcomes for check in each["checks"] if not check["holds"]]
    liars = load_plan("liars").liars
    assert wrong == []
    assert ended.code == ExitCode.SUCCESS, ended.err
    assert [outcome["fault"] for outcome in outcomes] == [liar.description for liar in liars]
    assert f"withstood {len(liars)} of {len(liars)} lies" in ended.err
