"""One connection for many devices of a process: cheap virtual fleets, chosen explicitly and visible as such.

with MqttLoop(address) as loop:
    shared = SharedConnection(loop, SiteDecoder("home"), "fleet-1")
    house = shared.open("house-1", on_message=print, filters=[("gridfleet/home/tick/+", 1)], will=last_will)

Each device opens its channel here as it would open a connection at the loop, and publishes and receives the same
messages. Messages whose receivers all unpack batches are sent in batches (`protocol.batch`), at the latest at the end
of the loop's turn. Retained messages, and messages to a device with a connection of its own, are sent one by one. So
such a device needs only one rule for fleet processes: when one is offline (`FleetPresence`), so are its devices.
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
from gridfleet.broker.mqtt.sharing.shared_channel import SharedChannel, SharedChannels, Subscription
from gridfleet.broker.protocol.batch import Batch
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.messages import FleetPresence, Presence, Tick
from gridfleet.broker.protocol.quota import FLOOD, Quota
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

PRESENCE_DELAY_S: Final = 1.0
"""Seconds between a refusal and the presence of the fleet process that counts it."""


class SharedConnection:
    """Opens channels as `MqttLoop` opens connections, all in one connection."""

    def __init__(
        self, loop: MqttLoop, decoder: SiteDecoder, fleet_process: str, login: Login = NO_LOGIN
    ) -> None:
        """Open the connection, with `fleet_process` as client id; `decoder` is the one that its devices use."""
        self.fleet_process = fleet_process
        self.refused: dict[str, int] = {}
        """The number of refused batches and messages, by reason."""
        self._loop = loop
        self._decoder = decoder
        self._channels = SharedChannels()
        self._subscribed: set[str] = set()
        self._batch_cells: dict[tuple[str, str], str | None] = {}
        self._batch_cells_version = -1
        self._quota = Quota(fleet_process, decoder.presences)
        self._batches: dict[tuple[MessageType, str], Batch] = {}
        self._presence_timer: Timer | None = None
        self._topic = topic(decoder.site, self._presence(online=False), "", fleet_process)
        presences = [topic_filter(decoder.site, each.TYPE) for each in (Presence, FleetPresence)]
        self._subscribed.update(presences)
        self.connection = loop.open(
            fleet_process,
            on_message=self._on_message,
            filters=[(each, 1) for each in presences],
            will=Will(self._topic, encode(self._presence(online=False))),
            on_online=self._on_online,
            on_problem=self._on_problem,
            session_s=SESSION_S,
            login=login,
        )

    @property
    def online(self) -> bool:
        """Whether the broker has accepted the connection and all of its filters."""
        return self.connection.online

    @property
    def via(self) -> str:
        """The fleet process that the presence of its devices names."""
        return self.fleet_process

    @property
    def idle(self) -> bool:
        """Whether everything that has arrived has been handled."""
        return self._loop.idle

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make the call after that many seconds, while the loop runs."""
        return self._loop.call_later(delay_s, call)

    def open(  # noqa: PLR0913 - as MqttLoop.open
        self,
        client_id: str,
        *,
        on_message: Callable[[str, bytes, bool], None],
        filters: Sequence[tuple[str, int]] = (),
        will: Will | None = None,
        on_online: Callable[[], None] | None = None,
        on_problem: Callable[[str, str], None] | None = None,
        session_s: int = 0,  # noqa: ARG002 - the connection's own
        login: Login = NO_LOGIN,  # noqa: ARG002 - the connection's own
        rng: random.Random | None = None,  # noqa: ARG002 - the connection's own
    ) -> SharedChannel:
        """Return a device's channel. Its last will names its cell; the fleet process's last will stands for it."""
        if will is None:
            raise BrokerError(f"{client_id} has no last will: only devices may share a connection")
        cell = self._decoder.address(will.topic).scope.partition("/")[0]
        channel = SharedChannel(self, client_id, cell, on_message, on_online, on_problem)
        self._channels.add(channel)
        for pattern, qos in filters:
            self._subscribe(channel, pattern, qos)
        return channel

    # --- for the channels --------------------------------------------------------------------------------

    def publish(
        self, topic_name: str, payload: bytes, *, qos: int, retain: bool, expiry_s: float | None
    ) -> bool:
        """Put a message into its batch, or publish it alone where a receiver does not unpack batches."""
        batch_cell = None
        if not retain:
            address = self._decoder.address(topic_name)
            batch_cell = self._batch_cell(address)
        if batch_cell is None:
            self.write()  # keeps the order
            return self.connection.publish(topic_name, payload, qos=qos, retain=retain, expiry_s=expiry_s)
        message_type, scope, sender = address
        key = message_type, batch_cell
        batch = self._batches.get(key)
        rest = f"{scope}/{sender}" if scope else sender
        if batch is None or not batch.add(rest, payload, expiry_s):
            if batch is not None or not self._batches:
                self.write()
                self._loop.write_later(self)
            batch = Batch()
            if not batch.add(rest, payload, expiry_s):
                raise PayloadError(
                    message_type.name, "oversized", f"{len(payload)} bytes are too many for a batch"
                )
            self._batches[key] = batch
        return True

    def drop(self, reason: str, *, offline_s: float) -> None:
        """Give up the connection without a DISCONNECT; a second call before it is back changes nothing."""
        self.connection.drop(reason, offline_s=offline_s)

    def remove(self, channel: SharedChannel) -> None:
        """Forget a closed channel; the connection ends with the last one."""
        self._channels.remove(channel)
        if not self._channels and not self.connection.closed:
            self.write()
            self._publish_presence(online=False)
            self.connection.close()

    # --- for the loop ------------------------------------------------------------------------------------

    def write(self) -> None:
        """Publish all batches; those to the whole site last, because the clock continues when it has them."""
        batches, self._batches = self._batches, {}
        for (message_type, cell), batch in sorted(
            batches.items(), key=lambda each: each[0][0].scope is Scope.SITE
        ):
            topic_name = batch_topic(self._decoder.site, message_type.name, cell, self.fleet_process)
            expiry_s = batch.expiry_s if message_type.expires else None
            self.connection.publish(topic_name, batch.payload, qos=message_type.qos, expiry_s=expiry_s)

    # --- the connection ----------------------------------------------------------------------------------

    def _subscribe(self, channel: SharedChannel, pattern: str, qos: int) -> None:
        subscription = Subscription.from_filter(pattern)
        self._channels.subscribe(channel, subscription)
        message_type = MESSAGE_TYPES[subscription.message_type]
        filters = [pattern]
        if not message_type.retain and message_type.scope in {Scope.CELL, Scope.DEVICE}:
            cell = subscription.scope if message_type.scope is Scope.CELL else channel.cell
            filters.append(batch_topic(self._decoder.site, message_type.name, cell, ALL))
        for each in filters:
            if each not in self._subscribed:
                self._subscribed.add(each)
                self.connection.subscribe(each, qos)

    def _batch_cell(self, address: Address) -> str | None:
        """Return the cell of the batch that a message may go into; None when it must be sent alone."""
        if self._batch_cells_version != self._decoder.presences.version:
            self._batch_cells.clear()
            self._batch_cells_version = self._decoder.presences.version
        key = address.message_type.name, address.scope
        if key not in self._batch_cells:
            self._batch_cells[key] = self._find_batch_cell(address)
        return self._batch_cells[key]

    def _find_batch_cell(self, address: Address) -> str | None:
        message_type, scope, _ = address
        match message_type.scope:
            case Scope.SITE:
                return WHOLE_SITE
            case Scope.DEVICE:
                cell_and_process = self._decoder.presences.fleet_of(scope)
                return None if cell_and_process is None else cell_and_process[0]
            case Scope.CELL:
                roles = frozenset(chain.from_iterable(access.roles for access in message_type.readers))
                ranges = (message_type.to_cells, *(access.from_cells for access in message_type.readers))
                own_cell_only = all(each is CellRange.OWN for each in ranges)
                direct = self._decoder.presences.any_direct(roles, scope if own_cell_only else None)
                return None if direct else scope
            case _:
                return None

    def _on_message(self, topic_name: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for each, inner in self._decoder.unpack(topic_name, payload, self._refuse, self._quota):
            try:
                message_type, scope, sender = self._decoder.address(each)
                if message_type.message_class is FleetPresence and sender == self.fleet_process:
                    continue  # its own last will, after reconnecting
                if message_type.message_class in {Presence, FleetPresence, Tick}:
                    # batch cells depend on presences even if no channel receives them, quotas on ticks
                    message = self._decoder.decode_one(each, inner)[1]
                    if isinstance(message, Tick):
                        self._quota.begin_tick(message.epoch, message.tick)
            except (TopicError, PayloadError) as error:
                self._refuse(each, error)
                continue
            for channel in self._channels.receivers(message_type.name, scope):
                if not channel.closed:
                    channel.on_message(each, inner, retained)

    def _on_online(self) -> None:
        self._publish_presence(online=True)
        for channel in self._channels:
            if channel.on_online is not None:
                channel.on_online()

    def _on_problem(self, reason: str, topic_name: str) -> None:
        """Report a denied publication to its sender; count messages of another schema version."""
        channel = self._channels.get(topic_name.rpartition("/")[2])
        if channel is not None and channel.on_problem is not None:
            channel.on_problem(reason, topic_name)
        else:
            self._refuse(topic_name, PayloadError("message", reason, reason))

    def _refuse(self, topic_name: str, error: GridFleetError) -> None:
        reason = error.reason if isinstance(error, PayloadError) else "topic"
        if reason not in self.refused and reason != FLOOD:  # the quota logs it
            _log.warning("%s refuses a message under %s: %s", self.fleet_process, topic_name, error)
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if self._presence_timer is None:
            self._presence_timer = self._loop.call_later(PRESENCE_DELAY_S, self._publish_refusals)

    def _publish_refusals(self) -> None:
        self._presence_timer = None
        if self.online:  # else its presence is published after reconnecting
            self._publish_presence(online=True)

    def _publish_presence(self, *, online: bool) -> None:
        self.connection.publish(self._topic, encode(self._presence(online=online)), qos=1, retain=True)

    def _presence(self, *, online: bool) -> FleetPresence:
        return FleetPresence(online, len(self._channels), dict(self.refused))
