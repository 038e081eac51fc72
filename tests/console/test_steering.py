"""Every control of the page, used in Chromium, checked on MQTT and in the ledger of the run."""

import itertools
import json
from collections.abc import Callable, Iterable

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.protocol.messages import Mode, Settings
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
CONNECTED = "['live', 'drill'].includes(document.querySelector('#live').dataset.state)"
CONSUMERS = ("household", "commerce", "farm")


class OperatorPage:
    """An operator at the page."""

    def __init__(self, browser: Browser, running: Running) -> None:
        self.browser = browser
        self.running = running

    def click(self, selector: str) -> None:
        self.browser.do("click", selector=selector)

    def slide(self, name: str, key: str) -> None:
        self.browser.do("press", selector=f"#scale-{name}", key=key)

    def until(self, holds: Callable[[Settings], bool]) -> None:
        wait_until(lambda: holds(self.running.now.settings))

    def shows_answer(self, words: str) -> None:
        self.browser.wait(f"document.querySelector('#answer').textContent.includes({json.dumps(words)})")

    def shows_event(self, words: str) -> None:
        self.browser.wait(f"document.querySelector('#log').textContent.includes({json.dumps(words)})")

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
        page = OperatorPage(browser, running)
        periods = {
            "storm": storm(page),
            "still": turbines_off(page),
            "thirst": consumers_off(page),
            "driving": driving(page, "End", 2.0),
            "standing": driving(page, "Home", 0.0),
            "closest": closest(page),
            "uniform": uniform_price(page),
            "out": charger_out(page),
        }
        outage_drill(page)
        others_are_seen(page, broker, capsys)
        time(page)
        last = end(page)
        assert browser.do("faults") == []
    ledger = running.ledger
    assert ledger.breaches == {}
    of_the_weather(ledger, periods["storm"], periods["still"])
    of_consumers(ledger, periods["thirst"])
    assert settings_out(ledger.vehicles, periods["driving"]) > 0
    assert settings_out(ledger.vehicles, periods["standing"]) == 0
    of_choices(ledger, periods["closest"])
    of_prices(ledger, periods["uniform"])
    of_the_charger_out(ledger, periods["out"])
    assert [event.text for event in ledger.events if event.kind == "drill"] == [
        "outage drill: devices are offline for 5 s"
    ]
    assert max(row.tick for row in ledger.ticks) == last


# --- at the page, and on MQTT ----------------------------------------------------------------------------


def storm(page: OperatorPage) -> range:
    """A gale, then the damage; return the ticks of the damage."""
    page.click("#storm")
    page.until(lambda now: (now.wind_scale, now.note) == (2.0, "Gale"))
    page.shows_answer("Accepted: a storm")
    page.until(lambda now: (now.wind_scale, now.turbine_scale) == (1.0, 0.0))
    page.shows_event("Storm damage: turbines off")
    ticks = page.ticks()
    page.browser.wait("/, 0.0 kWh offered/.test(document.querySelector('#market-caption').textContent)")
    page.click("#calm")
    page.until(lambda now: (now.wind_scale, now.turbine_scale) == (1.0, 0.5))
    return ticks


def turbines_off(page: OperatorPage) -> range:
    page.click("#damage")
    page.until(lambda now: now.turbine_scale == 0.0)
    page.shows_answer("In effect: turbine output = 0")
    ticks = page.ticks()
    page.slide("turbine_scale", "End")
    page.until(lambda now: now.turbine_scale == 2.0)
    page.slide("wind_scale", "End")
    page.until(lambda now: now.wind_scale == 5.0)
    page.click("#calm")
    page.until(lambda now: (now.wind_scale, now.turbine_scale) == (1.0, 0.5))
    return ticks


def consumers_off(page: OperatorPage) -> range:
    page.slide("consumer_scale", "Home")
    page.until(lambda now: now.consumer_scale == 0.0)
    ticks = page.ticks()
    page.slide("consumer_scale", "End")
    page.until(lambda now: now.consumer_scale == 2.0)
    return ticks


def driving(page: OperatorPage, key: str, scale: float) -> range:
    page.slide("vehicle_scale", key)
    page.until(lambda now: now.vehicle_scale == scale)
    return page.ticks(6)


def closest(page: OperatorPage) -> range:
    page.slide("vehicle_scale", "End")
    page.browser.do("select", selector="#algorithm", value="closest")
    page.until(lambda now: now.algorithm == "closest")
    return page.ticks(12)


def uniform_price(page: OperatorPage) -> range:
    offered = page.browser.do(
        "eval", code="[...document.querySelector('#clearing-rule').options].map((each) => each.value).join()"
    )
    assert offered == "pay-as-bid,uniform-price"
    page.browser.do("select", selector="#clearing-rule", value="uniform-price")
    page.until(lambda now: now.clearing_rule == "uniform-price")
    ticks = page.ticks(4)
    page.browser.do("select", selector="#clearing-rule", value="pay-as-bid")
    page.until(lambda now: now.clearing_rule == "pay-as-bid")
    return ticks


