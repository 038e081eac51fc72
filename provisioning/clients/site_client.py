"""Client of a running site: subscribes on a connection of its own, and passes decoded messages on."""

import secrets
from collections.abc import Callable, Iterable
from typing import Self

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.codec import SCHEMA, encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.quota import Quota
from gridfleet.broker.protocol.topics import Address
from gridfleet.provisioning.cli.broker_options import CONNECT_TIMEOUT_S

OnMessage = Callable[[Address, Message, bool], None]
"""Receives the address, the message, and whether the broker had retained it."""


class SiteClient:
    """Context manager: a connection to a running site; invalid messages are ignored."""

    def __init__(
        self,
        address: BrokerAddress,
        site: str,
        login: Login,
        *,
        purpose: str,
        filters: Iterable[str],
        on_message: OnMessage,
    ) -> None:
        """Prepare the connection; entering the context raises BrokerError when the broker cannot be reached.

        `purpose` is the beginning of the client id.
        """
        self._decoder = SiteDecoder(site, login.verify)
        self._quota = Quota(purpose, self._decoder.presences)
        self._on_message = on_message
        self._loop = MqttLoop(address, schema=SCHEMA)
        self._connection = self._loop.open(
            f"{purpose}-{secrets.token_hex(4)}",
            on_message=self._receive,
            filters=[
                (each, 0) for each in filters
            ],  # with QoS 1, rumqttd does not deliver all retained messages
            login=login,
        )

    def __enter__(self) -> Self:
        self._loop.__enter__()
        try:
            self._loop.wait_online(CONNECT_TIMEOUT_S)
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()

    @property
    def offline_reason(self) -> str:
        """Why the connection is lost; empty while it is online."""
        return "" if self._connection.online else self._connection.offline_reason

    def publish_retained(self, topic: str, message: Message) -> None:
        """Publish a retained message with QoS 1, for the run in progress where a tick of it was received."""
        epoch = self._decoder.epoch if self._decoder.epoch >= 0 else None
        self._connection.publish(topic, encode(message, epoch), qos=1, retain=True)

    def run_until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Process messages until the condition holds; return False when the time is over before."""
        return self._loop.run_until(condition, timeout_s)

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for address, message in self._decoder.decode(topic, payload, lambda *_: None, quota=self._quota):
            self._on_message(address, message, retained)
