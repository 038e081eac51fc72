"""What a client asks of its connection; `MqttLoop.open` explains each."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .address import BrokerAddress


class Will(NamedTuple):
    """What the broker publishes when the connection is lost without a good-bye."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = True


@dataclass(slots=True)
class Wishes:
    """The filters are pairs of topic filter and QoS; more may be added later."""

    address: BrokerAddress
    tls: ssl.SSLContext | None
    on_message: Callable[[str, bytes, bool], None]
    on_online: Callable[[], None] | None
    will: Will | None
    filters: list[tuple[str, int]]
