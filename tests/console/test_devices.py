"""Finding devices: the table beside the map, the search, and the page of a device."""

import pytest

from gridfleet.broker.protocol.messages import Award, Bid, Package, Phase, Receipt, Role
from tests.console.conftest import LIVE, Browser
from tests.console.made_site import DEVICES, MadeSite

pytestmark = [pytest.mark.chromium, pytest.mark.node]

ROWS = """[...document.querySelectorAll('#devices-rows tr:not(.space)')]
  .map((row) => [...row.children].map((cell) => cell.textContent).join(' | '))"""
IDS = (
    "[...document.querySelectorAll('#devices-rows tr:not(.space) th')].map((each) => each.textContent).join()"
)
CLUSTER = """
(() => {
  const canvas = document.querySelector('#map canvas.devices');
  const { left, top, width, height } = canvas.getBoundingClientRect();
  let [most, at] = [0, null];
  for (let y = 4; y < height; y += 8) {
    for (let x = 4; x < width; x += 8) {
      const where = { clientX: left + x, clientY: top + y, pointerType: 'mouse', bubbles: true };
      canvas.dispatchEvent(new PointerEvent('pointermove', where));
      const tip = document.querySelector('#tip');
      const count = tip.hidden ? 0 : Number(/^(\\d+) devices/.exec(tip.textContent)?.[1] ?? 0);
      if (count > most) [most, at] = [count, where];
    }
  }
  if (%s && at) canvas.dispatchEvent(new PointerEvent('click', at));
  return new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(most))));
})()
"""
TIPS = """
(() => {
  const canvas = document.querySelector('#map canvas.devices');
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const found = new Set();
  for (let y = 4; y < height; y += 10) {
    for (let x = 4; x < width; x += 10) {
      const where = { clientX: left + x, clientY: top + y, pointerType: 'mouse', bubbles: true };
      canvas.dispatchEvent(new PointerEvent('pointermove', where));
      const tip = document.querySelector('#tip');
      if (!tip.hidden) found.add(tip.textContent);
    }
  }
  return [...found];
})()"""
RESTORE = """
(() => {
  const births = [...gridfleetSite.devices.all.values()].map(({ id, role, kind, cell, latitude, longitude }) => [
    0, `gridfleet/town/presence/${cell}/${role}/${id}`,
    { online: true, role, kind: kind === 'turbine' ? 'solar' : kind, cell, latitude, longitude }, 1,
  ]);
  gridfleetSite.restore({
    kind: 'history', now: 0, first: 0, at: 0, live: true, whole: [], partners: {}, figures: {}, base: births,
    frames: [], states: [], calls: [], recent: [],
  }, 0);
  return null;
})()"""
LIST = "[...document.querySelectorAll('#device-page-%s li')].map((each) => each.textContent)"


@pytest.fixture
def page(made: tuple[MadeSite, str], window: Browser) -> Browser:
    """The page with the accounts of all devices; vehicle-1 is stranded with an empty battery."""
    site, url = made
    for device in DEVICES:
        site.known(device)
    window.do("open", url=url)
    window.wait("document.querySelector('#now-devices').textContent === '7 of 7'")
    site.accounts(
        site.now, vehicle_1={"status": "stranded", "stored_wh": 1_000}, charger_1={"avoids": ["vehicle-1"]}
    )
    site.tick(site.now)
    window.wait(LIVE)
    window.wait("/stranded/.test(document.querySelector('#devices-rows').textContent)")
    return window


def test_the_table_sorts_by_every_column(page: Browser, made: tuple[MadeSite, str]) -> None:
    now = made[0].now + 1
    assert page.do("eval", code=ROWS)[0] == f"battery-1 | battery | running | 50 % | {now}"
    for column, first, last in (
        ("charge", "battery-1", "turbine-1"),  # the fullest first, those without a battery last
        ("state", "battery-1", "vehicle-1"),
        ("kind", "battery-1", "vehicle-1"),
        ("id", "battery-1", "vehicle-1"),
    ):
        page.do("click", selector=f"#devices [data-column={column}]")
        page.wait(f"{IDS}.startsWith('{first}') && {IDS}.endsWith('{last}')")
    page.do("click", selector="#devices [data-column=id]")
    page.wait(f"{IDS}.startsWith('vehicle-1')")
    sorted_by = "document.querySelector('#devices [aria-sort]').ariaSort"
    assert page.do("eval", code=sorted_by) == "descending"


