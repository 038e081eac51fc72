"""Runs an agent on a broker: decodes its messages, publishes its answers, and wakes it at the instants it asks for.

The same agents run in the simulation. Here each has a channel of its own: a connection, or a share of one
(`gridfleet.broker.mqtt.sharing.shared_connection`). One loop in one thread drives all of them.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from gridfleet.broker.errors import GridFleetError, PayloadError, shown
from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, SESSION_S, Credentials, Will
from gridfleet.broker.mqtt.connection import DENIED, SESSION_TAKEN_OVER
from gridfleet.broker.mqtt.event_loop import Timer
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.home_assistant import discovery_message
from gridfleet.broker.protocol.messages import (
    FleetPresence,
    Message,
    Presence,
    Registration,
    State,
    Suspension,
)
from gridfleet.broker.protocol.quota import FLOOD, Quota
from gridfleet.broker.protocol.topics import (
    ALL,
    MESSAGE_TYPES,
    Address,
    Scope,
    batch_topic,
    topic,
    topic_filter,
)
from gridfleet.devices.agents.base import Agent, Out

LOG: Final = logging.getLogger(__name__)


def real_ms() -> int:
    """Return monotonic real time in milliseconds."""
    return time.monotonic_ns() // 1_000_000


class AgentRunner:
    """Base of the runners of devices and of the clock: one agent on one channel."""

    def __init__(
        self,
        agent: Agent,
        channels: ChannelFactory,
        decoder: SiteDecoder,
        credentials: Credentials = ADDRESS_CREDENTIALS,
    ) -> None:
        """Connect as the agent, with its last will; call `start` once it is online."""
        self.agent = agent
        self._channels = channels
        self._decoder = decoder
        self._quota = Quota(agent.id, decoder.presences)
        self._presence_scopes = [scope for name, scope in agent.subscriptions() if name == Presence.TYPE]
        self._started = False
        self._discoverable = False
        self._account: tuple[str, State] | None = None
        """The account that the agent has published last, with its scope."""
        self._subscribed_s = time.monotonic()
        """When the broker accepted its filters last, by `time.monotonic()`."""
        self._timer: Timer | None = None
        self._timer_for: tuple[int | None, int | None] = (None, None)
        """The event and the deadline of the agent for which the timer is set."""
        scope, will = agent.presence(online=False)
        self.connection = channels.open(
            agent.id,
            on_message=self._on_message,
            filters=list(filters_of(decoder.site, agent)),
            will=Will(topic(decoder.site, will, scope, agent.id), encode(will)),
            on_online=self._on_online,
            on_problem=self._on_problem,
            session_s=SESSION_S,
            login=credentials.login(agent.id),
        )

    def start(self) -> None:
        """Publish the agent's birth."""
        self._started = True
        self._act(self.agent.start(self.now_ms()))

    def publish_discovery(self) -> None:
        """Publish the agent's configuration for Home Assistant, now and after each lost connection."""
        self._discoverable = True
        topic_name, payload = discovery_message(self._decoder.site, self.agent.id, *self.agent.presence())
        self.connection.publish(topic_name, payload, qos=1, retain=True)

    def stop(self) -> None:
        """Publish that the agent is offline, so that no device waits for it, and close its connection."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.connection.closed:
            self._publish([self.agent.presence(online=False)])
            self.connection.close()

    # --- what differs between a device and the clock -----------------------------------------------------

    def now_ms(self) -> int:
        """Return the agent's time."""
        raise NotImplementedError

    def real_delay_ms(self, due_ms: int) -> int:
        """Return the real milliseconds until an instant of the agent's time."""
        raise NotImplementedError

    def receive(self, address: Address, message: Message) -> None:
        """Hand a message to the agent, and publish its answer."""
        self._act(self.agent.handle(address.scope, address.sender, message, self.now_ms()))

    def receive_own(self, message: Message) -> None:
        """Take a message that the agent itself has published."""

    def after_action(self) -> None:
        """Do what follows every action of the agent."""

    def after_reconnect(self) -> None:
        """Publish again what a broker without stored messages needs."""

    def epoch(self) -> int | None:
        """Return the epoch of the run that the agent takes part in; None before its first tick."""
        epoch = self.agent.tick_message.epoch
        return epoch if epoch >= 0 else None

    def expiry_s(self) -> float | None:
        """Return for how many seconds a message of the present phase is valid; None for no limit."""
        return None

    def next_event_ms(self) -> int | None:
        """Return the instant of the next event for which the runner's own timer wakes the agent."""
        return self.agent.event_ms

    # --- what they share ---------------------------------------------------------------------------------

    def _on_online(self) -> None:
        """Publish the agent's birth again after a lost connection."""
        self._subscribed_s = time.monotonic()
        if self._started:
            self._publish([self.agent.presence()])
            if self._discoverable:
                self.publish_discovery()
            if self._account is not None:
                self._publish([self._account])
            self.after_reconnect()

    def _on_message(self, topic_name: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for address, message in self._decoder.decode(
            topic_name,
            payload,
            self._refuse_error,
            self._presence_scopes,
            self._quota,
            subscribed_s=self._subscribed_s if retained else None,
        ):
            if isinstance(message, FleetPresence):
                continue  # the last wills of its devices follow
            if address.sender != self.agent.id:
                self.receive(address, message)
            else:
                self.receive_own(message)

    def _on_problem(self, reason: str, topic_name: str) -> None:
        """Count a message of another schema, one that the broker rejected, or a connection taken over."""
        if reason == SESSION_TAKEN_OVER:
            LOG.warning("%s was disconnected: another client has connected with the same id", topic_name)
            self.agent.refuse(reason)
        elif reason == DENIED:
            if not self.agent.refused.get(reason):
                LOG.warning(
                    "the broker denied what %s publishes on %s: its access rules do not allow it. "
                    "Compare site, cell and kind with those with which it was enrolled",
                    self.agent.id,
                    topic_name,
                )
            self.agent.refuse(reason)
        else:
            self._refuse(topic_name, reason, reason)

    def _refuse_error(self, topic_name: str, error: GridFleetError) -> None:
        self._refuse(topic_name, error.reason if isinstance(error, PayloadError) else "topic", str(error))

    def _refuse(self, topic_name: str, reason: str, detail: str) -> None:
        """Count a message that is ignored; log the first for each reason (the quota logs a flood)."""
        if reason != FLOOD and not self.agent.refused.get(reason):
            LOG.warning("%s ignores a message on %s: %s", self.agent.id, shown(topic_name), detail)
        self.agent.refuse(reason)

    def _publish(self, out: Out) -> None:
        for scope, message in out:
            message_type = MESSAGE_TYPES[message.TYPE]
            if isinstance(message, Presence):
                message = replace(message, via=self._channels.via)  # noqa: PLW2901
            elif isinstance(message, State):
                self._account = scope, message
            topic_name = topic(self._decoder.site, message, scope, self.agent.id)
            expiry_s = self.expiry_s() if message_type.expires else None
            self.connection.publish(
                topic_name,
                encode(message, self.epoch()),
                qos=message_type.qos,
                retain=message_type.retain,
                expiry_s=expiry_s,
                supersedes=message_type.supersedes,
            )

    def _act(self, out: Out) -> None:
        """Publish the agent's messages, and set the timer for its next event or deadline."""
        self._publish(out)
        self._set_timer()
        self.after_action()

    def _set_timer(self) -> None:
        """Set the timer for the agent's next event or deadline, when one of them has changed."""
        wanted = (self.next_event_ms(), self.agent.deadline_ms)
        if wanted == self._timer_for:
            return
        self._cancel_timer()
        self._timer_for = wanted
        due_ms = min((instant for instant in wanted if instant is not None), default=None)
        if due_ms is not None:
            delay_s = self.real_delay_ms(due_ms) / 1000
            self._timer = self._channels.call_later(delay_s, lambda: self._wake(due_ms))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_for = (None, None)

    def _wake(self, due_ms: int) -> None:
        self._timer = None
        self._timer_for = (None, None)
        self._act(self.agent.wake(max(self.now_ms(), due_ms)))


def filters_of(site: str, agent: Agent) -> Iterator[tuple[str, int]]:
    """Yield topic filter and QoS of everything an agent subscribes to, the batches of fleet processes included."""
    judged = [(name, ALL) for name in (Registration.TYPE, Suspension.TYPE)] if agent.trust.enabled else []
    for name, scope in (("tick", ""), ("grant", agent.id), *judged, *agent.subscriptions()):
        message_type = MESSAGE_TYPES[name]
        yield topic_filter(site, name, scope), message_type.qos
        if message_type.scope is Scope.SITE and not message_type.retain:
            yield batch_topic(site, name, ALL, ALL), message_type.qos
    if any(name == Presence.TYPE for name, _ in agent.subscriptions()):
        yield topic_filter(site, FleetPresence.TYPE), MESSAGE_TYPES[FleetPresence.TYPE].qos
