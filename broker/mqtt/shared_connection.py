"""One connection for many devices of a process: cheap virtual fleets, chosen explicitly and shown as such.

with MqttLoop(address) as loop:
    lines = SharedConnection(loop, SiteDecoder("home"), "fleet-1")
    house = lines.open("house-1", on_message=print, filters=[("gridfleet/home/tick/+", 1)], will=birth_or_death)

Each device opens its line here as it would at the loop, and hears and says the same. What all receivers can take
from a batch leaves as batches (`protocol.batch`), at the end of the loop's turn at the latest; what is retained, and
what a device with a connection of its own shall hear, leaves as it is. So such devices need know nothing of hosts,
but that with one of them (`FleetPresence`) all its devices die.
"""

import logging
import random
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Final

from gridfleet.broker.errors import BrokerError, GridFleetError, PayloadError, TopicError
from gridfleet.broker.mqtt.client import MqttLoop
from gridfleet.broker.mqtt.client_options import NO_LOGIN, SESSION_S, Login, Will
from gridfleet.broker.mqtt.event_loop import Timer
from gridfleet.broker.mqtt.multiplexing import SharedChannel, SharedChannels, Subscription
from gridfleet.broker.protocol.batch import Batch
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import FleetPresence, Presence
from gridfleet.broker.protocol.topics import (
    ALL,
    MESSAGE_TYPES,
    WHOLE_SITE,
    Address,
    CellRange,
    MessageType,
    Scope,
    batch_topic,
    topic,
    topic_filter,
)

_log = logging.getLogger(__name__)

TELL_S: Final = 1.0
"""How soon the host's retained message counts what it has refused, in seconds."""


