"""What the live page teaches: the key of the map, a tick explained by its messages, presenter and kiosk."""

import pytest

from gridfleet.broker.protocol.messages import Award, Bid, Package, Phase, Receipt
from tests.console.conftest import LIVE, Browser
from tests.console.made_site import MadeSite

pytestmark = [pytest.mark.chromium, pytest.mark.node]

LINES = "[...document.querySelectorAll('#explain-steps ul li')].map((each) => each.textContent)"
SEEN = """['#now', '#map', '.market', '.charts', '#controls', '#devices-panel']
  .filter((each) => document.querySelector(each).checkVisibility()).join(' ')"""
VIEW = "document.documentElement.dataset.kiosk"


@pytest.fixture
def page(made: tuple[MadeSite, str], window: Browser) -> Browser:
    """The page in a tick in which the turbine has sold to the house."""
    site, url = made
    window.do("open", url=url)
    window.wait("document.querySelector('#now-devices').textContent === '7 of 7'")
    site.advance()
    deal(site, "turbine-1", 10_000)
    window.wait(LIVE)
    return window


def deal(site: MadeSite, seller: str, energy_wh: int) -> None:
    """Publish a bid of the house, an award to it and its receipt."""
    lots = (Package(0, energy_wh, 900_000),)
    site.publish("house-1", Bid(site.now, lots), "cell-1-1")
    site.tick(site.now, Phase.TRADE)
    site.publish(seller, Award(site.now, 1, lots), "house-1")
    site.publish("house-1", Receipt(site.now, 1, lots), seller)


def test_the_key_is_dismissed_for_good_and_comes_back(page: Browser) -> None:
    page.wait("/A power grid of 7 devices/.test(document.querySelector('#key').textContent)")
    names = page.do(
        "eval", code="[...document.querySelectorAll('#key-symbols b')].map((each) => each.textContent)"
    )
    assert names == ["turbine", "household", "battery", "chargers", "vehicle", "reactor"]
    page.do("click", selector="#key-dismiss")
    page.do("reload")
    page.wait("document.querySelector('#now-devices').textContent === '7 of 7'")
    assert page.do("eval", code="document.querySelector('#key').hidden") is True
    page.do("click", selector="#view-menu summary")
    page.do("click", selector="#key-show")
    page.wait("!document.querySelector('#key').hidden")


def test_a_tick_is_explained_by_its_messages(page: Browser, made: tuple[MadeSite, str]) -> None:
    site, _ = made
    page.do("click", selector="#explain-open")
    page.wait(f"{LINES}.includes('house-1 accepts from turbine-1 10 kWh at 0.900 €/kWh')")
    assert page.do("eval", code=LINES) == [
        "house-1 bids in cell-1-1: 10 kWh at 0.900 €/kWh",
        "turbine-1 awards house-1 10 kWh at 0.900 €/kWh",
        "house-1 accepts from turbine-1 10 kWh at 0.900 €/kWh",
        "Nothing had to come from elsewhere.",
        "The accounts come at the end of the tick.",
    ]
    assert page.text("#explain-tick") == f"Real messages of tick {site.now + 1}"
    found = page.do("axe")
    assert [each for each in found if each["impact"] in {"serious", "critical"}] == []
    page.do("click", selector="#explain-hold")
    site.advance()
    deal(site, "reactor-1", 5_000)
    page.do("click", selector="#explain-hold")
    page.wait(f"{LINES}.includes('reactor-1 awards house-1 5.0 kWh at 0.900 €/kWh')")
    assert (
        page.do("eval", code="document.querySelector('#explain-2').textContent")
        == "Nothing was sold within a cell."
    )


def test_presenter_shows_map_and_market_in_large_text(page: Browser) -> None:
    before = page.do("eval", code="parseFloat(getComputedStyle(document.body).fontSize)")
    page.do("click", selector="#view-menu summary")
    page.do("click", selector="#mode-presenter")
    page.wait(f"{SEEN} === '#now #map .market'")
    assert page.do("eval", code="parseFloat(getComputedStyle(document.body).fontSize)") == 1.5 * before
    assert page.do("eval", code="document.documentElement.scrollWidth <= innerWidth") is True
    sides = page.do("eval", code="['.map', '.market'].map((each) => document.querySelector(each).offsetTop)")
    assert sides[0] == sides[1]  # side by side
    page.do("click", selector="#mode-leave")
    page.wait(f"{SEEN} === '#now #map .market .charts #controls #devices-panel'")
    assert page.do("faults") == []


def test_kiosk_walks_through_the_views(page: Browser, made: tuple[MadeSite, str]) -> None:
    page.do("open", url=f"{made[1]}?view=kiosk&seconds=1")
    for view, seen in (
        ("map", "#now #map"),
        ("market", "#now .market"),
        ("charts", "#now .charts"),
        ("map", "#now #map"),
    ):
        page.wait(f"{VIEW} === '{view}' && {SEEN} === '{seen}'")
    page.do("press", selector="html", key="Escape")
    page.wait(f"{VIEW} === undefined && !document.documentElement.dataset.view")
    assert page.do("faults") == []
