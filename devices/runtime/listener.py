"""The ear that hears all that is said on a site."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from gridfleet.broker.errors import GridFleetError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, SESSION_S, Credentials
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Grant, Message, Tick
from gridfleet.broker.protocol.topics import RECORDER_ID, all_topics_filter

LOG: Final = logging.getLogger(__name__)
EAR_ID: Final = "recorder-of-a-run"
"""An ear's client id: a recorder of its own process may hear the same site under its own."""


class SiteListener:
    """Hears every message of a site on a connection of its own and calls the taps, in the order of arrival."""

    def __init__(
        self,
        loop: MqttLoop,
        decoder: SiteDecoder,
        taps: Sequence[Callable[[int, str, str, Message], None]],
        credentials: Credentials = ADDRESS_CREDENTIALS,
        *,
        on_return: Callable[[], None] | None = None,
    ) -> None:
        """`on_return` is called when a lost connection is back: something may have been missed."""
        self._on_return = on_return
        self._heard_before = False
        self._decoder = decoder
        self._taps = tuple(taps)
        self.now_ms = 0
        self.refused = 0
        self.connection = loop.open(
            EAR_ID,
            on_message=self._on_message,
            filters=[(all_topics_filter(decoder.site), 1)],
            on_problem=lambda reason, text: self._refuse(text, reason),
            on_online=self._online,
            session_s=SESSION_S,
            login=credentials.login(RECORDER_ID),
        )

    def _online(self) -> None:
        if self._heard_before and self._on_return is not None:
            self._on_return()
        self._heard_before = True

    def _on_message(self, text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for address, message in self._decoder.decode(text, payload, self._refuse):
            if isinstance(message, Tick | Grant):
                self.now_ms = max(self.now_ms, message.simulated_ms)
            for tap in self._taps:
                tap(self.now_ms, address.scope, address.sender, message)

    def _refuse(self, text: str, error: GridFleetError | str) -> None:
        if not self.refused:
            LOG.warning("the recorder refuses a message under %s: %s", text, error)
        self.refused += 1