def test_search_filters_the_table_and_enter_selects(page: Browser) -> None:
    page.do("type", selector="#find", value="charger")
    page.wait(f"{IDS} === 'charger-1,charger-2'")
    assert page.text("#devices-count") == "2 of 7 devices"
    page.do("press", selector="#find", key="Enter")
    page.wait("document.querySelector('#card-title').textContent === 'charger-1'")
    assert (
        page.do("eval", code="document.querySelector('#devices-rows [aria-selected]').dataset.id")
        == "charger-1"
    )
    page.do("type", selector="#find", value="house")
    page.do("press", selector="#find", key="Enter")
    page.wait("document.querySelector('#card-title').textContent === 'house-1'")
    page.do("press", selector="#find", key="Escape")
    page.wait("document.querySelector('#devices-count').textContent === '7 devices'")
    page.do("press", selector="#devices-frame", key="ArrowDown")
    page.wait("document.querySelector('#card-title').textContent === 'reactor-1'")


def test_a_device_has_a_page_of_its_own(page: Browser, made: tuple[MadeSite, str]) -> None:
    site, _ = made
    lots = (Package(0, 12_000, 300_000),)
    site.publish("house-1", Bid(site.now, lots), "cell-1-1")
    site.tick(site.now, Phase.TRADE)
    site.publish("turbine-1", Award(site.now, 1, lots), "house-1")
    site.publish("house-1", Receipt(site.now, 1, lots), "turbine-1")
    page.do("type", selector="#find", value="house-1")
    page.do("press", selector="#find", key="Enter")
    page.do("click", selector="#card-open")
    page.wait("document.querySelector('#device-page').open")
    page.wait(f"{LIST % 'messages'}.length === 3")
    assert [text.split(f"tick {site.now + 1}")[1] for text in page.do("eval", code=LIST % "messages")] == [
        "house-1 accepts from turbine-1 12 kWh at 0.300 €/kWh",
        "turbine-1 awards house-1 12 kWh at 0.300 €/kWh",
        "house-1 bids in cell-1-1: 12 kWh at 0.300 €/kWh",
    ]
    assert page.text("#device-page-partner-rows") == f"turbine-1sells12 kWh100 %3.60 €tick {site.now + 1}"
    assert page.do("eval", code="document.querySelectorAll('#device-page-history .uplot').length") == 1
    found = page.do("axe")
    assert [each for each in found if each["impact"] in {"serious", "critical"}] == []
    page.do("click", selector="#device-page-partner-rows button")  # a partner leads to its own page
    page.wait("document.querySelector('#device-page-title').textContent === 'turbine-1'")
    page.do("press", selector="#device-page", key="Escape")
    page.wait("!document.querySelector('#device-page').open")
    page.do("type", selector="#find", value="vehicle-1")
    page.do("press", selector="#find", key="Enter")
    page.do("click", selector="#card-open")
    page.wait(f"{LIST % 'reputation'}.includes('Avoided by charger-1.')")
    assert page.do("faults") == []


def test_the_map_shows_the_devices_of_another_history(page: Browser) -> None:
    """A look back replaces all devices by as many others: none of the former may stay on the map."""
    page.wait(f"{TIPS}.some((tip) => /^turbine-1turbine,/.test(tip))")
    page.do("eval", code=RESTORE)
    page.wait(f"{TIPS}.some((tip) => /^turbine-1solar,/.test(tip))")
    assert page.do("eval", code=f"{TIPS}.filter((tip) => /turbine,/.test(tip))") == []


def test_many_devices_are_gathered_until_one_zooms_in(page: Browser, made: tuple[MadeSite, str]) -> None:
    site, _ = made
    for number in range(420):
        place = (51.0 + number % 20 / 100, 9.0 + number // 20 / 100)
        site.birth(f"consumer-{number}", Role.CONSUMER, "cell-1-1", "heat-pump", place=place)
    page.wait("document.querySelector('#now-devices').textContent === '427 of 427'")
    page.wait("document.querySelectorAll('#devices-rows tr').length < 60")  # only the rows in view are drawn
    counts = [most_gathered(page, click=True)]
    assert counts[0] > 100
    while counts[-1] and len(counts) < 8:
        counts.append(most_gathered(page, click=True))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 0  # zoomed in far enough, each has a symbol of its own
    assert page.do("faults") == []


def most_gathered(page: Browser, *, click: bool) -> int:
    """How many devices the largest cluster on the map has, by what its tip says; click on it."""
    return int(page.do("eval", code=CLUSTER % str(click).lower()))
