"""The head of the live page: the energy balance in words, the flow bar, and that nothing of it is ever cut off."""

import pytest

from gridfleet.broker.protocol.messages import Phase
from tests.console.conftest import LIVE, Browser
from tests.console.made_site import MadeSite

pytestmark = [pytest.mark.chromium, pytest.mark.node]

CLIPPED = """
[...document.querySelectorAll('.top *, #now *')].filter((each) => {
  if (each.closest('.sr, svg, .flow-bar, [hidden]') || !each.checkVisibility()) return false;
  const hides = getComputedStyle(each).overflowX !== 'visible' && each.scrollWidth > each.clientWidth + 1;
  const box = each.getBoundingClientRect();
  return hides || box.right > innerWidth + 1 || box.left < -1;
}).map((each) => each.id || each.tagName)
"""
PARTS = "[...document.querySelectorAll('%s li:not([hidden])')].map((each) => each.textContent)"
SCREENS = [(320, 1), (390, 1), (768, 1), (1440, 1), (2560, 1), (320, 2), (390, 2), (1280, 2)]
"""Width of the window in pixels, and size of the text: 2 is 200 %."""


@pytest.fixture(scope="module")
def page(made: tuple[MadeSite, str], window: Browser) -> Browser:
    """The page at a tick with a shortfall: 40 kW of wind, 60 kW wanted, 16 kW from the reactor, 4 kW for nobody."""
    site, url = made
    site.tick(3)
    window.do("open", url=url)
    window.wait("document.querySelector('#now-devices').textContent === '7 of 7'")
    site.tick(3, Phase.TRADE)
    site.accounts(
        3,
        turbine_1={"generated_wh": 10_000, "sold_wh": 10_000, "power_w": 40_000},
        house_1={"demand_wh": 15_000, "bought_wh": 14_000},
        reactor_1={"generated_wh": 4_000, "sold_wh": 4_000},
    )
    site.tick(4)
    site.tick(4, Phase.IMPORT)
    window.wait(LIVE)
    return window


def test_the_energy_balance_is_said_in_words(page: Browser) -> None:
    page.wait("document.querySelector('#now-balance').textContent === 'Shortfall of 20\u00a0kW'")
    assert page.text("#now-balance-why") == "The reactor covers 16 kW, 4.0 kW are not served."
    assert page.do("eval", code=PARTS % "#flow-from") == ["turbine 40 kW", "battery 0 kW", "reactor 16 kW"]
    assert page.do("eval", code=PARTS % "#flow-to") == [
        "household 56 kW", "chargers 0 kW", "battery 0 kW", "curtailed 0 kW", "not served 4.0 kW",
    ]  # fmt: skip
    widths = page.do(
        "eval",
        code="['producer', 'grid-supply', 'consumer', 'unserved']"
        ".map((name) => Math.round(100 * parseFloat(document.querySelector(`.flow-bar .flow-${name}`).style.width)))",
    )
    assert widths == [6667, 2667, 9333, 667]  # one scale for both sides: 60 kW are wanted


def test_the_step_of_the_tick_is_marked_by_number_and_name(page: Browser) -> None:
    page.wait("document.querySelector('#steps [aria-current]')?.textContent === '3 Import'")
    names = page.do(
        "eval", code="[...document.querySelectorAll('#steps li')].map((each) => each.textContent)"
    )
    assert names == ["1 Bid", "2 Trade", "3 Import", "4 Settle"]
    assert page.text("#now-price") == "–"  # nothing was sold: no price, and not 0


@pytest.mark.parametrize(("width", "text"), SCREENS)
def test_nothing_is_cut_off(page: Browser, width: int, text: int) -> None:
    page.do("size", width=width, height=900, text=text)
    assert page.do("eval", code=CLIPPED) == []
    assert page.do("eval", code="document.documentElement.scrollWidth <= innerWidth") is True
