"""Relay a browser's WebSocket to the broker's own port, byte for byte: for brokers that browsers cannot reach.

rumqttd, the embedded broker, has a WebSocket listener for MQTT 3.1.1 only, which stops for good at the first
message with properties of MQTT 5, as GridFleet's have (measured with iotcore 0.4). The relay does not interpret
the bytes: the page and the broker exchange MQTT, and the broker alone decides who may publish what.

The WebSocket protocol is the `websockets` library's, used without its own networking (as its documentation
calls it, Sans-I/O): the page and the relay share one port, which the library's servers do not offer.
"""

import selectors
import socket
import ssl
import time
from contextlib import suppress
from typing import Final, NamedTuple

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gridfleet.broker.address import BrokerAddress

MAX_MESSAGE: Final = 262_144
"""The longest WebSocket message that is accepted from a browser, in bytes."""
_CHUNK: Final = 65_536
_CONNECT_TIMEOUT_S: Final = 5.0
_SEND_TIMEOUT_S: Final = 15.0
"""How long a browser or the broker may take to accept what is sent to it, in seconds."""
_NOTHING_YET: Final = (BlockingIOError, ssl.SSLWantReadError)
_SWITCHING_PROTOCOLS: Final = 101
_BAD_REQUEST: Final = 400
_IDLE_S: Final = 120.0
"""A browser that sends nothing for so many seconds is gone: MQTT's keep-alive of the page is shorter."""
_BROKER_CLOSED: Final = (1001, "the broker has closed the connection")


class Handshake(NamedTuple):
    """The answer to a browser's request for a WebSocket."""

    protocol: ServerProtocol
    """The state of the connection."""
    response: bytes
    """What to send to the browser where the WebSocket is accepted."""
    status: int
    """The status code of the response."""

    @property
    def accepted(self) -> bool:
        """Whether the WebSocket is open once the response is sent."""
        return self.status == _SWITCHING_PROTOCOLS


def open_handshake(
    request: bytes, subprotocol: str, max_size: int | None = None, *, compressed: bool = False
) -> Handshake:
    """Return the answer to an HTTP request for a WebSocket of a subprotocol; the caller checks host and origin.

    `max_size` is the longest message in bytes that is accepted, MAX_MESSAGE for None; `compressed` offers compression.
    """
    protocol = ServerProtocol(
        subprotocols=[Subprotocol(subprotocol)],
        max_size=max_size or MAX_MESSAGE,
        extensions=[ServerPerMessageDeflateFactory()] if compressed else None,
    )
    protocol.receive_data(request)
    for event in protocol.events_received():
        if isinstance(event, Request):
            response = protocol.accept(event)
            protocol.send_response(response)
            return Handshake(protocol, _pending(protocol), response.status_code)
    return Handshake(protocol, b"", _BAD_REQUEST)


def connect(address: BrokerAddress, tls: ssl.SSLContext | None = None) -> socket.socket:
    """Return a connection to the broker; raise OSError when there is none. Without `tls`, the system's CAs."""
    broker = socket.create_connection((address.host, address.port), timeout=_CONNECT_TIMEOUT_S)
    broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.tls:
        return (tls or ssl.create_default_context()).wrap_socket(broker, server_hostname=address.host)
    return broker


def relay(browser: socket.socket, protocol: ServerProtocol, broker: socket.socket) -> None:
    """Relay bytes in both directions until one side ends; both are closed by the caller."""
    browser.settimeout(_SEND_TIMEOUT_S)
    broker.settimeout(_SEND_TIMEOUT_S)
    with selectors.DefaultSelector() as selector, suppress(OSError):
        selector.register(browser, selectors.EVENT_READ)
        selector.register(broker, selectors.EVENT_READ)
        heard_s = time.monotonic()
        while protocol.state is State.OPEN:
            found = selector.select(_IDLE_S)
            if time.monotonic() - heard_s > _IDLE_S:
                return
            for key, _ in found:
                if key.fileobj is broker:
                    _from_broker(broker, protocol)
                else:
                    heard_s = time.monotonic()
                    _from_browser(browser, protocol, broker)
                browser.sendall(_pending(protocol))


def _from_broker(broker: socket.socket, protocol: ServerProtocol) -> None:
    """Wrap what the broker has sent; close the WebSocket when the broker has closed."""
    broker.settimeout(0.0)  # TLS has messages of its own, which wake us and are no data
    try:
        while data := broker.recv(_CHUNK):
            protocol.send_binary(data)
            if not (isinstance(broker, ssl.SSLSocket) and broker.pending()):
                return
        protocol.fail(*_BROKER_CLOSED)
    except _NOTHING_YET:
        return
    except OSError:
        protocol.fail(*_BROKER_CLOSED)
    finally:
        broker.settimeout(_SEND_TIMEOUT_S)


def _from_browser(browser: socket.socket, protocol: ServerProtocol, broker: socket.socket) -> None:
    """Unwrap what the browser has sent; the library answers pings, and closes on what no browser sends."""
    data = browser.recv(_CHUNK)
    if data:
        protocol.receive_data(data)
    else:
        protocol.receive_eof()
    for event in protocol.events_received():
        if not isinstance(event, Frame) or event.opcode is Opcode.TEXT:
            return protocol.fail(1003, "MQTT is sent in binary messages")
        if event.opcode in {Opcode.BINARY, Opcode.CONT}:
            try:
                broker.sendall(event.data)
            except OSError:
                return protocol.fail(*_BROKER_CLOSED)
    return None


def _pending(protocol: ServerProtocol) -> bytes:
    """Return what the protocol wants to send to the browser."""
    return b"".join(protocol.data_to_send())
