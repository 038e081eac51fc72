"""Charts that one can read off: who is behind a bar of the market, marks of events, zoom by dragging."""

import json

import pytest

from gridfleet.broker.protocol.messages import Bid, Package, Phase, Receipt, Settings
from tests.console.conftest import LIVE, Browser
from tests.console.made_site import MadeSite

pytestmark = [pytest.mark.chromium, pytest.mark.node]

TEXT = "document.querySelector(%s)?.textContent"


@pytest.fixture(scope="module")
def page(made: tuple[MadeSite, str], window: Browser) -> Browser:
    """The page after some ticks: a house bids for two packages, and the turbine sells it the first."""
    site, url = made
    window.do("open", url=url)
    window.wait("document.querySelector('#now-devices').textContent === '7 of 7'")
    for number in range(6):
        site.advance(settings=Settings(note="Gale" if number > 2 else ""))
    site.publish(
        "house-1", Bid(site.now, (Package(0, 10_000, 1_000_000), Package(1, 10_000, 300_000))), "cell-1-1"
    )
    site.tick(site.now, Phase.TRADE, settings=Settings(note="Gale"))
    site.publish("house-1", Receipt(site.now, 1, (Package(0, 10_000, 950_000),)), "turbine-1")
    window.wait(LIVE)
    window.wait("/20 kWh requested/.test(document.querySelector('#market-caption').textContent)")
    return window


def tip(page: Browser, share: float) -> str:
    """What the market says under the pointer, at a share of its width."""
    page.do("point", selector="#merit", x=share, y=0.6)
    return str(
        page.do("eval", code="document.querySelector('#merit-tip').hidden ? '' : " + TEXT % "'#merit-tip'")
    )


def test_a_bar_of_the_market_says_who_how_much_and_from_whom(page: Browser) -> None:
    assert tip(page, 0.3) == "house-1: 10 kWhbids 1.000 €/kWh, buys from turbine-1 for 0.950 €/kWh"
    assert tip(page, 0.75) == "house-1: 10 kWhbids 0.300 €/kWh; no seller at this price"
    assert tip(page, 0.02) == ""


def test_swatches_are_drawn_as_the_lines_are(page: Browser) -> None:
    page.wait("document.querySelectorAll('.uplot').length === 6")
    patterns = page.do(
        "eval",
        code="Object.fromEntries([...document.querySelectorAll('.u-series')].map((row) => ["
        "row.querySelector('.u-label').textContent,"
        "row.querySelector('.u-marker svg > *')?.getAttribute('stroke-dasharray') ?? 'dot']))",
    )
    assert (patterns["producers"], patterns["storages bought"], patterns["curtailed"]) == ("", "7 4", "3 3")
    assert patterns["cost"] == "dot"  # most ticks have none: no line spans them


def test_events_are_marked_and_named(page: Browser) -> None:
    page.wait(f"/◆ \\d\\d:\\d\\d Gale/.test({TEXT % json.dumps('#charts-marks')})")


def test_dragging_zooms_all_charts_and_back(page: Browser) -> None:
    page.wait("document.querySelector('#charts-all').hidden")
    page.do("drag", selector="#charts .uplot .u-over", begin=0.2, end=0.6)
    page.wait("!document.querySelector('#charts-all').hidden")
    page.do("click", selector="#charts-all")
    page.wait("document.querySelector('#charts-all').hidden")
    page.do("select", selector="#charts-hours", value="2")
    page.wait("!document.querySelector('#charts-all').hidden")
    page.do("click", selector="#charts-all")
    assert page.do("eval", code="document.querySelector('#charts-hours').value") == ""
    assert page.do("faults") == []
