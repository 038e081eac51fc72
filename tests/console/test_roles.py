"""Viewers watch and operators control: console and command line on Mosquitto, with a site's access rules."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
from gridfleet.broker.credentials import FileCredentials
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.devices.config.scenario import load
from gridfleet.devices.runtime.fleet import Fleet
from gridfleet.provisioning.cli.exit_codes import ExitCode
from gridfleet.provisioning.cli.main import main
from gridfleet.provisioning.site.secrets import identities, make_secrets
from tests.console.conftest import LIVE, SMALL, Browser, Running
from tests.waiting import wait_until

pytestmark = [pytest.mark.mosquitto]


class Town(NamedTuple):
    """A fleet on Mosquitto with secrets: TLS for all, and a plain port on loopback."""

    secrets: Path
    broker: MosquittoBroker
    running: Running

    @property
    def mqtts(self) -> str:
        """The address by TLS."""
        return f"mqtts://127.0.0.1:{self.broker.ports.tls}"

    @property
    def console(self) -> ConsoleServer:
        """A console that relays to the broker by TLS, with the site's own authority."""
        address = BrokerAddress.parse(self.mqtts)
        return ConsoleServer(
            ConsoleConfig(address, "germany", "login", tls=FileCredentials(self.secrets).tls)
        )

    def password(self, name: str) -> str:
        """A user's password."""
        return str(FileCredentials(self.secrets).login(name).password)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    secrets = tmp_path_factory.mktemp("town") / "secrets"
    make_secrets(secrets, "germany", identities(Fleet(load("normal", SMALL))))
    with MosquittoBroker(secrets, Ports(tls=0, plain=0)) as broker:
        plain = f"mqtt://127.0.0.1:{broker.ports.plain}"
        with Running(plain, credentials=FileCredentials(secrets)) as running:
            yield Town(secrets, broker, running)


def log_in(browser: Browser, name: str, password: str) -> None:
    browser.wait("!document.querySelector('#login').hidden")
    browser.do("fill", selector="#username", value=name)
    browser.do("fill", selector="#password", value=password)
    browser.do("click", selector="#login button")


# --- in the browser --------------------------------------------------------------------------------------


@pytest.mark.chromium
@pytest.mark.node
def test_a_viewer_watches_and_an_operator_controls(town: Town, browser: Browser) -> None:
    running = town.running
    with town.console as server:
        browser.do("open", url=server.url)
        log_in(browser, "viewer", "wrong")
        browser.wait("/rejects this name or password/.test(document.querySelector('#banner').textContent)")
        log_in(browser, "viewer", town.password("viewer"))
        browser.wait(LIVE)
        browser.wait("!document.querySelector('#read-only').hidden")  # without a control having been tried
        assert browser.do("eval", code="document.querySelector('#run-controls').disabled") is True
        assert browser.do("eval", code="document.querySelector('#mode').value") == "scaled"
        assert not running.now.paused
        browser.do("click", selector="#relogin")
        log_in(browser, "operator", town.password("operator"))
        browser.wait("/You are operator/.test(document.querySelector('#traffic').textContent)")
        browser.wait(LIVE)
        browser.do("click", selector="#pause")
        wait_until(lambda: running.now.paused)
        browser.do("click", selector="#pause")
        wait_until(lambda: not running.now.paused)
        controls = {(setting, sender) for setting, sender, _ in running.controls}
        assert ("paused", "operator") in controls
        assert "viewer" not in {sender for _, sender in controls}  # the broker delivered none of the viewer's
        assert browser.do("faults") == []

        browser.do("reload")  # the login lasts
        browser.wait("/You are operator/.test(document.querySelector('#traffic').textContent)")
        browser.wait(f"{LIVE} && !document.querySelector('#run-controls').disabled")
        browser.do("open", url=server.url, tab=True)  # a second tab shares the connection, and needs no login
        browser.wait("/You are operator/.test(document.querySelector('#traffic').textContent)")
        browser.wait(f"{LIVE} && document.querySelector('#now-devices').textContent === '22 of 22'")
        browser.do("click", selector="#pause")
        wait_until(lambda: running.now.paused)
        browser.do("click", selector="#pause")
        wait_until(lambda: not running.now.paused)
        browser.do("click", selector="#logout")
        browser.wait("!document.querySelector('#login').hidden")
        browser.do("reload")
        browser.wait("!document.querySelector('#login').hidden")  # and stays logged out

        log_in(browser, "operator", town.password("operator"))
        browser.wait(LIVE)
        browser.do(
            "open", url=server.url, keep=True
        )  # another browser, same name: they disconnect each other
        log_in(browser, "operator", town.password("operator"))
        browser.wait("/logged in under the same name/.test(document.querySelector('#banner').textContent)")


@pytest.mark.chromium
@pytest.mark.node
def test_a_page_connects_to_the_brokers_own_listener(browser: Browser) -> None:
    with MosquittoBroker(None, Ports(plain=0, websockets=0)) as broker:
        listener = f"ws://127.0.0.1:{broker.ports.websockets}"
        with Running(broker.url) as running, ConsoleServer(ConsoleConfig(listener, "germany")) as server:
            browser.do("open", url=server.url)
            browser.wait(LIVE)
            browser.wait("document.querySelector('#now-devices').textContent === '22 of 22'")
            browser.do("click", selector="#damage")
            wait_until(lambda: running.now.settings.turbine_scale == 0.0)
            sockets = [url for url in browser.do("requested") if url.startswith("ws")]
            assert sockets
            assert all(url.startswith(listener) for url in sockets)
            assert browser.do("faults") == []


# --- the command line ------------------------------------------------------------------------------------


def test_the_command_line_logs_in_by_the_sites_secrets(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--broker", town.mqtts, "--secrets", str(town.secrets)]
    assert main(["set", "wind_scale=2", *options]) == ExitCode.SUCCESS
    wait_until(lambda: town.running.now.settings.wind_scale == 2.0)
    assert main(["set", "wind_scale=1", *options, "--as", "viewer"]) == ExitCode.FAILED
    assert town.running.now.settings.wind_scale == 2.0
    assert main(["watch", *options, "--ticks", "1"]) == ExitCode.SUCCESS
    output = capsys.readouterr()
    assert "tick " in output.out
    for name in ("operator", "viewer"):
        assert town.password(name) not in output.out + output.err


def test_a_login_in_the_address_is_used(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    port = town.broker.ports.plain
    for name, code in (("viewer", ExitCode.FAILED), ("operator", ExitCode.SUCCESS)):
        password = town.password(name)
        url = f"mqtt://{name}:{password}@127.0.0.1:{port}"
        assert main(["set", "vehicle_scale=0.5", "--broker", url]) == code
        output = capsys.readouterr()
        assert password not in output.out + output.err


def test_a_broker_without_the_sites_certificate_is_not_trusted(
    town: Town, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_secrets(tmp_path / "other", "germany", identities(Fleet(load("normal", SMALL))))
    options = ["--broker", town.mqtts, "--secrets", str(tmp_path / "other")]
    assert main(["set", "wind_scale=1", *options]) == ExitCode.USAGE
    assert "certificate is not trusted" in capsys.readouterr().err


def test_secrets_are_not_sent_without_tls(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--broker", "mqtt://broker.example", "--secrets", str(town.secrets)]
    for command in (["set", "wind_scale=1"], ["watch"]):
        assert main([*command, *options]) == ExitCode.USAGE
        assert "is not encrypted" in capsys.readouterr().err
    assert main(["console", *options]) == ExitCode.USAGE
    assert "needs --broker mqtts://" in capsys.readouterr().err
