"""Status and alarms of the live page: what an operator is told, and how."""

import pytest

from gridfleet.broker.protocol.messages import Phase, Role, Settings, Suspension
from tests.console.conftest import LIVE, Browser
from tests.console.made_site import MadeSite

pytestmark = [pytest.mark.chromium, pytest.mark.node]

ALARMS = "[...document.querySelectorAll('#alarms li span')].map((each) => each.textContent).join('; ')"
BADGE = "document.querySelector('#live').textContent"
STAND_INS = """
globalThis.heard = [];
globalThis.AudioContext = class {
  resume() {}
  createGain() { return { gain: {}, connect: (to) => to }; }
  createOscillator() { return { frequency: {}, connect: (to) => to, start: () => heard.push('tone'), stop() {} }; }
};
globalThis.Notification = class {
  static permission = 'default';
  static requestPermission() { this.permission = globalThis.answer; return Promise.resolve(this.permission); }
  constructor(title, { body }) { heard.push(`${title}: ${body}`); }
};
null
"""


@pytest.fixture
def page(made: tuple[MadeSite, str], window: Browser) -> Browser:
    """The page with all devices online and well."""
    site, url = made
    window.do("open", url=url)
    window.wait("document.querySelector('#now-devices').textContent === '7 of 7'")
    site.advance()
    window.wait(LIVE)
    return window


def test_alarms_name_the_devices_and_end_by_themselves(page: Browser, made: tuple[MadeSite, str]) -> None:
    site, _ = made
    assert page.do("eval", code="document.querySelector('#alarms').hidden") is True
    site.known("charger-1", online=False)
    page.wait(f"{ALARMS} === '1 device offline: charger-1'")
    site.account("house-1", site.now, demand_wh=2_000, bought_wh=1_000)
    site.account("vehicle-1", site.now, status="stranded")
    site.publish("recorder", Suspension("overbill", "evidence", site.now, site.now + 96), "reactor-1")
    page.wait(
        f"{ALARMS} === '1 device offline: charger-1; 1 consumer without all the energy wanted: house-1; "
        "1 vehicle stranded: vehicle-1; 1 device suspended: reactor-1'"
    )
    page.do("click", selector="#alarms li.stranded button")
    page.wait("/vehicle-1/.test(document.querySelector('#found').textContent)")
    page.do("click", selector="#alarms-dismiss")
    assert page.do("eval", code="document.querySelector('#alarms').hidden") is True
    site.known("charger-2", online=False)
    page.wait(f"/2 devices offline/.test({ALARMS})")
    found = page.do("axe")
    assert [each for each in found if each["impact"] in {"serious", "critical"}] == []
    site.publish("recorder", Suspension("overbill", "lifted", site.now, site.now), "reactor-1")
    for charger in ("charger-1", "charger-2"):
        site.known(charger)
    site.advance()
    site.advance()
    page.wait("document.querySelector('#alarms').hidden")
    assert page.do("faults") == []


def test_sound_and_notification_are_chosen_and_may_be_refused(
    page: Browser, made: tuple[MadeSite, str]
) -> None:
    site, _ = made
    page.do("eval", code=f"globalThis.answer = 'denied'; {STAND_INS}")
    page.do("click", selector="#alarm-menu summary")
    page.do("click", selector="#alarm-notify")
    page.wait("!document.querySelector('#alarm-refused').hidden")
    assert page.do("eval", code="document.querySelector('#alarm-notify').checked") is False
    page.do("eval", code="globalThis.answer = 'granted'; null")
    page.do("click", selector="#alarm-notify")
    page.wait("document.querySelector('#alarm-refused').hidden")
    page.do("click", selector="#alarm-sound")
    assert page.do("eval", code="heard.splice(0)") == ["tone", "tone"]  # what an alarm will sound like
    site.known("charger-1", online=False)
    page.wait("heard.length === 3")
    assert page.do("eval", code="heard.splice(0)") == [
        "tone", "tone", "GridFleet town: 1 device offline: charger-1",
    ]  # fmt: skip
    site.known("charger-1")
    page.wait("document.querySelector('#alarms').hidden")
    assert page.do("eval", code="heard") == []


def test_a_drill_is_counted_down_and_raises_no_alarm(page: Browser, made: tuple[MadeSite, str]) -> None:
    site, _ = made
    site.advance(settings=Settings(outage_s=60.0))
    page.wait(f"/^Drill, (60|5\\d) s left$/.test({BADGE})")
    site.known("charger-1", online=False)
    page.wait("document.querySelector('#now-devices').textContent === '6 of 7'")
    page.wait(f"/^Drill, 5[0-7] s left$/.test({BADGE})")  # longer than it takes for an alarm
    assert page.do("eval", code="document.querySelector('#alarms').hidden") is True
    assert page.do("eval", code="document.body.classList.contains('stale')") is False
    site.known("charger-1")
    site.advance()


def test_a_long_tick_says_when_the_next_comes(page: Browser, made: tuple[MadeSite, str]) -> None:
    site, _ = made
    site.seconds_per_tick = 900.0
    site.tick(site.now, Phase.SETTLE)
    page.wait(f"{BADGE} === 'Live – next tick in 15 min'")
    site.seconds_per_tick = 30.0


def test_a_site_without_devices_says_so(page: Browser, made: tuple[MadeSite, str]) -> None:
    site, _ = made
    for device in ("turbine-1", "house-1", "battery-1", "charger-1", "charger-2", "vehicle-1", "reactor-1"):
        site.known(device, online=False)
    site.tick(site.now + 1)
    page.wait(f"{BADGE} === 'Live – no devices'")
    site.birth("clock", Role.CLOCK, "site", "clock", online=False)
    page.wait(f"{BADGE} === 'Outdated: the clock is offline'")
    page.wait("document.querySelector('#alarms').hidden")
    site.birth("clock", Role.CLOCK, "site", "clock")
