"""Viewers look and operators steer: the console and the command line on Mosquitto, with the rights of a site."""

from pathlib import Path

import pytest

from broker.address import BrokerAddress
from broker.keyring import Keyring
from broker.mosquitto.server import MosquittoBroker, Ports
from dashboards.console.server import ConsoleConfig, ConsoleServer
from devices.fleet import Fleet
from devices.scenario import load
from provisioning.cli import main
from provisioning.exits import Exit
from provisioning.secrets import identities, make_secrets
from tests.console.conftest import SMALL, Browser, Running, wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.chromium, pytest.mark.node]
LIVE = "document.querySelector('#live').dataset.state === 'live'"


def log_in(browser: Browser, name: str, password: str) -> None:
    browser.wait("!document.querySelector('#login').hidden")
    browser.do("fill", selector="#username", value=name)
    browser.do("fill", selector="#password", value=password)
    browser.do("click", selector="#login button")


def test_a_viewer_looks_and_an_operator_steers(
    browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = tmp_path / "secrets"
    make_secrets(secrets, "germany", identities(Fleet(load("normal", SMALL))))
    keyring = Keyring(secrets)
    words = {name: str(keyring.login(name).password) for name in ("viewer", "operator")}
    # WebSockets in the clear are for a broker without secrets; here the page goes through the console's server.
    with MosquittoBroker(secrets, Ports(plain=0, tls=0)) as broker:
        port = broker.ports.plain
        address = BrokerAddress.parse(f"mqtt://127.0.0.1:{port}")
        with (
            Running(str(address), credentials=keyring) as running,
            ConsoleServer(ConsoleConfig(address, "germany")) as server,
        ):
            browser.do("open", url=server.url)
            browser.wait("/another name or password/.test(document.querySelector('#banner').textContent)")
            log_in(browser, "viewer", "wrong")
            browser.wait("/another name or password/.test(document.querySelector('#banner').textContent)")
            log_in(browser, "viewer", words["viewer"])
            browser.wait(LIVE)
            browser.do("click", selector="#pause")
            browser.wait("/The broker refused it/.test(document.querySelector('#answer').textContent)")
            assert running.tick is not None
            assert not running.tick.paused
            for name, code in (("viewer", Exit.FAILED), ("operator", Exit.FINE)):
                url = f"mqtt://{name}:{words[name]}@127.0.0.1:{port}"
                assert main(["set", "wind_scale=2", "--broker", url]) == code
                assert words[name] not in capsys.readouterr().err
            browser.do("open", url=server.url)
            log_in(browser, "operator", words["operator"])
            browser.wait(LIVE)
            browser.do("click", selector="#pause")
            wait_until(lambda: running.tick and running.tick.paused)
            assert "You steer as operator" in browser.text("#traffic")
