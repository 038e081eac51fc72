"""Carries a browser's WebSocket to the broker's own port, byte for byte: for brokers that browsers cannot reach.

rumqttd, the embedded broker, has a WebSocket listener for MQTT 3.1.1 only, and that ends for good at the first
message with properties of MQTT 5, which all of ours have (measured with iotcore 0.4). What passes is not looked
at: the page speaks MQTT to the broker, and the broker alone decides who may say what.
"""

import base64
import hashlib
import selectors
import socket
import ssl
from contextlib import suppress
from typing import Final, NamedTuple

from gridfleet.broker.address import BrokerAddress

PROTOCOL: Final = "mqtt"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CHUNK: Final = 65_536
_MOST_FRAME: Final = 262_144
_REACH_S: Final = 5.0
_SEND_S: Final = 15.0
"""How long a browser may take to accept what is sent to it, in seconds."""
_NOTHING_YET: Final = (BlockingIOError, ssl.SSLWantReadError)
_CONTINUED, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x2, 0x8, 0x9, 0xA


class Frame(NamedTuple):
    """One WebSocket frame."""

    opcode: int
    payload: bytes


class FrameError(ValueError):
    """A browser does not send this."""


def accept_key(key: str) -> str:
    """Return the answer to a Sec-WebSocket-Key (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def frame(payload: bytes, opcode: int = _BINARY) -> bytes:
    """Return an unmasked frame, as a server sends it."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    elif size < 65_536:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 127]) + size.to_bytes(8, "big")
    return head + payload


def take_frames(buffer: bytearray) -> list[Frame]:
    """Take the whole frames out of what has arrived; raise FrameError for what no browser sends."""
    found = []
    while len(buffer) >= 2:
        opcode, size, at = buffer[0] & 0x0F, buffer[1] & 0x7F, 2
        if not buffer[1] & 0x80 or buffer[0] & 0x70 or opcode not in {0x0, 0x2, 0x8, 0x9, 0xA}:
            raise FrameError("unmasked, extended or not binary")
        if size >= 126:
            at = 4 if size == 126 else 10
            if len(buffer) < at:
                break
            size = int.from_bytes(buffer[2:at], "big")
        if size > _MOST_FRAME:
            raise FrameError(f"a frame of {size} bytes")
        if len(buffer) < at + 4 + size:
            break
        mask, masked = bytes(buffer[at : at + 4]), buffer[at + 4 : at + 4 + size]
        stretched = (mask * (size // 4 + 1))[:size]
        payload = (int.from_bytes(masked, "big") ^ int.from_bytes(stretched, "big")).to_bytes(size, "big")
        del buffer[: at + 4 + size]
        found.append(Frame(opcode, payload))
    return found


def dial(address: BrokerAddress, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Return a connection to the broker; raise OSError when there is none. Without `tls`, the machine's trust."""
    link = socket.create_connection((address.host, address.port), timeout=_REACH_S)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.tls:
        return (tls or ssl.create_default_context()).wrap_socket(link, server_hostname=address.host)
    return link


def carry(browser: socket.socket, broker: socket.socket) -> None:
    """Carry bytes both ways until one side ends; both are closed by the caller."""
    arrived = bytearray()
    browser.settimeout(_SEND_S)
    broker.settimeout(_SEND_S)
    with selectors.DefaultSelector() as selector, suppress(OSError, FrameError):
        selector.register(browser, selectors.EVENT_READ)
        selector.register(broker, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is broker:
                    if not _from_broker(broker, browser):
                        browser.sendall(frame(b"", _CLOSE))
                        return
                elif not _from_browser(browser, broker, arrived):
                    return


def _from_broker(broker: socket.socket, browser: socket.socket) -> bool:
    while True:
        broker.settimeout(0.0)  # TLS has words of its own, that wake us and are no data
        try:
            data = broker.recv(_CHUNK)
        except _NOTHING_YET:
            return True
        finally:
            broker.settimeout(_SEND_S)
        if not data:
            return False
        browser.sendall(frame(data))
        if not (isinstance(broker, ssl.SSLSocket) and broker.pending()):
            return True


def _from_browser(browser: socket.socket, broker: socket.socket, arrived: bytearray) -> bool:
    data = browser.recv(_CHUNK)
    if not data:
        return False
    arrived += data
    for opcode, payload in take_frames(arrived):
        if opcode == _CLOSE:
            browser.sendall(frame(payload[:2], _CLOSE))
            return False
        if opcode == _PING:
            browser.sendall(frame(payload, _PONG))
        elif opcode in {_BINARY, _CONTINUED}:
            broker.sendall(payload)
    return True
