"""A flooder: one client with valid credentials that publishes far more than it may, over plain sockets.

It is no part of GridFleet's client: packets are sent at a rate, whatever the broker and the others make of them. Used
by the benchmark `flood`.
"""

import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

KEEPALIVE_S: Final = 600
SLICE_S: Final = 0.01
"""How often it sends, in seconds."""
_CONNACK: Final = 0x20
_PUBLISH: Final = 0x30
_WAIT_S: Final = 10.0


class Flood(NamedTuple):
    """What is published, how often and for how long."""

    host: str
    port: int
    authority: str
    """The path of the CA certificate of the broker's own."""
    user: str
    password: str
    topics: tuple[str, ...]
    """Published to in turn."""
    payload: str
    qos: int
    per_s: float
    seconds: float


class Sent(NamedTuple):
    """What became of a flood."""

    messages: int
    """Those that the broker took from the connection."""
    connections: int
    """How often it connected: it connects again whenever the broker ends the connection."""
    seconds: float


class PlainClient:
    """Context manager: an MQTT 5 connection over TLS that publishes and reads nothing but its end."""

    def __init__(self, flood: Flood) -> None:
        """Connect and log in; raise OSError where the broker refuses that."""
        context = ssl.create_default_context(cafile=flood.authority)
        raw = socket.create_connection((flood.host, flood.port), timeout=_WAIT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._link = context.wrap_socket(raw, server_hostname=flood.host)
        name, password = flood.user.encode(), flood.password.encode()
        body = b"".join(
            (
                b"\x00\x04MQTT\x05\xc2",
                KEEPALIVE_S.to_bytes(2, "big"),
                b"\x00",
                *(len(each).to_bytes(2, "big") + each for each in (name, name, password)),
            )
        )
        self._link.sendall(b"\x10" + length_of(len(body)) + body)
        answer = self._link.recv(4)
        if len(answer) < 4 or answer[0] != _CONNACK or answer[3]:
            self._link.close()
            raise ConnectionError(f"the broker refuses {flood.user}: {answer.hex()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def drain(self) -> None:
        """Read acknowledgements until the connection ends."""
        try:
            while self._link.recv(65_536):
                pass
        except OSError:
            return

    def send(self, data: bytes) -> None:
        """Send encoded packets; raise OSError once the connection has ended."""
        self._link.sendall(data)


def length_of(number: int) -> bytes:
    """Return MQTT's variable-length encoding of a number."""
    found = bytearray()
    while True:
        number, digit = divmod(number, 128)
        found.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(found)


def packets(flood: Flood) -> Iterator[bytes]:
    """Yield encoded PUBLISH packets without end, to the topics in turn."""
    payload = flood.payload.encode()
    number = 0
    while True:
        for topic in flood.topics:
            number = number % 65_535 + 1
            name = topic.encode()
            packet_id = number.to_bytes(2, "big") if flood.qos else b""
            body = len(name).to_bytes(2, "big") + name + packet_id + b"\x00" + payload
            yield bytes([_PUBLISH | flood.qos << 1]) + length_of(len(body)) + body


def run(flood: Flood) -> Sent:
    """Publish for the given time; connect again whenever the broker ends the connection."""
    begun_s = time.monotonic()
    end_s = begun_s + flood.seconds
    source = packets(flood)
    sent = connections = 0
    while time.monotonic() < end_s:
        try:
            with PlainClient(flood) as client:
                connections += 1
                threading.Thread(target=client.drain, daemon=True).start()
                started_s, first = time.monotonic(), sent
                while (now_s := time.monotonic()) < end_s:
                    due = int((now_s - started_s) * flood.per_s) - (sent - first)
                    if due > 0:
                        due = min(
                            due, max(1, int(flood.per_s / 10))
                        )  # never more than a tenth of a second's at once
                        client.send(b"".join(next(source) for _ in range(due)))
                        sent += due
                    time.sleep(SLICE_S)
        except OSError:
            time.sleep(SLICE_S)
    return Sent(sent, connections, time.monotonic() - begun_s)


def main(options: Path) -> None:
    """Run the flood that a JSON file describes; print what became of it as JSON."""
    given = json.loads(options.read_text(encoding="utf-8"))
    print(json.dumps(run(Flood(**{**given, "topics": tuple(given["topics"])}))._asdict()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
