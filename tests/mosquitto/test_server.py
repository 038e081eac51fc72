"""Mosquitto as a child process: starts, saves, restarts, stops with its parent, and gives the reason when it cannot."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.mosquitto.server import (
    INSTALL,
    MosquittoBroker,
    Ports,
    find_mosquitto,
    version_of,
)
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from tests.broker.test_embedded import is_alive
from tests.ports import accepts
from tests.waiting import wait_until


def retained(broker: MosquittoBroker) -> list[bytes]:
    received: list[bytes] = []
    with MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        loop.open(
            "listener", on_message=lambda _, payload, __: received.append(payload), filters=[("news", 1)]
        )
        loop.wait_online(60)
        loop.run_until(lambda: bool(received), 0.5)
    return received


def publish(broker: MosquittoBroker, payload: bytes) -> None:
    with MqttLoop(BrokerAddress.parse(broker.url)) as loop:
        publisher = loop.open("publisher", on_message=lambda *_: None)
        loop.wait_online(60)
        publisher.publish("news", payload, qos=1, retain=True)


@pytest.mark.mosquitto
def test_it_accepts_connections_and_frees_its_ports() -> None:
    with MosquittoBroker(ports=Ports(plain=0, websockets=0)) as broker:
        pid, ports = broker.pid, broker.ports
        assert broker.url == f"mqtt://127.0.0.1:{ports.plain}"
        assert accepts(ports.plain or 0)
        assert accepts(ports.websockets or 0)
    assert not is_alive(pid)
    assert not accepts(ports.plain or 0)
    broker.close()
    with pytest.raises(BrokerError, match="not running"):
        _ = broker.url


@pytest.mark.mosquitto
def test_a_websocket_is_answered() -> None:
    hello = (
        b"GET /mqtt HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
    with (
        MosquittoBroker(ports=Ports(plain=0, websockets=0)) as broker,
        socket.create_connection(("127.0.0.1", broker.ports.websockets or 0), timeout=60) as link,
    ):
        link.sendall(hello)
        assert b"101" in link.recv(4096).splitlines()[0]


@pytest.mark.mosquitto
def test_retained_messages_survive_a_restart_with_a_store(tmp_path: Path) -> None:
    for store, expected in ((tmp_path, [b"1"]), (None, [])):
        broker = MosquittoBroker(store=store)
        with broker:
            publish(broker, b"1")
        with MosquittoBroker(store=store) as again:
            assert retained(again) == expected


@pytest.mark.mosquitto
def test_after_a_kill_it_restarts_on_the_same_port() -> None:
    with MosquittoBroker() as broker:
        url = broker.url
        broker.kill()
        assert broker.ended
        broker.start()
        assert broker.url == url
        assert retained(broker) == []


@pytest.mark.mosquitto
def test_the_error_names_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with (
            pytest.raises(BrokerError, match=f"cannot listen on 127.0.0.1:{port}"),
            MosquittoBroker(ports=Ports(plain=port)),
        ):
            pass


@pytest.mark.mosquitto
def test_the_error_gives_mosquittos_reason_when_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="Error opening password file"), MosquittoBroker(tmp_path):
        pass


@pytest.mark.mosquitto
def test_it_stops_with_its_parent() -> None:
    program = (
        "import time\n"
        "from gridfleet.broker.brokers.mosquitto.server import MosquittoBroker\n"
        "with MosquittoBroker() as broker:\n"
        "    print(broker.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_alive(pid))


@pytest.mark.mosquitto
def test_it_goes_on_after_a_reload() -> None:
    with MosquittoBroker() as broker:
        broker.reload()
        assert retained(broker) == []
        assert version_of(find_mosquitto() or Path()).value in {"2.0", "2.1"}


def test_the_error_names_the_install_command_when_mosquitto_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("gridfleet.broker.brokers.mosquitto.server._SERVER_PATH", os.devnull)
    assert find_mosquitto() is None
    with pytest.raises(BrokerError, match=INSTALL), MosquittoBroker():
        pass


def test_another_program_is_refused() -> None:
    with pytest.raises(BrokerError, match=r"is not Mosquitto 2\.0 or newer"):
        version_of(Path("/bin/true"))
