"""The console's server: the page, its headers, and the relay to the broker."""

import base64
import http.client
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from websockets.frames import Frame, Opcode

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.dashboards.console.errors import ConsoleError
from gridfleet.dashboards.console.relay import MAX_MESSAGE
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer, check_ws_url

CONNECT = bytes.fromhex("101000044d5154540502003c000003676662")
WS = "ws://127.0.0.1:9001"


@pytest.fixture(scope="module")
def server() -> Iterator[ConsoleServer]:
    with ConsoleServer(ConsoleConfig(WS, "germany")) as served:
        yield served


def ask(
    server: ConsoleServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    where = urlsplit(server.url)
    link = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    try:
        link.request(method, path, headers=headers)
        answer = link.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        link.close()


def test_the_page_and_its_parts_come_with_strict_headers(server: ConsoleServer) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/assets/console.js", "text/javascript"),
        ("/config.json", "application/json"),
    ):
        status, headers, body = ask(server, path)
        assert status == 200
        assert body
        assert headers["Content-Type"].startswith(kind)
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert f"connect-src 'self' {WS};" in policy
        assert "unsafe" not in policy
        assert headers["Server"].strip() == "GridFleet"


def test_the_configuration_names_broker_and_site(server: ConsoleServer) -> None:
    config = json.loads(ask(server, "/config.json")[2])
    assert config["ws_url"] == WS
    assert config["site"] == "germany"
    assert config["access"] == "open"


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/../server.py", "/assets/../../server.py", "/%2e%2e/server.py", "//etc/passwd", "/page"],
)
def test_other_paths_are_not_found(path: str, server: ConsoleServer) -> None:
    assert ask(server, path)[0] == 404


def test_only_get_and_head_and_only_for_loopback_names(server: ConsoleServer) -> None:
    assert ask(server, "/", "POST")[0] == 501
    assert ask(server, "/", "HEAD")[2] == b""
    assert ask(server, "/", Host="evil.example")[0] == 421
    assert ask(server, "/", Host="localhost:1")[0] == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://there",
        "ws://",
        "ws://a b",
        "ws://there; script-src *",
        "ws://u:p@there",
        "ws://there:99999",
        "",
    ],
)
def test_an_invalid_websocket_url_is_refused(url: str) -> None:
    with pytest.raises(ConsoleError):
        check_ws_url(url)


def test_a_port_in_use_and_a_closed_console_are_reported(server: ConsoleServer) -> None:
    port = urlsplit(server.url).port
    with (
        pytest.raises(ConsoleError, match="choose another port"),
        ConsoleServer(ConsoleConfig(WS, "x"), port=port or 0),
    ):
        pass
    closed = ConsoleServer(ConsoleConfig(WS, "x"))
    with pytest.raises(ConsoleError, match="not being served"):
        _ = closed.url
    closed.close()


# --- the way to the broker --------------------------------------------------------------------------------


def masked(payload: bytes, opcode: Opcode = Opcode.BINARY) -> bytes:
    """A frame as a browser sends it."""
    return Frame(opcode, payload).serialize(mask=True)


