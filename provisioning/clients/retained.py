"""The retained messages of a site: reads them, says who is online, and clears them."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from gridfleet.broker.address import BrokerAddress
from gridfleet.broker.errors import BrokerError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import Login
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import FleetPresence, Message, Presence
from gridfleet.broker.protocol.topics import (
    ROOT,
    Address,
    all_topics_filter,
    discovery_filter,
    discovery_topic,
)
from gridfleet.provisioning.cli.broker_options import CONNECT_TIMEOUT_S

QUIET_S: Final = 1.0
"""All retained messages have arrived when none comes for so long, in seconds."""
ACKNOWLEDGED_S: Final = 30.0
MAX_CONNECTIONS: Final = 50


def read_retained(
    address: BrokerAddress, site: str, login: Login, *, schema: str = "", quiet_s: float = QUIET_S
) -> dict[str, bytes]:
    """Return the retained messages of a site, and the Home Assistant discovery of its senders, by topic.

    With a `schema`, messages that state another schema version are left out.
    Raises BrokerError for a broker that cannot be reached or refuses the login.
    """
    found: dict[str, bytes] = {}

    def receive(topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        if retained and payload:
            found[topic] = payload

    with MqttLoop(address, schema=schema) as loop:
        loop.open(
            login.username or _client_id(),
            on_message=receive,
            filters=[(all_topics_filter(site), 0), (discovery_filter(), 0)],
            login=login,
        )
        loop.wait_online(CONNECT_TIMEOUT_S)
        known = -1
        while known != len(found):
            known = len(found)
            loop.run_until(lambda: False, quiet_s)
    own = {topic: payload for topic, payload in found.items() if topic.startswith(f"{ROOT}/{site}/")}
    discovery = {discovery_topic(site, sender) for sender in map(sender_of, own)}
    return own | {topic: payload for topic, payload in found.items() if topic in discovery}


def sender_of(topic: str) -> str:
    """Return the sender of a topic of a site, its last level."""
    return topic.rpartition("/")[2]


def decoded(site: str, retained: Mapping[str, bytes]) -> list[tuple[Address, Message]]:
    """Return the valid messages among retained ones; a device is offline when its fleet process is.

    Births come first, since they say who may have published the rest.
    """
    decoder = SiteDecoder(site)
    first = [f"{ROOT}/{site}/{message_type}/" for message_type in (Presence.TYPE, FleetPresence.TYPE)]
    ordered = sorted(retained.items(), key=lambda each: [not each[0].startswith(prefix) for prefix in first])
    return [
        message
        for topic, payload in ordered
        if topic.startswith(f"{ROOT}/{site}/")
        for message in decoder.decode(topic, payload, lambda *_: None)
    ]


def presences(messages: Iterable[tuple[Address, Message]]) -> dict[str, bool]:
    """Return who is known at a site, clock and fleet processes included, and whether each is online."""
    return {
        address.sender: message.online
        for address, message in messages
        if isinstance(message, Presence | FleetPresence)
    }


def topics_by_sender(site: str, retained: Iterable[str]) -> dict[str, list[str]]:
    """Return the topics of retained messages by the sender that published them."""
    topics = list(retained)
    found: dict[str, list[str]] = {}
    for topic in topics:
        if topic.startswith(f"{ROOT}/{site}/"):
            found.setdefault(sender_of(topic), []).append(topic)
    for sender, own in found.items():
        if discovery_topic(site, sender) in topics:
            own.append(discovery_topic(site, sender))
    return found


def clear_retained(
    address: BrokerAddress, topics: Mapping[str, Sequence[str]], login_of: Callable[[str], Login]
) -> set[str]:
    """Clear retained messages, each with the login of its sender; return the topics that the broker did not allow.

    Raises BrokerError for a broker that cannot be reached, refuses a login, or does not answer.
    """
    denied: set[str] = set()
    senders = iter(topics)
    while group := list(islice(senders, MAX_CONNECTIONS)):
        with MqttLoop(address) as loop:
            connections = {}
            for sender in group:
                login = login_of(sender)
                connections[sender] = loop.open(
                    login.username or _client_id(),
                    on_message=lambda *_: None,
                    on_problem=lambda reason, about: denied.add(about) if reason == "denied" else None,
                    login=login,
                )
            loop.wait_online(CONNECT_TIMEOUT_S)
            for sender, connection in connections.items():
                for topic in topics[sender]:
                    connection.publish(topic, b"", qos=1, retain=True)
            if not loop.run_until(
                lambda: all(each.all_acknowledged for each in connections.values()),  # noqa: B023 - runs at once
                ACKNOWLEDGED_S,
            ):
                raise BrokerError(f"{address} has not acknowledged all messages within {ACKNOWLEDGED_S:g} s")
    return denied


def _client_id() -> str:
    return f"retained-{secrets.token_hex(4)}"
