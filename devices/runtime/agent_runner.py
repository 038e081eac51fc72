"""Agents on a real broker: each on a line of its own, all driven by one loop in one thread.

A line is a connection, or a part in one (`gridfleet.broker.mqtt.sharing.shared_connection`).

The same agents as in the simulation; here a seat gives each its world: it turns payloads into messages, keeps
its timers, and in lock-step tells the clock when the agent is ready and at which instant it wants to act next.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from gridfleet.broker.errors import GridFleetError, PayloadError
from gridfleet.broker.mqtt.channel import ChannelFactory
from gridfleet.broker.mqtt.client_options import ADDRESS_CREDENTIALS, SESSION_S, Credentials, Will
from gridfleet.broker.mqtt.connection import SESSION_TAKEN_OVER
from gridfleet.broker.mqtt.event_loop import Timer
from gridfleet.broker.protocol.codec import encode
from gridfleet.broker.protocol.decoder import SiteDecoder
from gridfleet.broker.protocol.home_assistant import discovery
from gridfleet.broker.protocol.messages import (
    PHASES,
    FleetPresence,
    Grant,
    Message,
    Mode,
    Phase,
    Presence,
    Ready,
    Tick,
)
from gridfleet.broker.protocol.topics import (
    ALL,
    MESSAGE_TYPES,
    Address,
    Scope,
    batch_topic,
    topic,
    topic_filter,
)
from gridfleet.broker.protocol.units import TICK_MS
from gridfleet.devices.agents.base import MIN_SECONDS_PER_TICK, NETWORK_TIMEOUT_MS, Agent, Out

LOG: Final = logging.getLogger(__name__)


def real_ms() -> int:
    """Return real time in milliseconds, from an arbitrary beginning, never backwards."""
    return time.monotonic_ns() // 1_000_000


LATE_SHARE: Final = 0.2
"""An overdue tick is taken for the present one when no other follows for so much of a tick, or for NETWORK_MS."""
MOST_LOOKS: Final = 10
"""So often that time is given again to a process that has not handled yet all that has arrived."""


class AgentRunner:
    """One agent on one line."""

    def __init__(
        self,
        agent: Agent,
        loop: ChannelFactory,
        decoder: SiteDecoder,
        credentials: Credentials = ADDRESS_CREDENTIALS,
    ) -> None:
        """Connect the agent as itself, with its last will; `start` once it is online."""
        self.agent = agent
        self._loop = loop
        self._decoder = decoder
        self._presence_scopes = [scope for word, scope in agent.subscriptions() if word == Presence.TYPE]
        self._timer: Timer | None = None
        self._planned: tuple[int | None, int | None] = (None, None)
        scope, will = agent.presence(online=False)
        self.connection = loop.open(
            agent.id,
            on_message=self._on_message,
            filters=list(filters_of(decoder.site, agent)),
            will=Will(topic(decoder.site, will, scope, agent.id), encode(will)),
            on_online=self._on_online,
            on_problem=self._on_trouble,
            session_s=SESSION_S,
            login=credentials.login(agent.id),
        )
        self._alive = False

    def start(self) -> None:
        """Let the agent say that it lives."""
        self._alive = True
        self._act(self.agent.start(self.now_ms()))

    def announce(self) -> None:
        """Tell Home Assistant of the agent."""
        text, payload = discovery(self._decoder.site, self.agent.id, *self.agent.presence())
        self.connection.publish(text, payload, qos=1, retain=True)

    def leave(self) -> None:
        """Say good-bye, so that nobody waits for the agent, and part."""
        if self._timer is not None:
            self._timer.cancel()
        if not self.connection.closed:
            self._say([self.agent.presence(online=False)])
            self.connection.close()

    # --- what differs between a device and the clock -----------------------------------------------------

    def now_ms(self) -> int:
        """Return the agent's time."""
        raise NotImplementedError

    def real_delay_ms(self, due_ms: int) -> int:
        """Return the real milliseconds until an instant of the agent's time."""
        raise NotImplementedError

    def receive(self, address: Address, message: Message) -> None:
        """Hand a message to the agent."""
        self._act(self.agent.handle(address.scope, address.sender, message, self.now_ms()))

    def echo(self, message: Message) -> None:
        """Hear what the agent itself has said, or what the broker has kept of it."""

    def acted(self) -> None:
        """Do what is due after the agent has acted."""

    # --- the common part ---------------------------------------------------------------------------------

    def _on_online(self) -> None:
        """After a lost connection, say again that the agent lives."""
        if self._alive:
            self._say([self.agent.presence()])
            self.returned()

    def returned(self) -> None:
        """Say again what a broker that lost its memory must know."""

    def _on_message(self, text: str, payload: bytes, _retained: bool) -> None:  # noqa: FBT001 - the loop's signature
        for address, message in self._decoder.decode(
            text, payload, self._refuse_error, self._presence_scopes
        ):
            if isinstance(message, FleetPresence):
                continue  # the last wills of its devices follow
            if address.sender != self.agent.id:
                self.receive(address, message)
            else:
                self.echo(message)

    def _on_trouble(self, reason: str, text: str) -> None:
        """A message of another schema, one of ours that the broker does not let through, or a second self."""
        if reason == SESSION_TAKEN_OVER:
            LOG.warning("%s was thrown out: another client has the same id", text)
            self.agent.refuse(reason)
        else:
            self._refuse(text, reason, reason)

    def _refuse_error(self, text: str, error: GridFleetError) -> None:
        self._refuse(text, error.reason if isinstance(error, PayloadError) else "topic", str(error))

    def _refuse(self, text: str, reason: str, words: str) -> None:
        """Count a message that is not acted upon; tell of the first of its kind."""
        if not self.agent.refused.get(reason):
            LOG.warning("%s refuses a message under %s: %s", self.agent.id, text, words)
        self.agent.refuse(reason)

    def expiry_s(self) -> float | None:
        """Return how many seconds what belongs to the present phase is worth something; None for ever."""
        return None

    def _say(self, out: Out) -> None:
        for scope, message in out:
            message_type = MESSAGE_TYPES[message.TYPE]
            if isinstance(message, Presence):
                message = replace(message, via=self._loop.via)  # noqa: PLW2901
            text = topic(self._decoder.site, message, scope, self.agent.id)
            expiry_s = self.expiry_s() if message_type.expires else None
            self.connection.publish(
                text,
                encode(message),
                qos=message_type.qos,
                retain=message_type.retain,
                expiry_s=expiry_s,
                supersedes=message_type.supersedes,
            )

    def _act(self, out: Out) -> None:
        self._say(out)
        self._plan()
        self.acted()

    def _plan(self) -> None:
        """Set the timer for what the agent waits for, when that has changed."""
        agent = self.agent
        planned = (self._own_instant(), agent.deadline_ms)
        if planned == self._planned:
            return
        self._planned = planned
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ms = min((instant for instant in planned if instant is not None), default=None)
        if due_ms is not None:
            self._timer = self._loop.call_later(self.real_delay_ms(due_ms) / 1000, lambda: self._wake(due_ms))

    def _forget_timer(self) -> None:
        """Cancel the timer; the next `_plan` sets it anew."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._planned = (None, None)

    def _own_instant(self) -> int | None:
        """Return the instant at which the agent is to be woken by our own timer."""
        return self.agent.event_ms

    def _wake(self, due_ms: int) -> None:
        self._timer = None
        self._planned = (None, None)
        self._act(self.agent.wake(max(self.now_ms(), due_ms)))


class DeviceRunner(AgentRunner):
    """A device: its time is the site's simulated time, as the tick tells it."""

    def __init__(
        self,
        agent: Agent,
        loop: ChannelFactory,
        decoder: SiteDecoder,
        credentials: Credentials = ADDRESS_CREDENTIALS,
        *,
        skew_ms: int = 0,
    ) -> None:
        """`skew_ms` is by how much the device's clock is ahead of the site's time, for tests of what that does."""
        self._skew_ms = skew_ms
        self._tick: Tick | None = None
        self._tick_real_ms = 0
        self._phase_real_ms = 0
        self._instant_ms = 0
        self._late: Timer | None = None
        self._said: Ready | None = None
        self._must_answer = False
        super().__init__(agent, loop, decoder, credentials)

    def now_ms(self) -> int:
        """Return what the device's clock shows: simulated time, if it is right."""
        return self._site_ms() + self._skew_ms

    def _site_ms(self) -> int:
        """Return simulated time: in lock-step the last instant granted, else the tick's plus what has passed."""
        tick = self._tick
        if tick is None or tick.mode is Mode.LOCKSTEP or tick.paused:
            return self._instant_ms
        passed_ms = round((real_ms() - self._tick_real_ms) * self._speed(tick))
        return max(self._instant_ms, min(self._instant_ms + passed_ms, tick.ends_ms))

    def real_delay_ms(self, due_ms: int) -> int:
        """In lock-step only answers are waited for by our own timer, and these in real time."""
        tick = self._tick
        if tick is None or tick.mode is Mode.LOCKSTEP:
            return NETWORK_TIMEOUT_MS
        return max(round((due_ms - self.now_ms()) / self._speed(tick)), 0)

    def expiry_s(self) -> float | None:
        """To the end of the phase and of the patience after it; for ever in lock-step, which waits for answers."""
        tick = self._tick
        if tick is None or tick.mode is Mode.LOCKSTEP or tick.paused:
            return None
        left_ms = tick.ends_ms + self.agent.answer_timeout_ms - self.now_ms()
        return max(left_ms / self._speed(tick) / 1000, 1.0)

    def receive(self, address: Address, message: Message) -> None:
        """Take the time from ticks and grants, and hand everything else to the agent."""
        if isinstance(message, Tick):
            self._on_tick(address, message)
        elif isinstance(message, Grant):
            if self._tick is not None and message.tick == self._tick.tick:
                self._instant_ms = message.simulated_ms
                self._must_answer = True
                self._act(self.agent.wake(message.simulated_ms))
        elif address.message_type.expires and self._is_over():
            self._refuse(address.message_type.name, "stale", "it belongs to a tick that is over")
        else:
            super().receive(address, message)

    def acted(self) -> None:
        """In lock-step, tell the clock that the agent is ready, and when it wants to act next."""
        tick = self._tick
        agent = self.agent
        if tick is None or tick.mode is not Mode.LOCKSTEP or agent.waiting:
            return
        ready = Ready(tick.tick, _quiet_through(agent, tick.phase), agent.event_ms)
        if ready != self._said or self._must_answer:
            self._said = ready
            self._must_answer = False
            self._say([("", ready)])

    def returned(self) -> None:
        """In lock-step, say again that the agent is ready: the clock may not have heard it."""
        self._must_answer = True
        self.acted()

    def _on_tick(self, address: Address, tick: Tick) -> None:
        """Take a tick; one that should be over by now only if no later one follows at once.

        So whoever was asleep or cut off does not act on the ticks that it has missed; and if it is the clock that
        was, its time counts.
        """
        known = self._tick
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if known is not None and self._is_overdue(known, tick):
            self._take_later(address, tick)
        else:
            self._take(address, tick)

    def _take_later(self, address: Address, tick: Tick, looks: int = MOST_LOOKS) -> None:
        """Take a tick when nothing else has come for a while."""

        def look() -> None:
            if self._loop.idle or looks <= 1:
                self._take(address, tick)
            else:
                self._take_later(address, tick, looks - 1)

        wait_s = min(tick.seconds_per_tick * LATE_SHARE, NETWORK_TIMEOUT_MS / 1000)
        self._late = self._loop.call_later(wait_s, look)

    def _is_overdue(self, known: Tick, tick: Tick) -> bool:
        """Tell whether, by our own clock, a tick is over for as long as it lasted."""
        now_ms = self._unheard_ms(known)
        return tick.epoch == known.epoch and now_ms is not None and tick.simulated_ms + 2 * TICK_MS < now_ms

    def _is_over(self) -> bool:
        """Tell whether the last phase heard of has, by our own clock, been over for a whole tick."""
        tick = self._tick
        now_ms = self._unheard_ms(tick) if tick is not None else None
        return tick is not None and now_ms is not None and tick.ends_ms + TICK_MS < now_ms

    def _unheard_ms(self, known: Tick) -> int | None:
        """Return what time it is on the site if the clock has gone on since; None where nobody can tell."""
        if known.paused or known.mode is Mode.LOCKSTEP:
            return None
        return known.simulated_ms + round((real_ms() - self._phase_real_ms) * self._speed(known))

    def _take(self, address: Address, tick: Tick) -> None:
        known = self._tick
        self._late = None
        if known is not None and tick.epoch == known.epoch and tick.simulated_ms < known.simulated_ms:
            super().receive(address, tick)  # it is refused
            return
        anew = known is not None and tick.epoch > known.epoch
        if known is not None and (known.epoch, known.simulated_ms) == (tick.epoch, tick.simulated_ms):
            self._must_answer = True  # the clock may have come back, and does not know who was ready
        self._instant_ms = tick.simulated_ms if anew else max(self._site_ms(), tick.simulated_ms)
        self._tick = tick
        self._tick_real_ms = real_ms()
        if known is None or _place(known) != _place(tick):
            self._phase_real_ms = self._tick_real_ms
        if known is None or _pace(known) != _pace(tick):
            self._forget_timer()  # it was set for another speed
        if tick.phase in self.agent.phases or tick.phase is Phase.BID:
            self._act(self.agent.handle(address.scope, address.sender, tick, self.now_ms()))
        else:
            self._act(())
        # Who has just begun, or comes back from it and is told of it again, has nothing to drill.
        if tick.settings.outage_s and known is not None and tick.simulated_ms > known.simulated_ms:
            self._drill(tick.settings.outage_s)

    def _drill(self, seconds: float) -> None:
        """Lose the connection, as when the broker goes away, and come back after so long."""
        drop = partial(self.connection.drop, "an outage as a drill", offline_s=seconds)
        self._loop.call_later(0, drop)

    def _own_instant(self) -> int | None:
        """In lock-step the clock grants the agent's own instants; while time stands still there are none."""
        tick = self._tick
        if tick is not None and (tick.mode is Mode.LOCKSTEP or tick.paused):
            return None
        return self.agent.event_ms

    @staticmethod
    def _speed(tick: Tick) -> float:
        """Return simulated milliseconds per real millisecond."""
        return TICK_MS / 1000 / max(tick.seconds_per_tick, MIN_SECONDS_PER_TICK)


