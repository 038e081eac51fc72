"""What a liar may publish: the simulation holds it to the access rules that a broker enforces."""

from typing import Final

from gridfleet.broker.access_control import Identity, publish_filters
from gridfleet.broker.errors import PayloadError, TopicError
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import Message
from gridfleet.broker.protocol.topics import scope_matches, topic
from gridfleet.devices.agents.base import Agent, Out

DENIED: Final = "denied"
"""The refusal that a device counts when a broker denies what it publishes."""


class Rights:
    """The access rules of one device, and what the decoder of every receiver refuses."""

    __slots__ = ("_agent", "_decoder", "_filters")

    def __init__(self, site: str, agent: Agent, neighbours: tuple[str, ...]) -> None:
        """`neighbours` are the cells beside the agent's own."""
        identity = Identity(agent.id, agent.role, agent.cell, neighbours)
        self._filters = tuple(publish_filters(site, identity))
        self._decoder = SiteDecoder(site)
        self._agent = agent

    def permitted(self, out: Out) -> Out:
        """Return the messages that reach their receivers; the others are counted as refused."""
        return [each for each in out if self._permits(*each)]

    def _permits(self, scope: str, message: Message) -> bool:
        topic_name = topic(self._decoder.site, message, scope, self._agent.id)
        if not any(scope_matches(pattern, topic_name) for pattern in self._filters):
            self._agent.refuse(DENIED)
            return False
        try:
            self._decoder.decode_one(topic_name, encode(message))
        except (TopicError, PayloadError):
            self._agent.refuse(DENIED)
            return False
        return True
