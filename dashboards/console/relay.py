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
from contextlib import suppress
from typing import Final, NamedTuple

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gridfleet.broker.address import BrokerAddress

MAX_MESSAGE: Final = 262_144
"""The longest WebSocket message that is accepted from a browser, in bytes."""
_SUBPROTOCOL: Final = "mqtt"
_CHUNK: Final = 65_536
_CONNECT_TIMEOUT_S: Final = 5.0
_SEND_TIMEOUT_S: Final = 15.0
"""How long a browser or the broker may take to accept what is sent to it, in seconds."""
_NOTHING_YET: Final = (BlockingIOError, ssl.SSLWantReadError)
_SWITCHING_PROTOCOLS: Final = 101
_BROKER_CLOSED: Final = (1001, "the broker has closed the connection")


class Handshake(NamedTuple):
    """The answer to a browser's request for a WebSocket."""

    protocol: ServerProtocol
    """The state of the connection."""
    response: bytes
    """What to send to the browser: the upgrade, or an HTTP error."""
    accepted: bool


def open_handshake(request: bytes) -> Handshake:
    """Return the answer to an HTTP request for a WebSocket that carries MQTT; the caller checks host and origin."""
    protocol = ServerProtocol(subprotocols=[Subprotocol(_SUBPROTOCOL)], max_size=MAX_MESSAGE)
    protocol.receive_data(request)
    for event in protocol.events_received():
        if isinstance(event, Request):
            response = protocol.accept(event)
            protocol.send_response(response)
            return Handshake(protocol, _pending(protocol), response.status_code == _SWITCHING_PROTOCOLS)
    return Handshake(protocol, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", accepted=False)


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
        while protocol.state is State.OPEN:
            for key, _ in selector.select():
                if key.fileobj is broker:
                    _from_broker(broker, protocol)
                else:
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
