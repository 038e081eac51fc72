"""Every control of the page, pressed in Chromium, seen on MQTT and in the ledger of the run."""

import itertools
import json
from collections.abc import Callable, Iterable

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import Algorithm, Mode, Settings
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.store.rows import VehicleRow
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from tests.console.conftest import LIVE, Browser, Ledger, Running
from tests.waiting import wait_until

pytestmark = [pytest.mark.chromium, pytest.mark.node, pytest.mark.slow]

FLEET = (
    *("area.rows=1", "area.columns=2", "turbines.count=4", "settings.turbine_scale=0.5"),
    *("chargers.count=6", "chargers.stored_share=1", "vehicles.count=16", "vehicles.stored_share=[0.3, 0.9]"),
)
CONSUMERS = ("household", "commerce", "farm")


class OperatorPage:
    """An operator at the page, who notes in which whole ticks what was in force."""

    def __init__(self, page: Browser, running: Running) -> None:
        self.page = page
        self.running = running

    def click(self, selector: str) -> None:
        self.page.do("click", selector=selector)

    def slide(self, name: str, key: str) -> None:
        self.page.do("press", selector=f"#scale-{name}", key=key)

    def until(self, holds: Callable[[Settings], bool]) -> None:
        wait_until(lambda: holds(self.running.now.settings))

    def says(self, words: str) -> None:
        self.page.wait(f"document.querySelector('#answer').textContent.includes({json.dumps(words)})")

    def logs(self, words: str) -> None:
        self.page.wait(f"document.querySelector('#log').textContent.includes({json.dumps(words)})")

    def ticks(self, many: int = 3) -> range:
        """Let so many whole ticks pass, and return them."""
        first = self.running.now.tick + 1
        wait_until(lambda: self.running.now.tick >= first + many)
        return range(first, first + many)


def test_each_control_changes_the_fleet(
    browser: Browser, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        Running(broker.url, *FLEET, seconds_per_tick=0.5, recorded=True) as running,
        ConsoleServer(ConsoleConfig(BrokerAddress.parse(broker.url), "germany")) as server,
    ):
        browser.do("open", url=server.url)
        browser.wait(LIVE)
        desk = OperatorPage(browser, running)
        periods = {
            "storm": storm(desk),
            "still": turbines_off(desk),
            "thirst": consumers_off(desk),
            "driving": driving(desk, "End", 2.0),
            "standing": driving(desk, "Home", 0.0),
            "closest": closest(desk),
            "out": charger_out(desk),
        }
        away_and_back(desk)
        others_are_seen(desk, broker, capsys)
        time(desk)
        last = end(desk)
        assert browser.do("faults") == []
    ledger = running.ledger
    assert ledger.breaches == {}
    of_the_weather(ledger, periods["storm"], periods["still"])
    of_consumers(ledger, periods["thirst"])
    assert settings_out(ledger.vehicles, periods["driving"]) > 0
    assert settings_out(ledger.vehicles, periods["standing"]) == 0
    of_choices(ledger, periods["closest"])
    of_the_charger_out(ledger, periods["out"])
    assert [event.text for event in ledger.events if event.kind == "drill"] == [
        "outage drill: devices are offline for 5 s"
    ]
    assert max(row.tick for row in ledger.ticks) == last


# --- at the page, and on MQTT ----------------------------------------------------------------------------


def storm(desk: OperatorPage) -> range:
    """A gale, then the damage; return the ticks of the damage."""
    desk.click("#storm")
    desk.until(lambda now: (now.wind_scale, now.note) == (2.0, "Gale"))
    desk.says("Accepted: a storm")
    desk.until(lambda now: (now.wind_scale, now.turbine_scale) == (1.0, 0.0))
    desk.logs("Storm damage: turbines off")
    ticks = desk.ticks()
    desk.page.wait("/, 0.0 kWh of wind energy/.test(document.querySelector('#market-caption').textContent)")
    desk.click("#calm")
    desk.until(lambda now: (now.wind_scale, now.turbine_scale) == (1.0, 0.5))
    return ticks


