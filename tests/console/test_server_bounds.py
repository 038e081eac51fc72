"""What the live page's server sends and to how many: compressed, with strict headers always, within bounds."""

import gzip
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gridfleet.dashboards.console import http_server, stream
from gridfleet.dashboards.console.assets import page_files
from gridfleet.dashboards.console.history.page_history import PageHistory
from gridfleet.dashboards.console.server import ConsoleConfig, ConsoleServer
from gridfleet.dashboards.console.show import RunStatus, Show

STRICT = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ConsoleServer]:
    (tmp_path / "report.html").write_text("<p>A report</p>")
    (tmp_path / "run.sqlite").write_text("secret")
    (tmp_path / "ledger.csv").write_text("tick\n" * 1000)
    with PageHistory("home") as history:
        show = Show(history, RunStatus(), tmp_path)
        with ConsoleServer(ConsoleConfig(None, "home"), show=show) as served:
            yield served


def raw(server: ConsoleServer, request: bytes) -> bytes:
    """What the server answers to these bytes until it closes."""
    where = urlsplit(server.url)
    with socket.create_connection((str(where.hostname), where.port or 0), timeout=60) as link:
        link.sendall(request)
        with suppress(OSError):  # a server that refuses the connection may have closed it already
            link.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: link.recv(65_536), b""))


def raw_or_reset(server: ConsoleServer, request: bytes) -> bytes:
    """The same; empty where the server has closed the connection unread, as it does while it has no place."""
    try:
        return raw(server, request)
    except ConnectionResetError:
        return b""


HOST = b"Host: localhost\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /files/report.html HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /files/run.sqlite HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /files/../run.sqlite HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /files/%2e%2e/report.html HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"POST / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
        (b"GET / HTTP/9.9\r\n\r\n", 505),
        (b"nonsense nonsense nonsense\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /stream HTTP/1.1\r\n" + HOST + b"Origin: http://evil.example\r\n" + UPGRADE + b"\r\n", 403),
        (b"GET /stream HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n", 400),
    ],
)
def test_every_answer_has_the_strict_headers(
    server: ConsoleServer, request_bytes: bytes, status: int
) -> None:
    head, _, _ = raw(server, request_bytes).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert int(first.split()[1]) == status
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "'unsafe-eval'" not in headers["content-security-policy"]
    assert "script-src 'unsafe-inline'" not in headers["content-security-policy"]
    assert {name: headers.get(name) for name in STRICT} == STRICT


def test_what_is_long_is_compressed_and_sent_again_only_when_it_changes(server: ConsoleServer) -> None:
    where = urlsplit(server.url)
    link = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    for path in ("/assets/main.js", "/assets/connection.js", "/assets/style.css", "/files/ledger.csv"):
        link.request("GET", path, headers={"Accept-Encoding": "gzip, deflate, br"})
        answer = link.getresponse()
        body = answer.read()
        assert answer.headers["Content-Encoding"] == "gzip"
        link.request("GET", path)
        plain = link.getresponse().read()
        assert gzip.decompress(body) == plain
        assert len(body) < 0.45 * len(plain)
        link.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
        again = link.getresponse()
        assert (again.status, again.read()) == (304, b"")
    link.close()


def test_the_page_until_it_is_live_is_small(server: ConsoleServer) -> None:
    """With 49 kB of history, a page is live within 5 s at 50 kB/s and 400 ms: `python -m benchmarks slow-link`."""
    where = urlsplit(server.url)
    link = http.client.HTTPConnection(str(where.hostname), where.port, timeout=60)
    size = 0
    for path in page_files():
        if path != "/assets/connection.js":  # loaded once the page is live
            link.request("GET", path, headers={"Accept-Encoding": "gzip"})
            size += len(link.getresponse().read())
    link.close()
    assert size < 120_000


def test_a_request_that_comes_in_drops_is_cut_off(
    server: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_S", 0.5)
    where = urlsplit(server.url)
    with socket.create_connection((str(where.hostname), where.port or 0), timeout=60) as link:
        sent = 0
        for letter in b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 2_000:
            try:
                link.sendall(bytes([letter]))
            except OSError:
                break
            sent += 1
            time.sleep(0.01)
        assert sent < 1_000
        assert link.recv(100) == b""


def test_more_connections_than_there_are_places_are_refused_and_places_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 4)
    with PageHistory("home") as history:
        show = Show(history, RunStatus(), tmp_path)
        with ConsoleServer(ConsoleConfig(None, "home"), show=show) as server:
            where = urlsplit(server.url)
            address = (str(where.hostname), where.port or 0)
            idle = [socket.create_connection(address, timeout=60) for _ in range(4)]
            answer = b"HTTP/1.1 200"
            deadline = time.monotonic() + 30
            while not answer.startswith(b"HTTP/1.1 503") and time.monotonic() < deadline:
                answer = raw_or_reset(server, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"Content-Security-Policy" in answer
            for link in idle:
                link.close()
            while not answer.startswith(b"HTTP/1.1 200") and time.monotonic() < deadline:
                answer = raw_or_reset(server, b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200")


def test_a_viewer_that_answers_no_ping_is_gone(
    server: ConsoleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_PING_S", 0.1)
    monkeypatch.setattr(stream, "_SILENCE_S", 0.6)
    where = urlsplit(server.url)
    with socket.create_connection((str(where.hostname), where.port or 0), timeout=60) as link:
        key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: gridfleet-page\r\n"
        link.sendall(b"GET /stream HTTP/1.1\r\n" + HOST + UPGRADE + key + b"\r\n")
        received = b"".join(iter(lambda: link.recv(65_536), b""))
    assert received.startswith(b"HTTP/1.1 101")
    assert b'"kind": "run"' in received
    assert b'"kind":"history"' in received
