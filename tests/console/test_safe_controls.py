"""Controls that are hard to misuse: ending is asked, impossible values are refused while typing."""

import pytest

from tests.console.conftest import LIVE, Browser
from tests.console.made_site import MadeSite

pytestmark = [pytest.mark.chromium, pytest.mark.node]

REQUESTS = """[...document.querySelectorAll('#log li.setting span')].map((each) => each.textContent)
  .filter((text) => /requests/.test(text)).length"""
HINT = "document.querySelector('#%s-hint').textContent"


@pytest.fixture(scope="module")
def page(made: tuple[MadeSite, str], window: Browser) -> Browser:
    """The page of a run that is in its fifth tick of 20."""
    site, url = made
    window.do("open", url=url)
    window.wait("document.querySelector('#now-devices').textContent === '7 of 7'")
    site.advance()
    site.account("clock", site.now)
    window.wait(LIVE)
    window.wait("!document.querySelector('#run-controls').disabled")
    return window


def test_chargers_that_match_nobody_are_refused_while_typing(page: Browser) -> None:
    page.wait(f"{HINT % 'chargers-out'} === 'All 2 chargers are in service.'")
    page.do("type", selector="#chargers-out", value="charger-7")
    page.wait(f"/^charger-7 matches no charger/.test({HINT % 'chargers-out'})")
    assert (
        page.do("eval", code="document.querySelector('#chargers-out').getAttribute('aria-invalid')") == "true"
    )
    page.do("press", selector="#chargers-out", key="Enter")
    page.wait("/nothing was changed/.test(document.querySelector('#answer').textContent)")
    assert page.do("eval", code=REQUESTS) == 0
    page.do("type", selector="#chargers-out", value="cell-1-1")
    page.wait(f"{HINT % 'chargers-out'} === 'Matches 2 of 2 chargers: charger-1, charger-2.'")
    page.do("fill", selector="#chargers-out", value="charger-2")
    page.wait(f"{REQUESTS} === 1")
    assert "chargers out of service: charger-2" in page.text("#log")


def test_an_end_in_the_past_is_refused_while_typing(page: Browser) -> None:
    page.do("type", selector="#ticks", value="2")
    page.wait(f"{HINT % 'ticks'} === 'Tick 2 is past: the run is in tick 5. Enter 5 or more.'")
    before = page.do("eval", code=REQUESTS)
    page.do("press", selector="#ticks", key="Tab")
    page.wait("/nothing was changed/.test(document.querySelector('#answer').textContent)")
    assert page.do("eval", code=REQUESTS) == before
    assert page.do("eval", code="document.querySelector('#confirm').open") is False


def test_ending_a_run_is_asked(page: Browser) -> None:
    before = page.do("eval", code=REQUESTS)
    page.do("click", selector="#end")
    page.wait("document.querySelector('#confirm').open")
    assert page.text("#confirm-title") == "End the run after tick 5?"
    assert "15 planned ticks will not run" in page.text("#confirm-text")
    assert page.do("eval", code="document.activeElement.id") == "confirm-no"
    page.do("press", selector="#confirm", key="Escape")
    page.wait("/goes on as planned/.test(document.querySelector('#answer').textContent)")
    assert page.do("eval", code=REQUESTS) == before
    page.do("fill", selector="#ticks", value="8")
    page.wait("document.querySelector('#confirm').open")
    page.do("click", selector="#confirm-yes")
    page.wait(f"{REQUESTS} === {before} + 1")
    assert "last tick = 8" in page.text("#log")
    page.do("fill", selector="#ticks", value="30")  # a later end takes nothing away
    page.wait(f"{REQUESTS} === {before} + 2")
    assert page.do("eval", code="document.querySelector('#confirm').open") is False


def test_each_control_has_a_visible_line_that_says_what_it_does(page: Browser) -> None:
    lines = page.do(
        "eval",
        code="[...document.querySelectorAll('#run-controls .control')].map((each) => {"
        "const line = each.querySelector('.effect'); return line.checkVisibility() ? line.textContent : ''; })",
    )
    assert len(lines) == 13
    assert all(len(line) > 8 for line in lines)
    loose = page.do(
        "eval",
        code="[...document.querySelectorAll('#run-controls :is(button, input, select)')]"
        ".filter((each) => !each.closest('.control')).map((each) => each.id)",
    )
    assert loose == []
    found = page.do("axe")
    assert [each for each in found if each["impact"] in {"serious", "critical"}] == []
    assert page.do("faults") == []
