"""What is said on a site, as messages: the wire that every connection reads from, and the ear that hears it all."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from broker.codec import decode
from broker.errors import PayloadError, TopicError
from broker.messages import Grant, Message, Tick
from broker.mqtt import MqttLoop
from broker.topics import Address, everything, parse
from broker.wishes import ANYBODY, SESSION_S, Credentials

LOG: Final = logging.getLogger(__name__)
RECORDER_ID: Final = "recorder"
"""As whom an ear logs in."""
EAR_ID: Final = "recorder-of-a-run"
"""An ear's client id: a recorder of its own process may hear the same site under its own."""
_ADDRESSES_KEPT: Final = 100_000


class Wire:
    """Payloads to messages and back for one site; remembers the topics it has parsed."""

    __slots__ = ("_addresses", "site")

    def __init__(self, site: str) -> None:
        self.site = site
        self._addresses: dict[str, Address] = {}

    def read(self, text: str, payload: bytes) -> tuple[Address, Message]:
        """Return address and message; raise TopicError or PayloadError for anything that is not ours."""
        address = self._addresses.get(text)
        if address is None:
            address = parse(self.site, text)
            if len(self._addresses) >= _ADDRESSES_KEPT:
                self._addresses.clear()
            self._addresses[text] = address
        return address, decode(address.row.word, payload)


class Ear:
    """Hears every message of a site on a connection of its own and calls the taps, in the order of arrival."""

    def __init__(
        self,
        loop: MqttLoop,
        wire: Wire,
        taps: Sequence[Callable[[int, str, str, Message], None]],
        credentials: Credentials = ANYBODY,
    ) -> None:
        self._wire = wire
        self._taps = tuple(taps)
        self.now_ms = 0
        self.refused = 0
        self.connection = loop.open(
            EAR_ID,
            on_message=self._on_message,
            filters=[(everything(wire.site), 1)],
            on_trouble=lambda reason, text: self._refuse(text, reason),
            session_s=SESSION_S,
            login=credentials.login(RECORDER_ID),
        )

    def _on_message(self, text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        try:
            address, message = self._wire.read(text, payload)
        except (TopicError, PayloadError) as error:
            self._refuse(text, str(error))
            return
        if isinstance(message, Tick | Grant):
            self.now_ms = max(self.now_ms, message.simulated_ms)
        for tap in self._taps:
            tap(self.now_ms, address.scope, address.sender, message)

    def _refuse(self, text: str, reason: str) -> None:
        if not self.refused:
            LOG.warning("the recorder refuses a message under %s: %s", text, reason)
        self.refused += 1