def filters_of(site: str, agent: Agent) -> Iterator[tuple[str, int]]:
    """Yield topic filter and QoS of all that an agent wants to hear, also from hosts."""
    for word, scope in (("tick", ""), ("grant", agent.id), *agent.subscriptions()):
        message_type = MESSAGE_TYPES[word]
        yield topic_filter(site, word, scope), message_type.qos
        if message_type.scope is Scope.SITE and not message_type.retain:
            yield batch_topic(site, word, ALL, ALL), message_type.qos
    if any(word == Presence.TYPE for word, _ in agent.subscriptions()):
        yield topic_filter(site, FleetPresence.TYPE), MESSAGE_TYPES[FleetPresence.TYPE].qos


def _pace(tick: Tick) -> tuple[Mode, float, bool]:
    """Return what decides how fast time goes."""
    return tick.mode, tick.seconds_per_tick, tick.paused


def _place(tick: Tick) -> tuple[int, int, Mode, float, bool]:
    """Return what tells a phase that begins, or goes on at another pace, from one that is said again."""
    return tick.epoch, tick.simulated_ms, *_pace(tick)


def _quiet_through(agent: Agent, phase: Phase) -> Phase:
    """Return the last phase before the next one in which the agent has something to do."""
    rank = PHASES.index(phase)
    for later in range(rank + 1, len(PHASES)):
        if PHASES[later] in agent.phases:
            return PHASES[later - 1]
    return PHASES[-1]