def charger_out(page: OperatorPage) -> range:
    """Take charger-1 out of service by its card, then others by a share; return the ticks without charger-1."""
    page.browser.do("fill", selector="#find", value="charger-1")
    page.click("#found button")
    page.click("#card-service")
    page.until(lambda now: now.chargers_out == "charger-1")
    ticks = page.ticks(4)
    page.browser.wait("/out of service/.test(document.querySelector('#card-tags').textContent)")
    assert page.browser.text("#card-service") == "Put back into service"
    page.browser.do("fill", selector="#chargers-out", value="50%")
    page.until(lambda now: now.chargers_out == "50%")
    page.browser.do("fill", selector="#chargers-out", value="a/b")
    page.shows_answer("Chargers out of service: nothing was changed")
    page.click("#all-in-service")
    page.until(lambda now: now.chargers_out == "")
    page.shows_event("All chargers in service")
    return ticks


def outage_drill(page: OperatorPage) -> None:
    """The drill: every device goes offline, and reconnects."""
    shown = page.browser.text("#now-devices")
    total = shown.split(" of ")[1]
    assert shown == f"{total} of {total}"
    page.browser.do("select", selector="#outage-s", value="5")
    page.click("#outage")
    page.shows_answer("Accepted: an outage drill of 5 s")
    page.browser.wait(f"document.querySelector('#now-devices').textContent === '0 of {total}'")
    assert page.browser.do("eval", code=CONNECTED) is True  # the clock stays connected
    page.browser.wait(f"document.querySelector('#now-devices').textContent === {json.dumps(shown)}")
    page.shows_event("Outage drill: every device loses its connection for 5 s")
    page.shows_event("Offline: ")


def others_are_seen(page: OperatorPage, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["set", "consumer_scale=0.5", "--broker", broker.url]) == ExitCode.SUCCESS
    capsys.readouterr()
    page.shows_event("cli requests: consumer demand = 0.5")
    page.browser.wait("document.querySelector('#scale-consumer_scale').value === '0.5'")


def time(page: OperatorPage) -> None:
    """Speed, pause, step, mode, and the roles shown on the map."""
    page.browser.do("fill", selector="#seconds", value="0.3")
    wait_until(lambda: page.running.now.seconds_per_tick == 0.3)
    page.click("#pause")
    wait_until(lambda: page.running.now.paused)
    page.browser.wait("document.querySelector('#live').textContent === 'Paused'")
    held = page.running.now.tick
    page.click("#step")
    wait_until(lambda: page.running.now.paused and page.running.now.tick == held + 1)
    page.browser.wait("document.querySelector('#pause').textContent === 'Resume'")
    page.click("#pause")
    wait_until(lambda: page.running.now.tick > held + 2)
    page.browser.do("select", selector="#mode", value="lockstep")
    wait_until(lambda: page.running.now.mode is Mode.LOCKSTEP)
    page.browser.do("select", selector="#mode", value="scaled")
    wait_until(lambda: page.running.now.mode is Mode.SCALED)
    page.click("#role-vehicle")
    assert page.browser.do("eval", code="document.querySelector('#role-vehicle').ariaPressed") == "false"


def end(page: OperatorPage) -> int:
    """Set the last tick; the run ends there. Return it."""
    last = page.running.now.tick + 4
    page.browser.do("fill", selector="#ticks", value=str(last + 1))
    page.click("#confirm-yes")
    page.browser.wait("document.querySelector('#live').textContent === 'Run ended'")
    assert page.running.clock is not None
    assert (page.running.clock.status, page.running.clock.ticks) == ("finished", last + 1)
    page.running.stop()
    return last


# --- in the ledger ---------------------------------------------------------------------------------------


def of_the_weather(ledger: Ledger, *still: range) -> None:
    """No generation while the turbines are stopped, and some before and after."""
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
    """Only chargers buy while the consumers' demand is 0; consumers buy again afterwards."""
    buyers = {tick: {each.consumer for each in ledger.trades if each.tick == tick} for tick in thirst}
    assert not [name for names in buyers.values() for name in names if name.startswith(CONSUMERS)]
    assert [each for each in ledger.trades if each.tick > thirst.stop and each.consumer.startswith(CONSUMERS)]


def settings_out(rows: Iterable[VehicleRow], ticks: range) -> int:
    """Return how many vehicles departed in these ticks."""
    by_vehicle = sorted(rows, key=lambda row: (row.vehicle, row.tick))
    return sum(
        before.vehicle == now.vehicle
        and now.tick in ticks[1:]
        and before.destination_latitude is None
        and now.destination_latitude is not None
        for before, now in itertools.pairwise(by_vehicle)
    )


def of_prices(ledger: Ledger, ticks: range) -> None:
    """All buyers of a cell pay a turbine one price in a tick."""
    wind = [each for each in ledger.trades if each.tick in ticks and each.producer[:7] == "turbine"]
    assert wind
    markets = {(each.tick, each.cell, each.producer) for each in wind}
    assert len({(each.tick, each.cell, each.producer, each.price_ueur) for each in wind}) == len(markets)


def of_choices(ledger: Ledger, ticks: range) -> None:
    """Every vehicle accepted the offer of the nearest charger."""
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
    """It buys nothing and gets no reservation."""
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
