"""Reports a device that is being revoked as offline: the broker would refuse its last will."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Presence
from gridfleet.broker.protocol.topics import ALL, topic_filter
from gridfleet.provisioning.cli.broker_options import CONNECT_TIMEOUT_S

VIEWER: Final = "viewer"
WAIT_S: Final = 1.5
"""How long to wait for the retained presence, in seconds."""
SETTLED_S: Final = 0.5
"""How long to wait for a presence that the device publishes before the broker refuses it, in seconds."""


class Logins(NamedTuple):
    """How to log in as the device, and as a viewer, who may read its presence."""

    device: Login
    viewer: Login


def publish_offline(
    address: BrokerAddress, site: str, name: str, logins: Logins, end_login: Callable[[], None]
) -> str:
    """Replace the retained presence of a device by one that is offline; return what was done, as text.

    This disconnects the device, which would connect again at once: `end_login` makes the broker refuse it.
    Raises BrokerError for a broker that cannot be reached, refuses a login, or does not accept the presence, before
    `end_login` is called, and after it where the device was faster.
    """
    decoder = SiteDecoder(site)
    retained: list[tuple[str, Presence]] = []
    denied: list[str] = []

    def receive(topic: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for sender, message in decoder.decode(topic, payload, lambda *_: None):
            if sender.sender == name and isinstance(message, Presence):
                retained.append((topic, message))

    with MqttLoop(address) as loop:
        loop.open(
            f"revoke-{secrets.token_hex(4)}",
            on_message=receive,
            filters=[(topic_filter(site, Presence.TYPE, f"{ALL}/{ALL}", name), 0)],
            login=logins.viewer,
        )
        loop.wait_online(CONNECT_TIMEOUT_S)
        if not loop.run_until(lambda: bool(retained), WAIT_S):
            end_login()
            return f"{name} has none"
        topic, presence = retained[-1]
        device = loop.open(
            name,
            on_message=lambda *_: None,
            on_problem=lambda reason, about: denied.append(about) if reason == "denied" else None,
            login=logins.device,
        )
        device.publish(topic, encode(replace(presence, online=False)), qos=1, retain=True)
        loop.wait_online(CONNECT_TIMEOUT_S)
        if not loop.run_until(lambda: device.all_acknowledged, CONNECT_TIMEOUT_S) or denied:
            raise BrokerError(f"{address} did not accept the presence of {name}")
        device.abort()  # the loop would raise that it is refused
        end_login()
        loop.run_until(lambda: False, SETTLED_S)
        if retained[-1][1].online:
            raise BrokerError(f"{name} connected again before {address} refused it")
    return f"{name} is offline"
