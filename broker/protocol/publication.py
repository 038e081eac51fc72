"""A message as a client publishes it: topic, payload, QoS and whether the broker retains it, by the topic table."""

from typing import NamedTuple

from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import MESSAGE_TYPES, topic


class Publication(NamedTuple):
    """What a channel's `publish` takes."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


def publication(site: str, message: Message, scope: str, sender: str) -> Publication:
    """Return a message of a sender to a scope as it is published at a site.

    >>> from gridfleet.broker.protocol.messages import Suspension
    >>> publication("home", Suspension("by hand", "", 1, 9), "car-1", "ann").topic
    'gridfleet/home/suspension/car-1/ann'
    """
    message_type = MESSAGE_TYPES[message.TYPE]
    return Publication(
        topic(site, message, scope, sender), encode(message), message_type.qos, message_type.retain
    )
