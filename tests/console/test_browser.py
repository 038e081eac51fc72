"""The console in Chromium: content, freshness, hostile messages, accessibility."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from benchmarks.console import measure
from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.protocol.batch import pack
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import (
    ConsumerState,
    Facts,
    Figure,
    FleetPresence,
    Message,
    Mode,
    Phase,
    Presence,
    Role,
    Settings,
    Supply,
    Tick,
)
from gridfleet.broker.protocol.topics import batch_topic, topic
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.plots.style import COLOURS
from tests.console.conftest import LIVE, SMALL, Browser, Running
from tests.waiting import wait_until

pytestmark = [pytest.mark.chromium, pytest.mark.node]

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
INK = """
(() => { const canvas = document.querySelector('%s');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let ink = 0; for (let at = 3; at < data.length; at += 4) ink += data[at] > 40; return ink; })()
"""
SYMBOLS = """
[...document.querySelectorAll('.role canvas')].map((canvas) => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const mask = []; // what is painted, and is not paper
  for (let at = 0; at < data.length; at += 4) {
    mask.push(data[at + 3] > 100 && Math.min(data[at], data[at + 1], data[at + 2]) < 200 ? 1 : 0);
  }
  return mask; })
"""
COLOURED = """
(() => { const canvas = document.querySelector('%s');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let at = 0; at < data.length; at += 4) {
    found += data[at] === %d && data[at + 1] === %d && data[at + 2] === %d && data[at + 3] === 255;
  }
  return found; })()