class SharedConnection:
    """Opens lines as `MqttLoop` opens connections, all in one connection."""

    def __init__(self, loop: MqttLoop, decoder: SiteDecoder, host: str, login: Login = NO_LOGIN) -> None:
        """Open the connection as `host`. `decoder` is the one that its devices use."""
        self.host = host
        self.refused: dict[str, int] = {}
        """How many batches and messages were not acted upon, by reason."""
        self._loop = loop
        self._decoder = decoder
        self._members = SharedChannels()
        self._subscribed: set[str] = set()
        self._routes: dict[tuple[str, str], str | None] = {}
        self._routes_of = -1
        self._batches: dict[tuple[MessageType, str], Batch] = {}
        self._telling: Timer | None = None
        self._topic = topic(decoder.site, self._message(online=False), "", host)
        about = [topic_filter(decoder.site, word) for word in (Presence.TYPE, FleetPresence.TYPE)]
        self._subscribed.update(about)
        self.connection = loop.open(
            host,
            on_message=self._hear,
            filters=[(each, 1) for each in about],
            will=Will(self._topic, encode(self._message(online=False))),
            on_online=self._on_online,
            on_trouble=self._on_trouble,
            session_s=SESSION_S,
            login=login,
        )

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        return self.connection.online

    @property
    def via(self) -> str:
        """The host by which its devices say they speak."""
        return self.host

    @property
    def idle(self) -> bool:
        """Whether nothing that has arrived waits to be handled."""
        return self._loop.idle

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Have the call made after that many seconds, while the loop runs."""
        return self._loop.call_later(delay_s, call)

    def open(  # noqa: PLR0913 - as MqttLoop.open
        self,
        client_id: str,
        *,
        on_message: Callable[[str, bytes, bool], None],
        filters: Sequence[tuple[str, int]] = (),
        will: Will | None = None,
        on_online: Callable[[], None] | None = None,
        on_trouble: Callable[[str, str], None] | None = None,
        session_s: int = 0,  # noqa: ARG002 - the connection's own
        login: Login = NO_LOGIN,  # noqa: ARG002 - the connection's own
        rng: random.Random | None = None,  # noqa: ARG002 - the connection's own
    ) -> SharedChannel:
        """Return a device's line. Its last will says where it lives, and is the host's to fulfil."""
        if will is None:
            raise BrokerError(f"{client_id} has no last will: only devices share a connection")
        cell = self._decoder.address(will.topic).scope.partition("/")[0]
        member = SharedChannel(self, client_id, cell, on_message, on_online, on_trouble)
        self._members.add(member)
        for text, qos in filters:
            self._subscribe(member, text, qos)
        return member

    # --- for the devices ---------------------------------------------------------------------------------

    def publish(self, text: str, payload: bytes, *, qos: int, retain: bool, expiry_s: float | None) -> bool:
        """Put a message into its batch, or say it as it is where not all who hear it can take a batch."""
        route = None
        if not retain:
            address = self._decoder.address(text)
            route = self._route(address)
        if route is None:
            self.write()  # what was said before goes out before
            return self.connection.publish(text, payload, qos=qos, retain=retain, expiry_s=expiry_s)
        message_type, scope, sender = address
        key = message_type, route
        batch = self._batches.get(key)
        rest = f"{scope}/{sender}" if scope else sender
        if batch is None or not batch.add(rest, payload, expiry_s):
            if batch is not None or not self._batches:
                self.write()
                self._loop.mark(self)
            batch = Batch()
            if not batch.add(rest, payload, expiry_s):
                raise PayloadError(
                    message_type.name, "oversized", f"{len(payload)} bytes are too many for a batch"
                )
            self._batches[key] = batch
        return True

    def drop(self, trouble: str, *, away_s: float) -> None:
        """Give up the connection for so long, without a good-bye; again before it is back changes nothing."""
        self.connection.drop(trouble, away_s=away_s)

    def leave(self, member: SharedChannel) -> None:
        """Forget a device; with the last of them the connection ends."""
        self._members.remove(member)
        if not self._members and not self.connection.closed:
            self.write()
            self._tell(online=False)
            self.connection.close()

    # --- for the loop ------------------------------------------------------------------------------------

    def write(self) -> None:
        """Publish all batches; what is said to the whole site last, for the clock goes on when it has heard it."""
        batches, self._batches = self._batches, {}
        for (message_type, cell), batch in sorted(
            batches.items(), key=lambda each: each[0][0].scope is Scope.SITE
        ):
            text = batch_topic(self._decoder.site, message_type.name, cell, self.host)
            expiry_s = batch.expiry_s if message_type.expires else None
            self.connection.publish(text, batch.payload, qos=message_type.qos, expiry_s=expiry_s)

    # --- the connection ----------------------------------------------------------------------------------

    def _subscribe(self, member: SharedChannel, text: str, qos: int) -> None:
        asked = Subscription.of(text)
        self._members.subscribe(member, asked)
        message_type = MESSAGE_TYPES[asked.word]
        texts = [text]
        if not message_type.retain and message_type.scope in {Scope.CELL, Scope.DEVICE}:
            cell = asked.scope[0] if message_type.scope is Scope.CELL else member.cell
            texts.append(batch_topic(self._decoder.site, asked.word, cell, ALL))
        for each in texts:
            if each not in self._subscribed:
                self._subscribed.add(each)
                self.connection.subscribe(each, qos)

    def _route(self, address: Address) -> str | None:
        """Return the cell of the batch that a message may go into; None when it must go by itself."""
        if self._routes_of != self._decoder.presences.version:
            self._routes.clear()
            self._routes_of = self._decoder.presences.version
        key = address.message_type.name, address.scope
        if key not in self._routes:
            self._routes[key] = self._find_route(address)
        return self._routes[key]

    def _find_route(self, address: Address) -> str | None:
        message_type, scope, _ = address
        match message_type.scope:
            case Scope.SITE:
                return WHOLE_SITE
            case Scope.DEVICE:
                home = self._decoder.presences.fleet_of(scope)
                return None if home is None else home[0]
            case Scope.CELL:
                kinds = frozenset(chain.from_iterable(access.kinds for access in message_type.readers))
                near = (
                    any(access.from_cells is not CellRange.OWN for access in message_type.readers)
                    or message_type.to_cells is not CellRange.OWN
                )
                return None if self._decoder.presences.any_direct(kinds, None if near else scope) else scope
            case _:
                return None

    def _hear(self, text: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for each, inner in self._decoder.unpack(text, payload, self._refuse):
            try:
                message_type, scope, sender = self._decoder.address(each)
                if message_type.message_class is FleetPresence and sender == self.host:
                    continue  # its own last will, when it comes back
                if message_type.message_class in {
                    Presence,
                    FleetPresence,
                }:  # for the routes, whether a device here hears it or not
                    self._decoder.decode_one(each, inner)
            except (TopicError, PayloadError) as error:
                self._refuse(each, error)
                continue
            for member in self._members.hearing(message_type.name, scope):
                if not member.closed:
                    member.on_message(each, inner, retained)

    def _on_online(self) -> None:
        self._tell(online=True)
        for member in self._members:
            if member.on_online is not None:
                member.on_online()

    def _on_trouble(self, reason: str, text: str) -> None:
        """Pass on what the broker does not let through to its sender; count what is of another schema."""
        member = self._members.get(text.rpartition("/")[2])
        if member is not None and member.on_trouble is not None:
            member.on_trouble(reason, text)
        else:
            self._refuse(text, PayloadError("message", reason, reason))

    def _refuse(self, text: str, error: GridFleetError) -> None:
        reason = error.reason if isinstance(error, PayloadError) else "topic"
        if reason not in self.refused:
            _log.warning("%s refuses a message under %s: %s", self.host, text, error)
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if self._telling is None:
            self._telling = self._loop.call_later(TELL_S, self._tell_again)

    def _tell_again(self) -> None:
        self._telling = None
        if self.online:  # else it is told on return
            self._tell(online=True)

    def _tell(self, *, online: bool) -> None:
        self.connection.publish(self._topic, encode(self._message(online=online)), qos=1, retain=True)

    def _message(self, *, online: bool) -> FleetPresence:
        return FleetPresence(online, len(self._members), dict(self.refused))
