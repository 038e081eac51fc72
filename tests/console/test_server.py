"""What hands out the console: the page, its headers, and the way to the broker."""

import base64
import http.client
import json
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.brokers.embedded import EmbeddedBroker
from gridfleet.dashboards.console.relay import FrameError, accept_key, frame, take_frames
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleError, ConsoleServer, check_ws_url

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


def test_the_page_is_told_what_it_must_know(server: ConsoleServer) -> None:
    config = json.loads(ask(server, "/config.json")[2])
    assert config["ws_url"] == WS
    assert config["site"] == "germany"
    assert config["access"] == "open"


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/../server.py", "/assets/../../server.py", "/%2e%2e/server.py", "//etc/passwd", "/page"],
)
def test_there_is_nothing_else(path: str, server: ConsoleServer) -> None:
    assert ask(server, path)[0] == 404


def test_only_reading_and_only_by_our_own_name(server: ConsoleServer) -> None:
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
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConsoleError):
        check_ws_url(url)


def test_a_port_that_is_taken_is_told(server: ConsoleServer) -> None:
    port = urlsplit(server.url).port
    with (
        pytest.raises(ConsoleError, match="choose another port"),
        ConsoleServer(ConsoleConfig(WS, "x"), port=port or 0),
    ):
        pass
    closed = ConsoleServer(ConsoleConfig(WS, "x"))
    with pytest.raises(ConsoleError, match="not served"):
        _ = closed.url
    closed.close()


# --- the way to the broker --------------------------------------------------------------------------------


def masked(payload: bytes, opcode: int = 2) -> bytes:
    mask = os.urandom(4)
    head = bytearray(frame(payload, opcode)[: len(frame(payload, opcode)) - len(payload)])
    head[1] |= 0x80
    return bytes(head) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@given(st.lists(st.binary(max_size=70_000), max_size=4), st.integers(1, 5_000))
def test_frames_survive_any_cut(payloads: list[bytes], cut: int) -> None:
    stream = b"".join(map(masked, payloads))
    buffer, found = bytearray(), []
    for at in range(0, len(stream), cut):
        buffer += stream[at : at + cut]
        found += [each.payload for each in take_frames(buffer)]
    assert found == payloads
    assert not buffer


@pytest.mark.parametrize(
    "bad", [frame(b"unmasked"), b"\xc2\x80....", b"\x82\xff" + b"\xff" * 8, b"\x81\x80...."]
)
def test_what_no_browser_sends_ends_the_connection(bad: bytes) -> None:
    with pytest.raises(FrameError):
        take_frames(bytearray(bad))


def test_the_key_of_the_standard() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


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


def test_bytes_go_to_the_broker_and_back(broker: EmbeddedBroker) -> None:
    with ConsoleServer(ConsoleConfig(BrokerAddress.parse(broker.url), "germany")) as server:
        assert json.loads(ask(server, "/config.json")[2])["ws_url"] == "mqtt"
        with upgrade(server) as link:
            assert status(link) == 101
            link.sendall(masked(CONNECT[:5]) + masked(CONNECT[5:]))
            head = link.recv(4096)
            assert head[0] == 0x82
            assert head[2] == 0x20  # CONNACK
            link.sendall(masked(b"ping", 9))
            assert link.recv(4096) == b"\x8a\x04ping"
            link.sendall(masked(b"\x03\xe8", 8))
            assert link.recv(4096)[:2] == b"\x88\x02"
        with upgrade(server, Origin="http://evil.example") as link:
            assert status(link) == 403
        with upgrade(server, Host="evil.example", Origin="http://evil.example") as link:
            assert status(link) == 403
        with upgrade(server, **{"Sec-WebSocket-Protocol": "chat"}) as link:
            assert status(link) == 400
        broker.close()
        with upgrade(server) as link:
            assert status(link) == 502


def test_a_page_on_a_broker_of_its_own_reach_gets_no_relay(server: ConsoleServer) -> None:
    assert ask(server, "/mqtt")[0] == 404
