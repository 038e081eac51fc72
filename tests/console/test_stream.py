"""The live page of a run in Chromium: reload and second desk, the calm end, looking back, and another run."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from gridfleet.broker.address import PAGE_PORT, BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.dashboards.console.history.page_history import PageHistory
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.console.show import RunStatus, Show
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.runs.live.live_page import PORTS
from tests.console.conftest import LIVE, SMALL, Browser, Running
from tests.provisioning.shell import end, start
from tests.waiting import wait_until

pytestmark = [pytest.mark.chromium, pytest.mark.node]

OWN: Final = (
    "tickAt", "bidAt", "paceAt", "measuredTickMs", "movedAt", "resets", "rejected", "receipts", "runState", "viewing",
    "at", "trace", "counts",
)  # fmt: skip
"""Real times at which a page received something, what is a page's own, and what it counts when it draws."""
KNOWN: Final = """
(() => { const own = new Set(OWN); const found = {};
  const walk = (path, value) => {
    if (typeof value === 'function') return;
    if (value instanceof Map || value instanceof Set) {
      found[path] = `${value.size}`;
      for (const [key, each] of value.entries()) walk(`${path}[${key}]`, each);
    } else if (value !== null && typeof value === 'object') {
      for (const [name, each] of Object.entries(value)) if (!own.has(name)) walk(`${path}.${name}`, each);
    } else found[path] = typeof value === 'number' ? value.toPrecision(12) : String(value);
  };
  gridfleetSite.log.flush(Infinity);
  walk('site', gridfleetSite);
  return found; })()
""".replace("OWN", json.dumps(OWN))
BANNER: Final = "document.querySelector('#banner').hidden"
STATE: Final = "globalThis.gridfleetSite?.runState?.state"

PLAYING = ("play", "step", "speed")
"""The controls of the time slider for what has been."""


def known(browser: Browser) -> dict[str, str]:
    """Everything that the page knows of the site, field by field."""
    found: dict[str, str] = browser.do("eval", code=KNOWN)
    return found


def difference(one: dict[str, str], other: dict[str, str]) -> list[str]:
    names = sorted({*one, *other})
    return [
        f"{name}: {one.get(name)} {other.get(name)}" for name in names if one.get(name) != other.get(name)
    ]


def test_after_a_reload_and_on_a_second_desk_the_page_knows_all_that_it_knew(
    broker: EmbeddedBroker, browser: Browser
) -> None:
    with PageHistory("germany") as history:
        show = Show(history, RunStatus("running", title="A run"))
        config = ConsoleConfig(BrokerAddress.parse(broker.url), "germany")
        with (
            ConsoleServer(config, show=show) as server,
            Running(broker.url, seconds_per_tick=0.3, receivers=(history.receive,)) as running,
        ):
            browser.do("open", url=server.url)
            browser.wait(LIVE)
            wait_until(lambda: running.now.tick >= 8)
            assert main(["set", "wind_scale=1.5", "--broker", broker.url]) == 0
            wait_until(lambda: running.now.settings.wind_scale == 1.5)
            assert main(["set", "paused=true", "--broker", broker.url]) == 0
            browser.wait("globalThis.gridfleetSite?.tick.paused")
            before = known(browser)
            browser.do("open", url=server.url, keep=True)  # a second desk
            browser.wait("globalThis.gridfleetSite?.tick?.paused")
            assert len(before) > 500
            assert difference(before, known(browser)) == []
            assert "changed: wind speed" in browser.text("#log").lower()
            shown = [f"document.querySelector('#timeline-{part}').checkVisibility()" for part in PLAYING]
            browser.wait(f"![{', '.join(shown)}].some((each) => each)")
            browser.do(
                "click", selector="#timeline-back"
            )  # what goes on by itself can only be looked back at
            browser.wait("!globalThis.gridfleetSite?.viewing.live")
            browser.wait(f"[{', '.join(shown)}].every((each) => each)")
            assert browser.do("faults") == []


class Shown:
    """`gridfleet run` with a page, as a process."""

    def __init__(self, folder: Path, *options: str) -> None:
        words = ("run", "normal", "--console", "--port", "0", "--set", *SMALL, *options)
        self.process = start(*words, cwd=folder)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found is not None
        self.url = found[0]

    def stop(self) -> Any:  # noqa: ANN401 - how it ended
        self.process.send_signal(signal.SIGINT)
        return end(self.process)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=60)


@pytest.fixture
def options() -> tuple[str, ...]:
    """More options of the run that is shown."""
    return ()


@pytest.fixture
def shown(tmp_path: Path, options: tuple[str, ...]) -> Iterator[Shown]:
    run = Shown(tmp_path, "--ticks", "12", "--seconds-per-tick", "0.2", "--stay", "600", *options)
    yield run
    run.kill()


