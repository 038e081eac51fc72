"""MQTT over WebSocket: a transport that puts packets into binary messages. Framing is that of the library `websockets`.

Source: RFC 6455; MQTT Version 5.0 (OASIS Standard), section 6: MQTT control packets are sent in binary frames, and the
subprotocol is `mqtt`.
"""

from typing import Any, Final

from gridfleet.broker.errors import BrokerError
from gridfleet.broker.install_command import install_command

_MAX_MESSAGE: Final = 1 << 20
"""The longest message that is read, in bytes: brokers send one packet, or several small ones, in each."""


class WebSocketFraming:
    """The state of one WebSocket connection: what is to be sent, and the MQTT bytes that were received."""

    __slots__ = ("_connection", "_data", "_frames", "open")

    def __init__(self, url: str) -> None:
        """Begin the handshake; raise BrokerError where the library is missing."""
        try:
            from websockets.client import ClientProtocol
            from websockets.frames import Opcode
            from websockets.typing import Subprotocol
            from websockets.uri import parse_uri
        except ImportError:
            raise BrokerError(
                f"{url}: MQTT over WebSocket needs a library: {install_command('websockets')}"
            ) from None
        self._data: Final = (Opcode.BINARY, Opcode.CONT)
        self._connection: ClientProtocol = ClientProtocol(
            parse_uri(url), subprotocols=[Subprotocol("mqtt")], max_size=_MAX_MESSAGE
        )
        self._connection.send_request(self._connection.connect())
        self.open = False
        """Whether the server has accepted the handshake."""

    def outgoing(self) -> bytes:
        """Return the bytes to send now."""
        return b"".join(self._connection.data_to_send())

    def wrap(self, data: bytes) -> bytes:
        """Return MQTT bytes as a binary message."""
        self._connection.send_binary(data)
        return self.outgoing()

    def receive(self, data: bytes) -> tuple[bytes, bool]:
        """Take bytes from the server; return the MQTT bytes in them, and whether the server has closed.

        Raises OSError for a server that speaks no WebSocket or refuses the handshake.
        """
        self._connection.receive_data(data)
        found: list[bytes] = []
        for event in self._connection.events_received():
            if isinstance(event, _frame_class()):
                if event.opcode in self._data:
                    found.append(bytes(event.data))
            else:
                self._check_handshake(event)
        error = self._connection.handshake_exc
        if error is not None:
            raise OSError(f"no WebSocket there ({error})")
        return b"".join(found), self._connection.close_expected()

    def _check_handshake(self, response: Any) -> None:  # noqa: ANN401 - a response of the library
        if response.status_code != 101:
            raise OSError(f"no WebSocket for MQTT at this path: the server answers {response.status_code}")
        self.open = True


def _frame_class() -> type[Any]:
    from websockets.frames import Frame

    return Frame


def websocket_url(tls: bool, host: str, port: int, path: str) -> str:  # noqa: FBT001 - as in the address
    """Return the URL of a WebSocket listener."""
    name = f"[{host}]" if ":" in host else host
    return f"{'wss' if tls else 'ws'}://{name}:{port}{path}"