def upgrade(server: ConsoleServer, **other: str) -> socket.socket:
    where = urlsplit(server.url)
    headers = {
        "Host": where.netloc,
        "Origin": server.url.rstrip("/"),
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        "Sec-WebSocket-Protocol": "mqtt",
        **other,
    }
    link = socket.create_connection((str(where.hostname), where.port or 0), timeout=60)
    link.sendall(
        ("GET /mqtt HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
    )
    return link


def status(link: socket.socket) -> int:
    return int(link.recv(4096).split(b" ", 2)[1])


@pytest.fixture
def echo() -> Iterator[socketserver.BaseServer]:
    """A port that sends back what it receives, in place of a broker."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # a relay that closes does not wait for the echo
                while data := self.request.recv(4096):
                    self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def relayed(echo: socketserver.BaseServer) -> Iterator[socket.socket]:
    """A WebSocket whose other end is the echo."""
    address = BrokerAddress.parse(f"mqtt://127.0.0.1:{echo.server_address[1]}")  # type: ignore[index]
    with ConsoleServer(ConsoleConfig(address, "germany")) as server, upgrade(server) as link:
        assert status(link) == 101
        yield link


def received(link: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The frames that arrive until the connection is closed, as (opcode, payload)."""
    stream = link.makefile("rb")
    while head := stream.read(2):
        size = head[1] if head[1] < 126 else int.from_bytes(stream.read(2 if head[1] == 126 else 8), "big")
        yield head[0] & 0x0F, stream.read(size)


@pytest.mark.parametrize("cut", [1, 7, 4096, 100_000])
def test_frames_arrive_whole_however_they_are_cut(relayed: socket.socket, cut: int) -> None:
    payloads = [b"", b"a", bytes(range(256)) * 3 if cut < 4096 else bytes(range(256)) * 300]
    stream = b"".join(map(masked, payloads))
    for at in range(0, len(stream), cut):
        relayed.sendall(stream[at : at + cut])
    expected = b"".join(payloads)
    echoed = b""
    for opcode, payload in received(relayed):
        assert opcode == Opcode.BINARY
        echoed += payload
        if len(echoed) >= len(expected):
            break
    assert echoed == expected


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (Frame(Opcode.BINARY, b"unmasked").serialize(mask=False), 1002),
        (b"\xc2" + masked(b"reserved bit")[1:], 1002),
        (b"\x83" + masked(b"unknown opcode")[1:], 1002),
        (masked(b"text", Opcode.TEXT), 1003),
        (b"\x82\xff" + (MAX_MESSAGE + 1).to_bytes(8, "big"), 1009),
        (b"\x82\xff" + b"\xff" * 8, 1009),
    ],
    ids=["unmasked", "reserved bit", "unknown opcode", "text", "too long", "longest"],  # masks are random
)
def test_what_no_browser_sends_closes_the_connection(relayed: socket.socket, bad: bytes, code: int) -> None:
    relayed.sendall(bad)
    [(opcode, payload)] = received(relayed)
    assert (opcode, int.from_bytes(payload[:2], "big")) == (Opcode.CLOSE, code)


def test_a_long_message_in_parts_is_too_long_as_well(relayed: socket.socket) -> None:
    part = bytes(MAX_MESSAGE // 2 + 1)
    first = Frame(Opcode.BINARY, part, fin=False).serialize(mask=True)
    relayed.sendall(first + Frame(Opcode.CONT, part, fin=True).serialize(mask=True))
    *_, (opcode, payload) = received(relayed)
    assert (opcode, int.from_bytes(payload[:2], "big")) == (Opcode.CLOSE, 1009)


def test_bytes_go_to_the_broker_and_back(broker: EmbeddedBroker) -> None:
    with ConsoleServer(ConsoleConfig(BrokerAddress.parse(broker.url), "germany")) as server:
        assert json.loads(ask(server, "/config.json")[2])["ws_url"] == "mqtt"
        with upgrade(server) as link:
            assert status(link) == 101
            link.sendall(masked(CONNECT[:5]) + masked(CONNECT[5:]))
            head = link.recv(4096)
            assert head[0] == 0x82
            assert head[2] == 0x20  # CONNACK
            link.sendall(masked(b"ping", Opcode.PING))
            assert link.recv(4096) == b"\x8a\x04ping"
            link.sendall(masked(b"\x03\xe8", Opcode.CLOSE))
            assert link.recv(4096)[:2] == b"\x88\x02"
        with upgrade(server) as link:
            assert status(link) == 101
            broker.close()
            assert [opcode for opcode, _ in received(link)] == [Opcode.CLOSE]
        with upgrade(server) as link:
            assert status(link) == 502


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Sec-WebSocket-Protocol": "chat"}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Version": "8"}, 400),
        ({"Upgrade": "h2c"}, 426),
    ],
)
def test_other_requests_get_no_relay(
    echo: socketserver.BaseServer, headers: dict[str, str], code: int
) -> None:
    address = BrokerAddress.parse(f"mqtt://127.0.0.1:{echo.server_address[1]}")  # type: ignore[index]
    with ConsoleServer(ConsoleConfig(address, "germany")) as server, upgrade(server, **headers) as link:
        assert status(link) == code


def test_there_is_no_relay_to_a_broker_that_browsers_reach_themselves(server: ConsoleServer) -> None:
    assert ask(server, "/mqtt")[0] == 404