def turbines_off(desk: OperatorPage) -> range:
    desk.click("#damage")
    desk.until(lambda now: now.turbine_scale == 0.0)
    desk.says("In effect: turbine output = 0")
    ticks = desk.ticks()
    desk.slide("turbine_scale", "End")
    desk.until(lambda now: now.turbine_scale == 2.0)
    desk.slide("wind_scale", "End")
    desk.until(lambda now: now.wind_scale == 5.0)
    desk.click("#calm")
    desk.until(lambda now: (now.wind_scale, now.turbine_scale) == (1.0, 0.5))
    return ticks


def consumers_off(desk: OperatorPage) -> range:
    desk.slide("consumer_scale", "Home")
    desk.until(lambda now: now.consumer_scale == 0.0)
    ticks = desk.ticks()
    desk.slide("consumer_scale", "End")
    desk.until(lambda now: now.consumer_scale == 2.0)
    return ticks


def driving(desk: OperatorPage, key: str, scale: float) -> range:
    desk.slide("vehicle_scale", key)
    desk.until(lambda now: now.vehicle_scale == scale)
    return desk.ticks(6)


def closest(desk: OperatorPage) -> range:
    desk.slide("vehicle_scale", "End")
    desk.page.do("select", selector="#algorithm", value="closest")
    desk.until(lambda now: now.algorithm is Algorithm.CLOSEST)
    return desk.ticks(12)


def charger_out(desk: OperatorPage) -> range:
    """Out by its card, then others by a word; return the ticks without charger-1."""
    desk.page.do("fill", selector="#find", value="charger-1")
    desk.click("#found button")
    desk.click("#card-service")
    desk.until(lambda now: now.chargers_out == "charger-1")
    ticks = desk.ticks(4)
    desk.page.wait("/out of service/.test(document.querySelector('#card-tags').textContent)")
    assert desk.page.text("#card-service") == "Put back into service"
    desk.page.do("fill", selector="#chargers-out", value="50%")
    desk.until(lambda now: now.chargers_out == "50%")
    desk.page.do("fill", selector="#chargers-out", value="a/b")
    desk.says("The clock rejected: chargers out of service: a/b")
    desk.click("#all-in-service")
    desk.until(lambda now: now.chargers_out == "")
    desk.logs("All chargers in service")
    return ticks


def away_and_back(desk: OperatorPage) -> None:
    """The drill: every device goes, is seen to be gone, and is back."""
    shown = desk.page.text("#now-devices")
    everybody = shown.split(" of ")[1]
    assert shown == f"{everybody} of {everybody}"
    desk.page.do("select", selector="#outage-s", value="5")
    desk.click("#outage")
    desk.says("Accepted: an outage drill of 5 s")
    desk.page.wait(f"document.querySelector('#now-devices').textContent === '0 of {everybody}'")
    assert desk.page.do("eval", code=LIVE) is True  # the clock goes on
    desk.page.wait(f"document.querySelector('#now-devices').textContent === {json.dumps(shown)}")
    desk.logs("Outage drill: every device loses its connection for 5 s")
    desk.logs("Offline: ")


def others_are_seen(desk: OperatorPage, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["set", "consumer_scale=0.5", "--broker", broker.url]) == ExitCode.SUCCESS
    capsys.readouterr()
    desk.logs("cli requests: consumer demand = 0.5")
    desk.page.wait("document.querySelector('#scale-consumer_scale').value === '0.5'")


def time(desk: OperatorPage) -> None:
    """Speed, pause, step, mode, and what is shown on the map."""
    desk.page.do("fill", selector="#seconds", value="0.3")
    wait_until(lambda: desk.running.now.seconds_per_tick == 0.3)
    desk.click("#pause")
    wait_until(lambda: desk.running.now.paused)
    desk.page.wait("document.querySelector('#live').textContent === 'paused'")
    held = desk.running.now.tick
    desk.click("#step")
    wait_until(lambda: desk.running.now.paused and desk.running.now.tick == held + 1)
    desk.page.wait("document.querySelector('#pause').textContent === 'Resume'")
    desk.click("#pause")
    wait_until(lambda: desk.running.now.tick > held + 2)
    desk.page.do("select", selector="#mode", value="lockstep")
    wait_until(lambda: desk.running.now.mode is Mode.LOCKSTEP)
    desk.page.do("select", selector="#mode", value="scaled")
    wait_until(lambda: desk.running.now.mode is Mode.SCALED)
    desk.click("#kind-vehicle")
    assert desk.page.do("eval", code="document.querySelector('#kind-vehicle').ariaPressed") == "false"


