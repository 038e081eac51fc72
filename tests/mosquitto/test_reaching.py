"""Ways to reach a broker: several addresses, WebSocket, an authority, a login from a file; and what fails, by cause."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker, Ports
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.provisioning.cli.broker_options import add_broker, broker_address
from gridfleet.provisioning.cli.exit_codes import CommandError
from tests.ports import free_port

pytestmark = pytest.mark.mosquitto


def silent(topic: str, payload: bytes, retained: bool) -> None:
    """Expects nothing."""


def parsed(*words: str) -> BrokerAddress:
    parser = argparse.ArgumentParser()
    add_broker(parser)
    return broker_address(parser.parse_args([str(word) for word in words]))


def echoed(address: BrokerAddress, payload: bytes = b"hello") -> bool:
    """Return whether a message comes back through a broker."""
    received: list[bytes] = []
    with MqttLoop(address) as loop:
        client = loop.open(
            "viewer", on_message=lambda _t, got, _r: received.append(got), filters=[("echo/#", 1)]
        )
        loop.wait_online(60)
        client.publish("echo/a", payload, qos=1)
        return loop.run_until(lambda: received == [payload], 60)


def why(address: BrokerAddress) -> str:
    """Return why a client does not come online."""
    with MqttLoop(address) as loop:
        loop.open("viewer", on_message=silent)
        with pytest.raises(BrokerError) as caught:
            loop.wait_online(1.5)
    return str(caught.value)


@pytest.fixture(scope="module")
def guarded(secrets: Path) -> Iterator[MosquittoBroker]:
    """A broker with TLS, logins, a plain port and WebSocket."""
    with MosquittoBroker(secrets, Ports(tls=0, plain=0, websockets=0)) as broker:
        yield broker


def test_websocket_carries_messages_of_all_sizes() -> None:
    with MosquittoBroker(None, Ports(plain=0, websockets=0)) as broker:
        address = BrokerAddress.parse(f"ws://127.0.0.1:{broker.ports.websockets}/mqtt")
        for payload in (b"x", b"y" * 200, b"z" * 20_000):
            assert echoed(address, payload)


def test_websocket_with_tls_and_a_login_from_a_file(
    guarded: MosquittoBroker, secrets: Path, tmp_path: Path
) -> None:
    login = tmp_path / "login"
    login.write_text(f"viewer\n{(secrets / 'clients' / 'viewer.password').read_text()}")
    url = f"wss://localhost:{guarded.ports.websockets}/mqtt"
    with MqttLoop(
        parsed("--broker", url, "--ca", str(secrets / "ca.crt"), "--login-file", str(login))
    ) as loop:
        loop.open("viewer", on_message=silent)
        loop.wait_online(60)


def test_each_cause_has_a_remedy_of_its_own(guarded: MosquittoBroker, secrets: Path, tmp_path: Path) -> None:
    ports, ca = guarded.ports, str(secrets / "ca.crt")
    assert "give the CA certificate of the site with --ca FILE" in why(
        parsed("--broker", f"mqtts://localhost:{ports.tls}")
    )
    assert "answers without TLS" in why(parsed("--broker", f"mqtts://localhost:{ports.plain}", "--ca", ca))
    assert "use mqtts:// if this port expects TLS" in why(parsed("--broker", f"mqtt://localhost:{ports.tls}"))
    assert "no user name was given" in why(parsed("--broker", f"mqtts://localhost:{ports.tls}", "--ca", ca))
    stranger = why(parsed("--broker", f"mqtts://nobody:wrong@localhost:{ports.tls}", "--ca", ca))
    assert "'nobody'" in stranger
    assert "check the credentials" in stranger
    with MosquittoBroker(
        secrets, host="127.0.0.2"
    ) as elsewhere:  # an address that the certificate does not state
        assert "a name that the certificate states" in why(
            parsed("--broker", f"mqtts://127.0.0.2:{elsewhere.ports.tls}", "--ca", ca)
        )
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(BrokerError, match=r"no\.pem cannot be used as CA certificate"):
        why(parsed("--broker", f"mqtts://localhost:{ports.tls}", "--ca", str(tmp_path / "no.pem")))


def test_options_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not encrypted"):
        parsed("--broker", "mqtt://localhost", "--ca", "ca.crt")
    (tmp_path / "login").write_text("only-a-name\n")
    with pytest.raises(CommandError, match="the password in its second"):
        parsed("--broker", "mqtt://localhost", "--login-file", str(tmp_path / "login"))


def test_a_client_goes_on_at_the_next_of_several_addresses() -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(MosquittoBroker()) for _ in range(2))
        address = parsed(
            "--broker", f"mqtt://127.0.0.1:{free_port()}", "--broker", first.url, "--broker", second.url
        )
        loop = stack.enter_context(MqttLoop(address))
        client = loop.open("clock", on_message=silent)
        loop.wait_online(60)
        for dead, alive in ((first, second), (second, first)):
            dead.kill()
            assert loop.run_until(lambda: not client.online, 60)
            loop.wait_online(60)
            listener = stack.enter_context(MqttLoop(BrokerAddress.parse(alive.url)))
            received: list[bytes] = []
            listener.open("listener", on_message=lambda _t, got, _r: received.append(got), filters=[("#", 1)])  # noqa: B023
            listener.wait_online(60)
            client.publish("tick", b"1", qos=1)
            loop.run_until(lambda: client.all_acknowledged, 60)
            assert listener.run_until(lambda: received == [b"1"], 60)  # noqa: B023
            dead.start()


def test_clients_of_a_fleet_spread_over_the_addresses() -> None:
    with ExitStack() as stack:
        brokers = [stack.enter_context(MosquittoBroker()) for _ in range(2)]
        address = BrokerAddress.parse(",".join(broker.url for broker in brokers))
        received: list[bytes] = []
        loop = stack.enter_context(MqttLoop(address, spread=True))
        for number in range(20):
            loop.open(
                f"house-{number}", on_message=lambda _t, got, _r: received.append(got), filters=[("who", 1)]
            )
        loop.wait_online(60)
        for number, broker in enumerate(brokers):
            caller = stack.enter_context(MqttLoop(BrokerAddress.parse(broker.url)))
            client = caller.open("caller", on_message=silent)
            caller.wait_online(60)
            client.publish("who", b"%d" % number, qos=1)
            caller.run_until(lambda: client.all_acknowledged, 60)  # noqa: B023
        assert loop.run_until(lambda: len(received) == 20, 60)
        assert set(received) == {b"0", b"1"}
