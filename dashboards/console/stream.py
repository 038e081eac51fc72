"""A viewer of the live page: a WebSocket on which the page gets the run's history and then every message.

The page may ask for an earlier tick, for the next one, for the present, and for another run
(console/src/model/history.ts). A page that reads too slowly gets the history again instead of what it missed.
"""

import select
import socket
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from gridfleet.broker.readers.json_values import json_text, parse_json
from gridfleet.dashboards.console.show import Show

SUBPROTOCOL: Final = "gridfleet-page"
MAX_REQUEST: Final = 4_096
"""The longest message that is accepted from a page, in bytes."""
MAX_WAITING: Final = 16_000_000
"""The most text in bytes that waits for a viewer; after that the viewer gets the history again."""
_BATCH_S: Final = 0.05
"""Messages of so many seconds are sent together."""
_STATUS_S: Final = 0.5
"""How often the status is looked at, in seconds."""
_PING_S: Final = 20.0
_SILENCE_S: Final = 60.0
"""A page that answers no ping for so many seconds is gone."""
_SEND_S: Final = 30.0
"""How long a page may take to accept what is sent to it, in seconds."""
_CHUNK: Final = 65_536


class Viewer:
    """One page; `serve` returns when it has gone."""

    def __init__(self, link: socket.socket, protocol: ServerProtocol, show: Show) -> None:
        """`protocol` is the state of the WebSocket after its handshake."""
        self._link = link
        self._websocket = protocol
        self._show = show
        self._history = show.history
        self._waiting: deque[str] = deque()
        self._size = 0
        self._behind = False
        self._shown = -1
        """The tick that is shown, where it is an earlier one."""
        self._sink = self._take

    def serve(self) -> None:
        """Send the history and then what comes, and answer requests."""
        self._link.settimeout(_SEND_S)
        heard_s = pinged_s = time.monotonic()
        looked_s, status = 0.0, ""
        self._show.join()
        try:
            while self._websocket.state is State.OPEN:
                now_s = time.monotonic()
                if now_s - looked_s >= _STATUS_S or self._history is not self._show.history:
                    looked_s = now_s
                    status = self._send_status(status)
                if select.select([self._link], [], [], _BATCH_S)[0]:
                    heard_s = now_s
                    self._receive()
                self._send_waiting()
                if now_s - pinged_s > _PING_S:
                    pinged_s = now_s
                    self._websocket.send_ping(b"")
                    self._flush()
                if now_s - heard_s > _SILENCE_S:
                    return
        except (OSError, ValueError):
            return
        finally:
            self._history.unfollow(self._sink)
            self._show.leave()

    def _take(self, line: str) -> None:
        """Take a message in the thread of the run."""
        if self._behind:
            return
        self._size += len(line)
        self._waiting.append(line)
        self._behind = self._size > MAX_WAITING

    def _send_status(self, before: str) -> str:
        """Send the status if it has changed, and the history of another run; return the status."""
        status, history = self._show.status_message(), self._show.history
        if status != before:
            self._send(status)
        if history is not self._history or not before:
            self._history.unfollow(self._sink)
            self._history = history
            self._follow()
        return status

    def _follow(self) -> None:
        """Send the history until now; what follows is sent as it comes."""
        self._history.unfollow(self._sink)
        self._shown = -1
        self._waiting.clear()
        self._size, self._behind = 0, False
        self._send(self._history.follow(self._sink))

    def _send_waiting(self) -> None:
        if self._behind:
            return self._follow()
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._waiting.popleft())
        self._size = 0
        if lines:
            self._send_lines(lines)
        return None

    def _send_lines(self, lines: list[str]) -> None:
        self._send(f'{{"kind":"messages","messages":[{",".join(lines)}]}}')

    def _send(self, text: str) -> None:
        self._websocket.send_text(text.encode())
        self._flush()

    def _flush(self) -> None:
        self._link.sendall(b"".join(self._websocket.data_to_send()))

    def _receive(self) -> None:
        data = self._link.recv(_CHUNK)
        if data:
            self._websocket.receive_data(data)
        else:
            self._websocket.receive_eof()
        for event in self._websocket.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._answer(bytes(event.data))
        self._flush()

    def _answer(self, data: bytes) -> None:
        """Answer a request; one that no page sends is ignored."""
        try:
            request: Any = parse_json(data)
            kind = request["kind"]
            tick = int(request.get("tick", 0))
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if kind == "at":
            self._rewind(tick)
        elif kind == "next":
            self._step()
        elif kind == "live":
            self._follow()
        elif kind == "again":
            self._show.request_again()

    def _rewind(self, tick: int) -> None:
        self._history.unfollow(self._sink)
        self._waiting.clear()
        self._shown, text = self._history.at(tick)
        self._send(text)

    def _step(self) -> None:
        """Send the tick after the one that is shown; nothing after the last."""
        if self._shown < 0 or self._shown >= self._history.last:
            return
        self._shown += 1
        lines = self._history.lines(self._shown)
        if lines:
            self._send_lines(lines)
        self._send(json_text({"kind": "shown", "at": self._shown}))
