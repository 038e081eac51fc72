"""Channels: an agent's connection to the broker, whether it has its own or shares one.

`Connection` and `SharedChannel` are channels; `MqttLoop`, `TickFanout` and `SharedConnection` open them.
"""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

from gridfleet.broker.mqtt.client_options import NO_LOGIN, Login, Will
from gridfleet.broker.mqtt.event_loop import Timer


class Channel(Protocol):
    """A client's connection to the broker: its own, or its share of one."""

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it is closed for good."""
        ...

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        expiry_s: float | None = None,
        supersedes: bool = False,
    ) -> bool:
        """Publish a message; return False when it was dropped."""
        ...

    def drop(self, reason: str, *, offline_s: float = 0.0) -> None:
        """Lose the connection, without a DISCONNECT, and reconnect after that many seconds."""
        ...

    def close(self) -> None:
        """Disconnect after everything that was published has been sent."""
        ...


class ChannelFactory(Protocol):
    """Opens channels; `MqttLoop.open` explains the arguments."""

    @property
    def via(self) -> str | None:
        """The fleet process whose connection the channels share; None when each has its own."""
        ...

    @property
    def idle(self) -> bool:
        """Whether everything that has arrived has been handled."""
        ...

    def open(  # noqa: PLR0913 - MQTT's CONNECT has as many
        self,
        client_id: str,
        *,
        on_message: Callable[[str, bytes, bool], None],
        filters: Sequence[tuple[str, int]] = (),
        will: Will | None = None,
        on_online: Callable[[], None] | None = None,
        on_problem: Callable[[str, str], None] | None = None,
        session_s: int = 0,
        login: Login = NO_LOGIN,
        rng: random.Random | None = None,
    ) -> Channel:
        """Return a channel that comes online while the loop runs."""
        ...

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make the call after that many seconds, while the loop runs."""
        ...