def end(desk: OperatorPage) -> int:
    """The run ends where the page says; return its last tick."""
    last = desk.running.now.tick + 4
    desk.page.do("fill", selector="#ticks", value=str(last + 1))
    desk.page.wait("document.querySelector('#live').textContent === 'run ended'")
    assert desk.running.clock is not None
    assert (desk.running.clock.status, desk.running.clock.ticks) == ("finished", last + 1)
    desk.running.stop()
    return last


# --- in the ledger ---------------------------------------------------------------------------------------


def of_the_weather(ledger: Ledger, *still: range) -> None:
    """No generation while the turbines stand still, and some before and after."""
    generated = {row.tick: 0 for row in ledger.ticks}
    for row in ledger.ticks:
        generated[row.tick] += row.generated_wh
    for ticks in still:
        assert {generated[tick] for tick in ticks} == {0}
        assert not [
            trade for trade in ledger.trades if trade.tick in ticks and trade.producer[:7] == "turbine"
        ]
    assert generated[0] > 0
    assert sum(wh for tick, wh in generated.items() if tick > still[-1].stop) > 0
    titles = [event.text for event in ledger.events]
    assert titles.index("Gale") < titles.index("Storm damage: turbines off")


def of_consumers(ledger: Ledger, thirst: range) -> None:
    """Nobody but chargers buys while consumers want nothing; afterwards consumers do again."""
    buyers = {tick: {each.consumer for each in ledger.trades if each.tick == tick} for tick in thirst}
    assert not [name for names in buyers.values() for name in names if name.startswith(CONSUMERS)]
    assert [each for each in ledger.trades if each.tick > thirst.stop and each.consumer.startswith(CONSUMERS)]


def settings_out(rows: Iterable[VehicleRow], ticks: range) -> int:
    """Return how many vehicles got a destination in these ticks."""
    by_vehicle = sorted(rows, key=lambda row: (row.vehicle, row.tick))
    return sum(
        before.vehicle == now.vehicle
        and now.tick in ticks[1:]
        and before.destination_latitude is None
        and now.destination_latitude is not None
        for before, now in itertools.pairwise(by_vehicle)
    )


def of_choices(ledger: Ledger, ticks: range) -> None:
    """Who accepted an offer took the nearest of those there were."""
    begin_ms = {row.tick: row.simulated_ms for row in ledger.ticks}
    calls: dict[tuple[str, int], list[tuple[float, bool]]] = {}
    for row in ledger.reservations:
        within = begin_ms[ticks.start] <= row.requested_ms < begin_ms[ticks.stop]
        if within and row.offered_ms is not None and row.distance_km is not None:
            calls.setdefault((row.vehicle, row.call), []).append(
                (row.distance_km, row.accepted_ms is not None)
            )
    taken = [sorted(offers) for offers in calls.values() if any(accepted for _, accepted in offers)]
    assert taken
    assert all(offers[0][1] for offers in taken)


def of_the_charger_out(ledger: Ledger, ticks: range) -> None:
    """It buys nothing, and nobody reserves there."""
    begin_ms = {row.tick: row.simulated_ms for row in ledger.ticks}
    bought = [each.tick for each in ledger.trades if each.consumer == "charger-1"]
    assert not set(bought) & set(ticks)
    accepted = [
        row
        for row in ledger.reservations
        if row.charger == "charger-1"
        and row.accepted_ms is not None
        and begin_ms[ticks.start] <= row.accepted_ms < begin_ms[ticks.stop]
    ]
    assert accepted == []
