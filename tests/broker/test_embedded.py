"""The embedded broker: start, stop, ports, signals, and delays."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import BrokerAddress, MqttLoop
from tests.ports import accepts, free_port
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie process has stopped; it need not be reaped here.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_it_accepts_connections_at_its_url_and_frees_the_port_when_closed() -> None:
    with EmbeddedBroker() as broker:
        assert broker.url == f"mqtt://127.0.0.1:{broker.port}"
        assert broker.host == "127.0.0.1"
        port, pid = broker.port, broker.pid
        assert accepts(port)
    assert not accepts(port)
    assert not is_alive(pid)


def test_closing_twice_is_safe_and_use_after_close_raises() -> None:
    broker = EmbeddedBroker()
    with pytest.raises(BrokerError, match="not running"):
        _ = broker.url
    with broker:
        broker.close()
        broker.close()
        with pytest.raises(BrokerError, match="not running"):
            _ = broker.port
    with pytest.raises(BrokerError, match="make a new"):
        broker.start()


def test_the_error_names_a_port_in_use_with_a_remedy() -> None:
    with EmbeddedBroker() as first, pytest.raises(BrokerError, match=f"{first.port}.*choose another port"):
        EmbeddedBroker(first.port).start()
    with pytest.raises(BrokerError, match="choose another port"):
        EmbeddedBroker(70_000).start()


def test_a_broker_that_stops_at_once_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BrokerError, match="does not answer"):
        EmbeddedBroker().start()


def test_it_offers_mqtt_3_1_1_and_websockets_on_their_own_ports() -> None:
    v4, ws = free_port(), free_port()
    with EmbeddedBroker(v4_port=v4, ws_port=ws) as broker:
        received: list[bytes] = []
        with (
            MqttLoop(BrokerAddress("127.0.0.1", v4), version=4) as old,
            MqttLoop(BrokerAddress.parse(broker.url)) as new,
        ):
            old.open("old", on_message=lambda *message: received.append(message[1]), filters=[("t", 1)])
            sender = new.open("new", on_message=print)
            old.wait_online(60)
            new.wait_online(60)
            sender.publish("t", b"across versions", qos=1)
            assert new.run_until(lambda: sender.all_acknowledged, 60)
            assert old.run_until(lambda: bool(received), 60)
        assert received == [b"across versions"]
        with socket.create_connection(("127.0.0.1", ws), timeout=60) as link:
            link.sendall(
                b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
            )
            assert link.recv(12) == b"HTTP/1.1 101"


def test_ctrl_c_does_not_reach_it_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedBroker() as broker:
        assert os.getsid(broker.pid) == broker.pid
        os.kill(broker.pid, signal.SIGINT)
        assert accepts(broker.port)
    assert capfd.readouterr() == ("", "")


OWNER = """
import sys, time
from gridfleet.broker.brokers.embedded import EmbeddedBroker
broker = EmbeddedBroker()
broker.start()
print(broker.pid, flush=True)
sys.stdin.read()
"""


def test_it_stops_with_its_parent_even_when_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_alive(pid)
        owner.kill()
        owner.wait()
        wait_until(lambda: not is_alive(pid))


def test_a_killed_broker_is_restarted_on_the_same_port() -> None:
    with EmbeddedBroker() as first:
        port = first.port
        with socket.create_connection(("127.0.0.1", port)):
            os.kill(first.pid, signal.SIGKILL)
            wait_until(lambda: not accepts(port))
            with EmbeddedBroker(port) as second:
                assert second.port == port
                assert accepts(port)


def busy_s(*processes: int) -> float:
    """Seconds that processes have run or waited for a processor."""
    tasks = (task for pid in processes for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(sum(map(int, (task / "schedstat").read_text().split()[:2])) for task in tasks) / 1e9


def test_small_messages_are_not_delayed() -> None:
    """With Nagle's algorithm on the broker's side both sides do nothing for about 40 ms in each of these rounds."""
    clients, rounds, received = 40, 10, 0
    with EmbeddedBroker() as broker, MqttLoop(BrokerAddress.parse(broker.url)) as loop:

        def count(topic: str, payload: bytes, retained: bool) -> None:
            nonlocal received
            received += 1

        def has_received(messages: int) -> bool:
            return received >= messages

        def device(number: int) -> None:
            def answer(topic: str, payload: bytes, retained: bool) -> None:
                connection.publish(f"bid/{number}", payload, qos=0)

            connection = loop.open(f"device-{number}", on_message=answer, filters=[("tick", 0)])

        for number in range(clients):
            device(number)
        clock = loop.open("clock", on_message=count, filters=[("bid/+", 0)])
        loop.wait_online(60)
        idle = []
        for tick in range(1, rounds + 1):
            begun = time.monotonic() - busy_s(os.getpid(), broker.pid)
            clock.publish("tick", b"x" * 150, qos=0)
            assert loop.run_until(partial(has_received, tick * clients), 60)
            idle.append(time.monotonic() - busy_s(os.getpid(), broker.pid) - begun)
    assert statistics.median(idle) < 0.015
