"""Chargers out of service: which ones, what they publish, where their vehicles go; and the outage drill."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import (
    OUT_OF_SERVICE,
    Bid,
    Bill,
    ChargerState,
    Control,
    Decline,
    Lease,
    Message,
    Mode,
    Phase,
    Presence,
    Release,
    Settings,
    VehicleState,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.vehicle import MAX_DELAY_MS
from gridfleet.devices.charging.out_of_service import parse_chargers_out
from gridfleet.devices.config.scenario import Scenario, load, parse
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.devices.runtime.simulation import Simulation
from gridfleet.devices.runtime.site import SiteRun
from tests.dashboards.runs import audit, broken, record
from tests.devices.testbed import HOME, Testbed, charger, vehicle
from tests.hardware.test_own_meter import PER_READING_WH, Meter

NEAR, FARTHER = (51.0, 10.1), (51.0, 10.3)
IDS = [f"charger-{number:03d}" for number in range(200)]
SMALL = ("turbines.count=2", "households.count=2", "farms.count=0", "chargers.count=4", "vehicles.count=4")


def street(one: tuple[float, float], other: tuple[float, float]) -> Testbed:
    """A vehicle that runs low, and has reserved at one of two chargers."""
    testbed = Testbed(
        charger("one", stored_wh=80_000, place=one),
        charger("other", stored_wh=80_000, place=other),
        vehicle("v1", stored_wh=14_000),
    )
    testbed.begin_phase(Phase.BID)
    testbed.wait_for(Lease, MAX_DELAY_MS)
    return testbed


def leased_by(testbed: Testbed) -> str:
    """Which charger the last lease is of."""
    return [sender for sender, _, message in testbed.sent if isinstance(message, Lease)][-1]


def rest(testbed: Testbed) -> None:
    testbed.run_phases(Phase.TRADE, Phase.IMPORT, Phase.SETTLE)


# --- the setting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chargers_out", "out"),
    [
        ("", set()),
        ("charger-007", {"charger-007"}),
        ("charger-007, charger-009  charger-011", {"charger-007", "charger-009", "charger-011"}),
        ("0%", set()),
        ("all", set(IDS)),
        ("100%", set(IDS)),
        ("north", set(IDS)),
        ("south", set()),
    ],
)
def test_ids_cells_and_shares(chargers_out: str, out: set[str]) -> None:
    assert {name for name in IDS if parse_chargers_out(chargers_out).includes(name, "north")} == out


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_larger_share_includes_a_smaller_one(one: int, other: int) -> None:
    smaller, larger = (
        {name for name in IDS if parse_chargers_out(f"{share}%").includes(name, "")}
        for share in sorted((one, other))
    )
    assert smaller <= larger
    assert abs(len(larger) / len(IDS) - max(one, other) / 100) < 0.15


@pytest.mark.parametrize("chargers_out", ["101%", "-1%", "a/b", "charger-1;charger-2", "25 %", "#"])
def test_an_invalid_value_is_refused(chargers_out: str) -> None:
    with pytest.raises(
        ValueError, match="expected the id of a charger, the name of a cell, a share such as 25%, or all"
    ):
        parse_chargers_out(chargers_out)


# --- out of service --------------------------------------------------------------------------------------


def test_out_of_service_it_bids_nothing_declines_calls_and_reports_that() -> None:
    testbed = Testbed(charger("near", stored_wh=50_000, place=NEAR), vehicle("v1", stored_wh=14_000))
    testbed.settings = Settings(chargers_out="near")
    testbed.begin_phase(Phase.BID)
    assert testbed.expect_next("near", HOME, Bid).packages == ()
    testbed.wait(MAX_DELAY_MS)
    assert testbed.skip_to("near", Decline).reason == "offline"
    rest(testbed)
    (state,) = testbed.published(ChargerState)
    assert (state.status, state.demand_wh, state.ports_reserved) == ("out of service", 0, 0)

    testbed.settings = Settings()
    testbed.begin_phase(Phase.BID)
    assert testbed.skip_to("near", Bid).packages
    rest(testbed)
    assert testbed.published(ChargerState)[-1].status != "out of service"


def test_a_vehicle_that_is_charging_is_billed_and_leaves() -> None:
    testbed = street(NEAR, FARTHER)
    charger_id = leased_by(testbed)
    rest(testbed)
    testbed.settings = Settings(chargers_out=charger_id)
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.begin_phase(Phase.IMPORT)
    assert testbed.skip_to(charger_id, Decline).reason == "offline"
    release = testbed.skip_to("v1", Release)
    assert release.outcome == "interrupted"
    assert release.drawn_wh > 1_000
    assert testbed.skip_to(charger_id, Bill).energy_wh == release.drawn_wh
    testbed.run_phases(Phase.SETTLE)
    assert testbed.published(ChargerState, sender=charger_id)[-1].ports_reserved == 0


def test_out_of_service_a_charger_bills_what_its_own_meter_counted_and_a_second_decline_is_ignored() -> None:
    one = charger("one", stored_wh=80_000, place=NEAR, connector=Meter())
    car = vehicle("v1", stored_wh=14_000)
    testbed = Testbed(one, car)
    testbed.begin_phase(Phase.BID)
    testbed.wait_for(Lease, MAX_DELAY_MS)
    rest(testbed)
    testbed.settings = Settings(chargers_out="one")
    testbed.run_phases(Phase.BID, Phase.TRADE)
    testbed.begin_phase(Phase.IMPORT)
    declined = testbed.skip_to("one", Decline)
    assert car.handle("v1", "one", declined, car.tick * TICK_MS) == ()  # the second decline
    bill = testbed.skip_to("one", Bill)
    testbed.run_phases(Phase.SETTLE)
    testbed.run_phases(Phase.BID, Phase.TRADE, Phase.IMPORT, Phase.SETTLE)
    chargers, vehicles = testbed.published(ChargerState), testbed.published(VehicleState)
    assert bill.energy_wh >= PER_READING_WH
    assert sum(state.delivered_wh for state in chargers) == bill.energy_wh
    assert sum(state.drawn_wh for state in vehicles) == bill.energy_wh
    assert sum(state.earned_neur for state in chargers) == sum(state.paid_neur for state in vehicles) > 0
    assert chargers[-1].ports_reserved == 0


def test_a_vehicle_on_its_way_goes_elsewhere() -> None:
    testbed = street((51.0, 10.7), (51.0, 10.75))  # half an hour's drive
    first = leased_by(testbed)
    rest(testbed)
    testbed.settings = Settings(chargers_out=first)
    for _ in range(2):
        testbed.run_phases(Phase.BID)
        testbed.wait(MAX_DELAY_MS)
        rest(testbed)
    assert [release.outcome for release in testbed.published(Release)] == ["interrupted"]
    assert leased_by(testbed) != first
    assert {state.avoids for state in testbed.published(VehicleState)} == {
        ()
    }  # a charger that reports it breaks no promise


def test_on_a_day_with_chargers_out_of_service_the_accounts_agree() -> None:
    text = """
    [[events]]
    hour = 2.0
    title = "Half of the chargers fail"
    chargers_out = "50%"

    [[events]]
    hour = 6.0
    title = "Repaired"
    chargers_out = ""
    """
    log: list[tuple[int, str, str, Message]] = []
    scenario = parse(text, "day.toml", "", [])
    Simulation(scenario, ticks=40, receivers=(lambda *each: log.append(each),)).run()
    assert broken(audit(log)) == {}
    states = [message for _, _, _, message in log if isinstance(message, ChargerState)]
    out = {state.tick for state in states if state.status == OUT_OF_SERVICE}
    assert out == set(range(8, 24))
    assert {s.bought_wh + s.delivered_wh for s in states if s.status == OUT_OF_SERVICE and s.tick > 8} == {0}
    with record(log) as store:
        assert [event.text for event in store.events() if event.kind == "settings"] == [
            "Half of the chargers fail",
            "Repaired",
        ]


# --- the drill -------------------------------------------------------------------------------------------


class Watch:
    """Devices that went offline during a run, and devices that are online at its end."""

    def __init__(self) -> None:
        self.went_offline: set[str] = set()
        self.online: set[str] = set()
        self.log: list[tuple[int, str, str, Message]] = []

    def receive(self, now_ms: int, scope: str, sender: str, message: Message) -> None:
        self.log.append((now_ms, scope, sender, message))
        if isinstance(message, Presence):
            if message.online:
                self.online.add(sender)
            elif sender in self.online:
                self.online.discard(sender)
                self.went_offline.add(sender)


def drilled(mode: Mode, scenario: Scenario, seconds: float, broker: EmbeddedBroker) -> tuple[Watch, set[str]]:
    """Run a fleet, order an outage in its third tick, and end when every device has been offline and is back."""
    watch = Watch()
    fleet = Fleet(scenario)
    devices = set(fleet.ids)
    site = SiteRun(
        fleet,
        BrokerAddress.parse(broker.url),
        mode=mode,
        seconds_per_tick=0.5,
        ticks=4_000,
        receivers=(watch.receive,),
    )
    ordered = False

    def go_on(running: SiteRun) -> bool:
        nonlocal ordered
        if not ordered and running.clock.tick >= 2:
            ordered = True
            running.clock.handle("outage_s", "ops", Control(seconds, 1), 0)
        return not (watch.went_offline == devices and devices <= watch.online)

    site.run(go_on)
    return watch, devices


@pytest.mark.parametrize("mode", [Mode.SCALED, Mode.LOCKSTEP])
def test_in_a_drill_every_device_goes_offline_and_comes_back(mode: Mode) -> None:
    with EmbeddedBroker() as broker:
        watch, devices = drilled(mode, load("normal", SMALL), 0.4, broker)
    assert watch.went_offline == devices  # none of them twice, or the run would have continued
    assert "clock" not in watch.went_offline
    with record(watch.log) as store:
        assert [event.text for event in store.events() if event.kind == "drill"] == [
            "outage drill: devices are offline for 0.4 s"
        ]


def test_in_the_simulation_a_drill_changes_nothing() -> None:
    drill = '[[events]]\nhour = 0.5\ntitle = "Drill"\noutage_s = 20'
    plain, drilled = (published(parse(text, "drill.toml", "", SMALL)) for text in ("", drill))
    assert plain == drilled


def published(scenario: Scenario) -> list[tuple[int, str, str, Message]]:
    """Return what devices publish in a simulation, without the clock."""
    log: list[tuple[int, str, str, Message]] = []
    Simulation(scenario, ticks=6, receivers=(lambda *each: log.append(each),)).run()
    return [each for each in log if each[2] != "clock"]
