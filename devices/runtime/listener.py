"""Listens to a whole site: subscribes to every message, and hands each to functions such as a recorder."""

import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from gridfleet.broker.errors import GridFleetError, PayloadError, shown
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, SESSION_S, Credentials
from gridfleet.broker.protocol.decoder import MessageReceiver, SiteDecoder
from gridfleet.broker.protocol.messages import Grant, Tick
from gridfleet.broker.protocol.publication import publication
from gridfleet.broker.protocol.quota import FLOOD, Quota
from gridfleet.broker.protocol.topics import RECORDER_ID, all_topics_filter
from gridfleet.devices.trust.register import Judge

LOG: Final = logging.getLogger(__name__)
LISTENER_ID: Final = "recorder-of-a-run"
"""The client id: a recorder in a process of its own may listen to the same site under RECORDER_ID."""


class SiteListener:
    """Receives every message of a site on a connection of its own as the recorder; calls the receivers in order."""

    def __init__(
        self,
        loop: MqttLoop,
        decoder: SiteDecoder,
        receivers: Sequence[MessageReceiver],
        credentials: Credentials = ADDRESS_CREDENTIALS,
        *,
        on_reconnect: Callable[[], None] | None = None,
        judge: Judge | None = None,
    ) -> None:
        """`on_reconnect` is called when a lost connection is back: messages may have been missed.

        `judge` is asked when a phase begins for suspensions, which are published as the recorder's.
        """
        self._judge = judge
        self._on_reconnect = on_reconnect
        self._was_online = False
        self._subscribed_s = monotonic()
        self._decoder = decoder
        self._quota = Quota("the listener", decoder.presences)
        self._receivers = tuple(receivers)
        self.now_ms = 0
        """Simulated time of the last tick or grant."""
        self.refused = 0
        """Messages that could not be decoded."""
        self.connection = loop.open(
            LISTENER_ID,
            on_message=self._on_message,
            filters=[(all_topics_filter(decoder.site), 1)],
            on_problem=lambda reason, topic_name: self._refuse(topic_name, reason),
            on_online=self._on_online,
            session_s=SESSION_S,
            login=credentials.login(RECORDER_ID),
        )

    def _on_online(self) -> None:
        if self._was_online and self._on_reconnect is not None:
            self._on_reconnect()
        self._was_online = True
        self._subscribed_s = monotonic()

    def _on_message(self, topic_name: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for address, message in self._decoder.decode(
            topic_name,
            payload,
            self._refuse,
            quota=self._quota,
            subscribed_s=self._subscribed_s if retained else None,
        ):
            if isinstance(message, Tick | Grant):
                self.now_ms = max(self.now_ms, message.simulated_ms)
            for receive in self._receivers:
                receive(self.now_ms, address.scope, address.sender, message)
            if self._judge is not None and isinstance(message, Tick):
                for device, suspension in self._judge():
                    topic, payload, qos, retain = publication(
                        self._decoder.site, suspension, device, RECORDER_ID
                    )
                    self.connection.publish(topic, payload, qos=qos, retain=retain)

    def _refuse(self, topic_name: str, error: GridFleetError | str) -> None:
        is_flood = isinstance(error, PayloadError) and error.reason == FLOOD  # the quota logs it
        if not self.refused and not is_flood:
            LOG.warning("the listener ignores a message on %s: %s", shown(topic_name), error)
        self.refused += 1