"""
STORAGE_RGB = tuple(bytes.fromhex(COLOURS["storage"].light[1:]))
STORAGES = ("battery.count=2",)
CANVAS = "#map canvas.devices"
WIDTHS_AND_SCHEMES = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]


def console(url: str) -> ConsoleServer:
    return ConsoleServer(ConsoleConfig(BrokerAddress.parse(url), "germany"))


# --- of a fleet that runs --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet() -> Iterator[tuple[str, str]]:
    """A fleet for all tests that do not control it, as (broker, page)."""
    with EmbeddedBroker() as broker, Running(broker.url, *SMALL, *STORAGES), console(broker.url) as server:
        yield broker.url, server.url


@pytest.fixture
def page(window: Browser, fleet: tuple[str, str]) -> Browser:
    window.do("open", url=fleet[1])
    window.wait(LIVE)
    return window


def test_the_page_shows_data_and_contacts_only_this_machine(page: Browser) -> None:
    page.wait("document.querySelectorAll('.uplot').length === 6")
    page.wait("document.querySelector('#now-devices').textContent === '24 of 24'")
    page.wait("/kWh requested/.test(document.querySelector('#market-caption').textContent)")
    page.wait("/€/.test(document.querySelector('#now-price').textContent)")
    assert page.text("#title") == "Normal operation"
    assert page.do("eval", code=INK % CANVAS) > 1000
    assert page.do("eval", code=INK % "#map canvas.land") > 10_000
    assert page.do("eval", code=INK % "#merit") > 1000
    page.wait(f"({INK % '.uplot canvas'}) > 500")
    names = page.do(
        "eval", code="[...document.querySelectorAll('#market-cell option')].map((each) => each.text)"
    )
    assert names == ["all", "cell-1-1", "cell-1-2"]
    asked = page.do("requested")
    assert len(asked) >= 4
    assert [
        url for url in asked if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:"))
    ] == []
    assert page.do("faults") == []


def test_each_role_has_a_shape_of_its_own(page: Browser) -> None:
    masks = page.do("eval", code=SYMBOLS)
    assert len(masks) == 6
    for one, other in combinations(masks, 2):
        both = sum(a and b for a, b in zip(one, other, strict=True))
        assert both / sum(a or b for a, b in zip(one, other, strict=True)) < 0.85


def test_text_of_devices_is_not_markup(page: Browser, fleet: tuple[str, str]) -> None:
    presence = {
        "online": True,
        "role": "vehicle",
        "kind": "hovercraft",
        "cell": EVIL[:40],
        "latitude": 51.0,
        "longitude": 9.0,
        "label": EVIL,
        "figures": [{"name": "skirt_m", "unit": EVIL, "description": EVIL}],
    }
    state = {
        "tick": 1,
        "latitude": 51.0,
        "longitude": 9.0,
        "measured": True,
        "status": EVIL,
        "power_w": 0,
        "balance_neur": 0,
        "refused": {EVIL: 3},
        "role": "vehicle",
        "kind": "hovercraft",
        "figures": {"skirt_m": 1.25},
        "model": EVIL,
        "consumption_wh_per_km": 160.0,
        "stored_wh": 1000,
        "capacity_wh": 2000,
        "drawn_wh": 0,
        "charge_loss_wh": 0,
        "driven_wh": 0,
        "paid_neur": 0,
        "speed_km_h": 0.0,
        "deadline_ms": 0,
        "next_stop": None,
        "destination": None,
        "charger": None,
        "avoids": ["charger-1"],
    }
    control = {"value": EVIL, "revision": 1}
    nowhere = {"title": EVIL, "south": 51, "north": 50, "west": 9, "east": 8, "rows": 1e9, "columns": 1}
    with MqttLoop(BrokerAddress.parse(fleet[0])) as loop:
        link = loop.open("evil", on_message=print)
        loop.wait_online(60)
        for text, body in (
            ("presence/germany/vehicle/evil", presence),
            ("state/vehicle/evil", state),
            ("control/algorithm/ann", control),
            ("control/chargers_out/ann", control),
            ("state/clock/clock", {"role": "clock", "tick": "NaN"}),
            ("facts/evil", nowhere),
            ("facts/clock", nowhere),
            ("tick/clock", {"tick": -1}),
        ):
            link.publish(f"gridfleet/germany/{text}", json.dumps(body).encode(), qos=1)
        assert loop.run_until(lambda: link.all_acknowledged, 60)
    page.do("fill", selector="#find", value="measured")
    page.wait("document.querySelectorAll('#found button').length === 1")
    page.do("fill", selector="#find", value="evil")
    page.wait("/onerror/.test(document.querySelector('#found').textContent)")
    page.do("click", selector="#found button")
    page.wait("!document.querySelector('#card').hidden")
    assert EVIL in page.text("#card-title")
    assert EVIL in page.text("#card-tags")
    assert "measured" in page.text("#card-tags")
    assert EVIL in page.text("#card-rows")
    page.wait("/ann requests: choice of chargers = <img/.test(document.querySelector('#log').textContent)")
    page.wait(
        "/ann requests: chargers out of service: <img/.test(document.querySelector('#log').textContent)"
    )
    page.do("fill", selector="#find", value="charger-1")
    page.do("click", selector="#found button")
    page.wait("/Avoided by1 device/.test(document.querySelector('#card-rows').textContent)")
    assert page.do("eval", code="document.querySelectorAll('img, #card script, #log script').length") == 0
    page.wait("/malformed/.test(document.querySelector('#traffic').textContent)")
    page.wait(LIVE)
    assert page.do("faults") == []


def test_storages_have_a_symbol_a_battery_and_lines_of_their_own(page: Browser) -> None:
    page.wait("document.querySelector('#count-storage')?.textContent === '2'")
    page.wait("!document.querySelector('#key-storage').hidden")
    page.wait("/by storages/.test(document.querySelector('#market-caption').textContent)")
    for line in ("storages sold", "storages bought", "in storages", "battery-1"):
        page.wait(f"[...document.querySelectorAll('.u-label')].some((each) => each.textContent === '{line}')")
    page.wait(f"({COLOURED % (CANVAS, *STORAGE_RGB)}) > 20")
    page.do("click", selector="#role-storage")
    page.wait(f"({COLOURED % (CANVAS, *STORAGE_RGB)}) === 0")
    page.do("click", selector="#role-storage")
    page.do("fill", selector="#find", value="battery-1")
    page.do("click", selector="#found button")
    page.wait("/^batterystorage/.test(document.querySelector('#card-tags').textContent)")
    page.wait("/Stored[\\d\u202f.]+ kWh \\(\\d+ %\\)/.test(document.querySelector('#card-rows').textContent)")
    assert "State of charge" in page.text("#card-caption")


def test_a_kind_that_nobody_knows_is_shown_by_its_role_with_its_figures(
    page: Browser, fleet: tuple[str, str]
) -> None:
    figures = (Figure("indoor_c", "°C", "Temperature of the room <b>"), Figure("cop"))
    birth = Presence(
        True, Role.CONSUMER, "cell-1-1", 51.0, 9.0, "Heat pump", kind="heat-pump", figures=figures
    )
    account = ConsumerState(
        tick=1,
        latitude=51.0,
        longitude=9.0,
        measured=False,
        status="heating",
        power_w=-3_200,
        balance_neur=0,
        refused={},
        kind="heat-pump",
        figures={"indoor_c": 20.25, "cop": 3.0, "pump_rpm": 1400.0},
        avoids=(),
        role="consumer",
        demand_wh=800,
        bought_wh=800,
        paid_neur=0,
    )
    with MqttLoop(BrokerAddress.parse(fleet[0])) as loop:
        link = loop.open("pump", on_message=print)
        loop.wait_online(60)
        for message, scope in ((birth, birth.scope), (account, account.scope)):
            link.publish(topic("germany", message, scope, "pump-1"), encode(message), qos=1)
        assert loop.run_until(lambda: link.all_acknowledged, 60)
    page.wait("/1 heat-pump/.test(document.querySelector('#count-consumer').textContent)")
    page.wait("/: .*1 heat-pump$/.test(document.querySelector('#role-consumer').title)")
    page.do("fill", selector="#find", value="heat-pump")
    page.wait("document.querySelectorAll('#found button').length === 1")
    assert page.text("#found button") == "pump-1: heat-pump, 3.2 kW, heating"
    page.do("click", selector="#found button")
    page.wait("/^heat-pumpconsumerheating/.test(document.querySelector('#card-tags').textContent)")
    rows = page.do(
        "eval",
        code="[...document.querySelectorAll('#card-rows div')].map((row) => [...row.children, row]"
        ".map((each) => each.title || each.textContent))",
    )
    assert rows[:3] == [
        ["indoor_c", "20.25 °C", "Temperature of the room <b>"],
        ["cop", "3", "cop3"],
        ["pump_rpm", "1\u202f400", "pump_rpm1\u202f400"],
    ]
    assert page.do("faults") == []


@pytest.mark.parametrize(("width", "scheme"), WIDTHS_AND_SCHEMES)
def test_axe_finds_nothing_serious(width: int, scheme: str, window: Browser, fleet: tuple[str, str]) -> None:
    window.do("open", url=fleet[1], width=width, height=844, scheme=scheme)
    window.wait(LIVE)
    window.wait("document.querySelectorAll('.uplot').length === 6")
    window.do("fill", selector="#find", value="charger-1")
    window.do("click", selector="#found button")
    window.wait("!document.querySelector('#card-service').hidden")
    assert window.do("eval", code="document.documentElement.scrollWidth <= innerWidth") is True
    found = window.do("axe")
    assert [each for each in found if each["impact"] in {"serious", "critical"}] == []


def test_the_keyboard_reaches_devices_and_controls(page: Browser) -> None:
    titles = set()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "ArrowDown"):
        page.do("press", selector=CANVAS, key=key)
        page.wait("!document.querySelector('#card').hidden")
        titles.add(page.text("#card-title"))
    assert len(titles) > 1
    assert page.text("#spoken") != ""
    page.do("press", selector=CANVAS, key="Escape")
    page.wait("document.querySelector('#card').hidden")
    reached = set()
    page.do("eval", code="document.body.focus()")
    for _ in range(80):
        page.do("press", selector="html", key="Tab")
        reached.add(page.do("eval", code="document.activeElement.id"))
    wanted = {"find", "pause", "step", "ticks", "mode", "seconds", "storm", "damage", "calm", "chargers-out"}
    wanted |= {
        "all-in-service",
        "outage-s",
        "outage",
        "scale-wind_scale",
        "algorithm",
        "clearing-rule",
        "log",
        "role-vehicle",
        "theme",
        "end",
        "devices-frame",
        "charts-hours",
    }
    assert wanted <= reached


# --- how fresh it is -------------------------------------------------------------------------------------


def test_retained_messages_of_a_stopped_fleet_are_never_live(
    browser: Browser, broker: EmbeddedBroker
) -> None:
    tick = Tick(7, Phase.TRADE, 6_300_000, 6_390_000, Mode.SCALED, 2.0, 5, paused=False, settings=Settings())
    clock = Presence(True, Role.CLOCK, "site", 51.0, 9.0)
    retained: list[tuple[str, Message]] = [
        ("", tick),
        ("site/clock", clock),
        ("", Facts("Lost", 50.0, 52.0, 8.0, 10.0, 1, 1, 900_000)),
    ]
    badge = "document.querySelector('#live').textContent"
    with MqttLoop(BrokerAddress.parse(broker.url)) as loop, console(broker.url) as server:
        link = loop.open("past", on_message=lambda *_: None)
        loop.wait_online(60)

        def publish(scope: str, message: Message) -> None:
            link.publish(topic("germany", message, scope, "clock"), encode(message), qos=1, retain=True)
            loop.run_until(lambda: False, 0.2)

        for scope, message in retained:
            publish(scope, message)
        browser.do("open", url=server.url)
        browser.wait(f"{badge} === 'Connected, waiting for the next phase'")
        assert browser.text("#now-tick") == "8 of 13"
        browser.wait(f"/^Outdated: no tick for/.test({badge})")
        assert browser.do("eval", code="document.body.classList.contains('stale')") is True
        publish("", replace(tick, phase=Phase.IMPORT, simulated_ms=6_600_000))
        browser.wait(LIVE)
        publish("site/clock", replace(clock, online=False))
        browser.wait(f"{badge} === 'Outdated: the clock is offline'")
        assert "The clock is offline" in browser.text("#log")


def test_a_fleet_process_publishes_for_its_own_devices_alone(
    browser: Browser, broker: EmbeddedBroker
) -> None:
    badge = "document.querySelector('#now-devices').textContent"
    tick = Tick(1, Phase.BID, 900_000, 990_000, Mode.SCALED, 9.0, 5, paused=False, settings=Settings())

    def supply(device: str, energy_wh: int) -> tuple[str, bytes]:
        return f"here/{device}", encode(Supply(1, energy_wh))

    with MqttLoop(BrokerAddress.parse(broker.url)) as loop, console(broker.url) as server:
        link = loop.open("hosts", on_message=lambda *_: None)
        loop.wait_online(60)

        def publish(scope: str, sender: str, message: Message) -> None:
            link.publish(topic("germany", message, scope, sender), encode(message), qos=1, retain=True)

        def publish_batch(fleet: str, *supplies: tuple[str, bytes]) -> None:
            link.publish(batch_topic("germany", "supply", "here", fleet), pack(supplies), qos=1)

        publish("", "clock", tick)
        for device, fleet in (("turbine-1", "fleet-1"), ("turbine-2", "fleet-1"), ("turbine-3", "fleet-2")):
            birth = Presence(True, Role.PRODUCER, "here", 51.0, 9.0, via=fleet)
            publish(birth.scope, device, birth)
        loop.run_until(lambda: False, 0.3)
        browser.do("open", url=server.url)
        browser.wait(f"{badge} === '3 of 3'")
        publish_batch("fleet-1", supply("turbine-1", 1_000), supply("turbine-2", 2_000))
        publish_batch("fleet-2", supply("turbine-1", 500_000), supply("turbine-3", 4_000))
        loop.run_until(lambda: False, 0.3)
        browser.wait("/7.0 kWh offered/.test(document.querySelector('#market-caption').textContent)")
        assert browser.do("eval", code="document.querySelector('#key-storage').hidden") is True
        browser.wait("/1 not for its sender to publish/.test(document.querySelector('#traffic').textContent)")
        publish("", "fleet-1", FleetPresence(online=False, devices=2, refused={}))
        loop.run_until(lambda: False, 0.3)
        browser.wait(f"{badge} === '1 of 3'")
        assert browser.do("faults") == []


def test_a_killed_broker_shows_a_banner_until_it_runs_again(browser: Browser) -> None:
    first = EmbeddedBroker()
    first.start()
    address = BrokerAddress.parse(first.url)
    with closing(first), Running(first.url) as running, console(first.url) as server:
        browser.do("open", url=server.url)
        browser.wait(LIVE)
        os.kill(first.pid, signal.SIGKILL)
        browser.wait("!document.querySelector('#banner').hidden")
        assert "Reconnecting" in browser.text("#banner")
        browser.wait("document.querySelector('#live').textContent.trim() === 'Not connected'")
        browser.wait("document.body.classList.contains('stale')")
        browser.wait("document.title === 'Not connected · germany – GridFleet'")
        browser.wait("document.querySelector('#run-controls').disabled")
        first.close()
        held = running.now.tick
        with EmbeddedBroker(address.port):
            wait_until(lambda: running.now.tick > held + 2)
            browser.wait(LIVE)
            browser.wait("document.querySelector('#banner').hidden")
            assert "Connected to the broker again" in browser.text("#log")
            running.stop()


# --- how smooth ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_thousand_devices_move(node_modules: Path, chromium_program: Path) -> None:
    """`python -m benchmarks console` measures frames per second; this test checks that the picture moves."""
    assert node_modules.is_dir()
    assert chromium_program.is_file()
    found = measure(1_000, 3.0)
    assert found.devices == "1\u202f000 of 1\u202f000"
    assert found.frames >= 10
    assert found.pictures >= 3