def test_the_end_is_calm_and_the_same_after_a_reload(shown: Shown, browser: Browser) -> None:
    browser.do("open", url=shown.url)
    browser.wait(f"{STATE} === 'finished' && gridfleetSite.runState.report", seconds=120)
    for reload in (False, True):
        if reload:
            browser.do("open", url=shown.url)
            browser.wait(f"{STATE} === 'finished'")
        browser.wait("!document.querySelector('#run-end').hidden")
        said = browser.text("#run-end")
        assert re.search(r"Run finished – \d+\.\d % from the reactor, all checks hold", said)
        assert browser.do("eval", code=BANNER)
        assert "reconnecting" not in browser.text("#live").lower()
        devices = "[...gridfleetSite.devices.all.values()]"
        assert browser.do("eval", code=f"{devices}.filter((each) => !each.online).length") == 0
        assert (
            browser.do("eval", code=f"{devices}.filter((each) => gridfleetSite.isOutdated(each)).length") == 0
        )
        assert browser.do("eval", code="gridfleetSite.history.finished().length") == 12
    links = browser.do("eval", code="[...document.querySelectorAll('#run-end a')].map((each) => each.href)")
    assert f"{shown.url}files/report.html" in links
    for link in links:
        status = browser.do("eval", code=f"fetch('{link}').then((answer) => answer.status)")
        assert status == 200, link
    done = shown.stop()
    assert done.code == 0, done.err
    browser.wait("document.querySelector('#run-end').textContent.includes('has ended')")
    assert browser.do("eval", code=BANNER)
    assert browser.do("faults") == []


def test_look_back_play_and_come_back(shown: Shown, browser: Browser) -> None:
    browser.do("open", url=shown.url)
    browser.wait(f"{STATE} === 'finished'", seconds=120)
    end_of_run = known(browser)
    browser.do("open", url=f"{shown.url}#t=5&device=charger-3")
    browser.wait("globalThis.gridfleetSite?.viewing.tick === 4 && !gridfleetSite.viewing.live")
    assert browser.do("eval", code="gridfleetSite.tick.tick") == 4
    assert browser.do("eval", code="gridfleetSite.history.finished().length") == 5
    assert "charger-3" in browser.text("#card-title")
    browser.do("click", selector="#timeline-step")
    browser.wait("globalThis.gridfleetSite?.viewing.tick === 5")
    assert browser.do("eval", code="location.hash") == "#t=6&device=charger-3"
    browser.do("select", selector="#timeline-speed", value="8")
    browser.do("click", selector="#timeline-play")
    browser.wait("globalThis.gridfleetSite?.viewing.tick === 11")
    browser.wait("document.querySelector('#timeline-play').textContent === 'Play'")
    browser.do("press", selector="#timeline-slider", key="Home")
    browser.wait("globalThis.gridfleetSite?.viewing.tick === 0")
    browser.do("click", selector="#timeline-now")
    browser.wait("globalThis.gridfleetSite?.viewing.live")
    again = known(browser)
    assert difference(end_of_run, again) == []
    assert browser.do("faults") == []


@pytest.mark.parametrize("options", [("--no-report",)])
def test_run_again_shows_another_run_on_the_same_page(shown: Shown, browser: Browser, tmp_path: Path) -> None:
    browser.do("open", url=shown.url)
    browser.wait(f"{STATE} === 'finished' && gridfleetSite.runState.again", seconds=120)
    browser.do("click", selector="#run-again")
    browser.wait(f"{STATE} !== 'finished'")
    browser.wait(f"{STATE} === 'finished' && gridfleetSite.runState.again", seconds=120)
    assert browser.do("eval", code="gridfleetSite.history.finished().length") == 12
    runs = [each for each in (tmp_path / "out").iterdir() if not each.is_symlink()]
    assert len(runs) == 2
    assert browser.do("faults") == []


@pytest.mark.parametrize("options", [("--no-report",)])
def test_a_replay_is_the_page_of_the_run(shown: Shown, browser: Browser, tmp_path: Path) -> None:
    browser.do("open", url=shown.url)
    browser.wait(f"{STATE} === 'finished' && gridfleetSite.runState.again", seconds=120)
    before = known(browser)
    assert shown.stop().code == 0
    replay = start("replay", "out/latest", "--port", "0", "--no-browser", cwd=tmp_path)
    try:
        assert replay.stdout is not None
        url = replay.stdout.readline().split()[1]
        browser.do("open", url=url)
        browser.wait(f"{STATE} === 'finished'")
        assert difference(before, known(browser)) == []
        browser.do("click", selector="#timeline-play")  # from the beginning
        browser.wait("globalThis.gridfleetSite?.viewing.tick === 2")
        browser.do("click", selector="#timeline-play")
        browser.do("select", selector="#timeline-jump", value="0")
        browser.wait("globalThis.gridfleetSite?.viewing.tick === 0")
        for width in (1440, 320):
            browser.do("open", url=f"{url}#t=7", width=width)
            browser.wait("globalThis.gridfleetSite?.viewing.tick === 6")
            browser.wait("!document.querySelector('#run-end').hidden")
            found = browser.do("axe")
            assert [each for each in found if each["impact"] in {"serious", "critical"}] == []
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert browser.do("eval", code=wider) <= 0, width
        assert browser.do("faults") == []
        replay.send_signal(signal.SIGINT)
        assert end(replay).code == 0
    finally:
        if replay.poll() is None:
            replay.kill()
            replay.communicate(timeout=60)


def test_the_page_has_a_fixed_port_or_the_next_free_one_and_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        with suppress(OSError):  # another program has it: that serves as well
            taken.bind(("127.0.0.1", PAGE_PORT))
            taken.listen()
        process = start(
            "run", "normal", "--console", "--ticks", "2", "--no-report", "--set", *SMALL, cwd=tmp_path
        )
        done = end(process)
    assert done.code == 0
    found = re.search(r"http://127\.0\.0\.1:(\d+)/", done.out.splitlines()[0])
    assert found is not None
    assert PAGE_PORT < int(found[1]) < PAGE_PORT + PORTS
    assert f"Port {PAGE_PORT} is in use: the page is on the next free one, {found[1]}." in done.err
