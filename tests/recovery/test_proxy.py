"""The proxy between a process and the broker: forwarding, holding, refusing, resetting."""

import socket
from collections.abc import Iterator

import pytest

from gridfleet.broker.mqtt.event_loop import EventLoop
from gridfleet.provisioning.chaos.proxy import Proxy


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    with EventLoop() as loop:
        yield loop


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.fixture
def proxy(loop: EventLoop, server: socket.socket) -> Iterator[Proxy]:
    proxy = Proxy(loop, server.getsockname()[1])
    yield proxy
    proxy.close()
    proxy.close()


def connect(loop: EventLoop, proxy: Proxy, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=60)
    assert loop.run_until(lambda: proxy.connections == 1, 60)
    inside, _ = server.accept()
    inside.settimeout(60)
    return client, inside


def is_forwarded(loop: EventLoop, sender: socket.socket, receiver: socket.socket, data: bytes) -> bool:
    """Return whether data sent at one end soon arrives at the other."""
    sender.sendall(data)
    receiver.setblocking(False)
    received = bytearray()

    def read() -> bool:
        try:
            received.extend(receiver.recv(1_000_000))
        except BlockingIOError:
            return False
        return len(received) >= len(data)

    for _ in range(20):
        if loop.run_until(read, 0.01):
            break
    return bytes(received) == data


def test_data_is_forwarded_both_ways(loop: EventLoop, proxy: Proxy, server: socket.socket) -> None:
    client, inside = connect(loop, proxy, server)
    with client, inside:
        assert is_forwarded(loop, client, inside, b"to")
        assert is_forwarded(loop, inside, client, b"fro")
        assert is_forwarded(loop, client, inside, b"x" * 100_000)
        inside.close()
        assert loop.run_until(lambda: proxy.connections == 0, 60)


def test_held_data_is_delivered_later(loop: EventLoop, proxy: Proxy, server: socket.socket) -> None:
    client, inside = connect(loop, proxy, server)
    with client, inside:
        proxy.hold()
        assert not is_forwarded(loop, client, inside, b"first")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=60):
            loop.run_until(lambda: False, 0.05)
            assert proxy.connections == 1
            proxy.restore()
            assert loop.run_until(lambda: proxy.connections == 2, 60)
        inside.setblocking(True)
        inside.settimeout(60)
        assert inside.recv(100) == b"first"


def test_a_refused_client_is_reset_and_so_are_new_ones(
    loop: EventLoop, proxy: Proxy, server: socket.socket
) -> None:
    client, inside = connect(loop, proxy, server)
    with client, inside:
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as again:
            loop.run_until(lambda: False, 0.05)
            with pytest.raises(ConnectionResetError):
                again.recv(1)
    proxy.restore()
    client, inside = connect(loop, proxy, server)
    with client, inside:
        assert is_forwarded(loop, client, inside, b"again")


def test_a_reset_affects_only_open_connections(loop: EventLoop, proxy: Proxy, server: socket.socket) -> None:
    client, inside = connect(loop, proxy, server)
    with client, inside:
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    client, inside = connect(loop, proxy, server)
    client.close()
    inside.close()


def test_without_a_server_the_connection_ends(loop: EventLoop, server: socket.socket) -> None:
    port = server.getsockname()[1]
    server.close()
    proxy = Proxy(loop, port)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=60) as client:
        loop.run_until(lambda: False, 0.1)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    proxy.close()
